import { createService, type Service } from '../pipeline/service.ts';
import type { Logger } from '../telemetry/log.ts';
import { readConfiguration } from './configuration.ts';
import {
  logDroppedSpans,
  logListening,
  logLostRecords,
  logPages,
  logReady,
  logRejectedSpans,
} from './run-log.ts';
import { exitSoon, SHUTDOWN_MS, untilSignalled } from './signals.ts';

/** `hopspan run`: watches until it is told to end. @throws HopspanError */
export async function run(options: { readonly config?: string }): Promise<void> {
  const { config, log } = readConfiguration(options);
  await serve(createService(config, { log, stdout: process.stdout }), log, untilSignalled());
  exitSoon();
}

/** Runs a service until `ended`. @throws HopspanError when it cannot start. */
export async function serve(service: Service, log: Logger, ended: Promise<unknown>): Promise<void> {
  try {
    await service.start();
  } catch (error) {
    await service.shutdown(0);
    throw error;
  }
  logReady(service.receivers, log);
  logListening(service.otlpReceivers, log);
  logPages(service.pages(), log);
  await ended;
  await service.shutdown(SHUTDOWN_MS);
  logLostRecords(service.receivers, log);
  logRejectedSpans(service.otlpReceivers, log);
  logDroppedSpans(service.exporterStats(), log);
}
