import { closeSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { HopspanError } from '../errors.ts';
import { type ProcessImage, processImage } from '../native/process-image.ts';
import { type AttachedProbes, descriptorsOf } from '../receiver/probes.ts';

/** The number of a file descriptor. */
const VARIABLE = 'HOPSPAN_HANDOVER';
const MEMORY_FILE = 'hopspan-handover';
const STANDARD_STREAMS = [0, 1, 2];

/** What one program image of the process leaves to the next. */
export interface Handover {
  /** Of the configuration's file, which may be a pipe that gives it once only. */
  readonly configText?: string;
  /** By receiver. */
  readonly probes: Readonly<Record<string, AttachedProbes>>;
}

/** Starts this program anew in this process. Returns, with an errno's name, only where that fails. */
export function handOver(image: ProcessImage, handover: Handover): string {
  const fd = image.memoryFile(MEMORY_FILE);
  if (fd < 0) return 'no memory file';
  writeSync(fd, JSON.stringify(handover), 0);
  for (const each of [...STANDARD_STREAMS, ...allDescriptors(handover)]) image.keepDescriptor(each, true);
  const args = [...process.execArgv, ...process.argv.slice(1)];
  const reason = image.replace(process.execPath, args, { ...process.env, [VARIABLE]: String(fd) });
  closeSync(fd);
  return reason;
}

/** What the image before this one left, once. @throws HopspanError CONFIG_INVALID for a variable that means something else */
export function takeHandover(
  env: NodeJS.ProcessEnv = process.env,
  image: ProcessImage = processImage,
): Handover | undefined {
  const { [VARIABLE]: text } = env;
  if (text === undefined) return undefined;
  delete env[VARIABLE];
  const path = `/proc/self/fd/${text}`;
  try {
    if (readlinkSync(path) !== `/memfd:${MEMORY_FILE} (deleted)`) throw new Error('another file');
    const handover = JSON.parse(readFileSync(path, 'utf8')) as Handover;
    closeSync(Number(text));
    for (const each of allDescriptors(handover)) image.keepDescriptor(each, false);
    return handover;
  } catch (cause) {
    throw new HopspanError(
      'CONFIG_INVALID',
      `${VARIABLE} is hopspan's own and was found in the environment; unset it.`,
      { cause },
    );
  }
}

function allDescriptors({ probes }: Handover): number[] {
  return Object.values(probes).flatMap(descriptorsOf);
}
