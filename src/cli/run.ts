import { statSync } from 'node:fs';
import { defaultConfig } from '../config/defaults.ts';
import { checkNamed } from '../config/files.ts';
import { loadFile, readConfigText } from '../config/load.ts';
import { configInvalid } from '../config/mistakes.ts';
import type { Config } from '../config/types.ts';
import type { Service } from '../pipeline/service.ts';
import { attachFirst } from '../privileges/attach-first.ts';
import { takeHandover } from '../privileges/handover.ts';
import type { Logger } from '../telemetry/log.ts';
import { readConfiguration } from './configuration.ts';
import { onFileChange } from './file-changes.ts';
import {
  logDroppedSpans,
  logListening,
  logLostRecords,
  logPages,
  logReady,
  logRejectedSpans,
  logUnreadable,
} from './run-log.ts';
import { exitSoon, untilSignalled } from './signals.ts';

/**
 * `hopspan run`: watches until it is told to end, and reads its configuration anew on SIGHUP and when its file changes.
 * @throws HopspanError
 */
export async function run(options: { readonly config?: string }): Promise<void> {
  const { config: file } = options;
  const handover = takeHandover();
  let isReady = false;
  let isAsked = false;
  const reload = (): void => {
    isAsked = true;
    if (!isReady) return;
    isAsked = false;
    void service.reload(() => readAnew(file, log)).then(() => logUnreadable(service.receivers, log));
  };
  /* Before the file is read, so that no change of it is missed. */
  const endLooking = file === undefined ? undefined : onFileChange(file, reload);
  process.on('SIGHUP', reload);
  const { config, log, logging, configText } = readConfiguration(options, handover);
  const probes = handover?.probes ?? attachFirst(config, { log, configText });
  const { createService } = await import('../pipeline/service.ts');
  const service = createService(config, {
    log,
    configureLog: logging.configure,
    probes,
    stdout: process.stdout,
  });
  await serve(service, log, untilSignalled(), () => {
    isReady = true;
    if (isAsked || (file !== undefined && isAnother(file, handover?.configText))) reload();
  });
  endLooking?.();
  logging.end();
  exitSoon();
}

/** Whether the file has changed since the program image before this one read it; a pipe gives its text once only. */
function isAnother(file: string, text: string | undefined): boolean {
  try {
    return text !== undefined && statSync(file).isFile() && readConfigText(file) !== text;
  } catch {
    return false;
  }
}

/** @throws HopspanError CONFIG_INVALID, a line for each mistake */
function readAnew(file: string | undefined, log: Logger): Config {
  if (file === undefined) return defaultConfig(process.env).config;
  const { config, warnings, line } = loadFile(file, process.env);
  const mistakes = checkNamed(config, line);
  if (mistakes.length > 0) throw configInvalid(mistakes);
  for (const warning of warnings) log.warn(warning);
  return config;
}

/** Runs a service until `ended`. @throws HopspanError when it cannot start. */
export async function serve(
  service: Service,
  log: Logger,
  ended: Promise<unknown>,
  onReady: () => void = () => {},
): Promise<void> {
  try {
    await service.start();
  } catch (error) {
    await service.shutdown(0);
    throw error;
  }
  logReady(service.receivers, log);
  logListening(service.otlpReceivers, log);
  logPages(service.pages(), log);
  onReady();
  await ended;
  await service.shutdown();
  logLostRecords(service.receivers, log);
  logRejectedSpans(service.otlpReceivers, log);
  logDroppedSpans(service.exporterStats(), log);
}
