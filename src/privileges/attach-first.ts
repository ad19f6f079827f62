import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config/types.ts';
import { type ProcessImage, processImage } from '../native/process-image.ts';
import { attachUprobe } from '../native/uprobe.ts';
import { preflight } from '../receiver/preflight.ts';
import { type AttachedProbes, attachProbes } from '../receiver/probes.ts';
import { tryTurns } from '../receiver/turns.ts';
import type { Logger } from '../telemetry/log.ts';
import { type Credentials, maskOf, ownCredentials } from './capabilities.ts';
import { giveUp, hasMoreThan, withOnly } from './give-up.ts';
import { handOver } from './handover.ts';
import { type Need, neededLater, type Trials, usesOf } from './needed.ts';

const FREE_PORTS = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
const DEFAULT_FREE_PORT = 1024;
/** Kept wherever processes are watched: nothing to tell. */
const USUAL: readonly Need['capability'][] = ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH'];

/** What a command does beside its configuration. */
export interface AttachOptions {
  readonly log: Logger;
  readonly configText?: string | undefined;
  /** Files that the command writes. */
  readonly outputs?: readonly string[];
}

/**
 * Attaches the probes of all receivers, then becomes the same program anew with the capabilities that are needed later
 * and no others: capabilities belong to threads, and only execve(2) leaves none behind. Returns the probes where nothing is to
 * be given up, and where that fails, with a warning.
 * @throws HopspanError for what the machine lacks.
 */
export function attachFirst(
  config: Config,
  { log, configText, outputs = [] }: AttachOptions,
  image: ProcessImage = processImage,
): Readonly<Record<string, AttachedProbes>> {
  if (config.receivers.length > 0) preflight();
  const probes = Object.fromEntries(config.receivers.map((each) => [each.name, attachProbes(each)]));
  const own = ownCredentials();
  const needs = neededLater(
    usesOf(config, outputs),
    own.permitted,
    trialsOf(image, own, Object.values(probes)),
  );
  const kept = maskOf(...needs.map(({ capability }) => capability));
  if (!hasMoreThan(own, kept)) return probes;
  for (const { capability, reason } of needs)
    if (!USUAL.includes(capability)) log.info({ capability }, `a capability is kept, since ${reason}`);
  const reason = giveUp(image, own, kept)
    ? handOver(image, { probes, ...(configText === undefined ? {} : { configText }) })
    : 'the kernel does not let it';
  log.warn(
    { reason },
    'capabilities could not be given up: hopspan goes on with those that it was started with',
  );
  return probes;
}

/** What is needed after attaching, by trying it with the effective capabilities of this thread lowered. */
export function trialsOf(image: ProcessImage, own: Credentials, [probes]: readonly AttachedProbes[]): Trials {
  return {
    canCountTurns: (capabilities) =>
      probes === undefined || withOnly(image, own, capabilities, () => canCountTurns(probes)),
    canWrite: (path, capabilities) => withOnly(image, own, capabilities, () => canWrite(image, path)),
    firstFreePort: firstFreePort(),
  };
}

function canCountTurns({ turns }: AttachedProbes): boolean {
  const links: { detach(): void }[] = [];
  const reason = tryTurns({
    countTurns(pid, path, symbol) {
      const link = attachUprobe(turns, pid, path, symbol);
      if (typeof link !== 'string') links.push(link);
      return link;
    },
  });
  for (const link of links) link.detach();
  return reason === undefined;
}

/** The file, or where it would be made. */
function canWrite(image: ProcessImage, path: string): boolean {
  try {
    statSync(path);
    return image.canWrite(path);
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return isAbsent && dirname(path) !== path && canWrite(image, dirname(path));
  }
}

function firstFreePort(): number {
  try {
    return Number(readFileSync(FREE_PORTS, 'utf8'));
  } catch {
    return DEFAULT_FREE_PORT;
  }
}
