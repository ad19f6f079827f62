import { defaultConfig } from '../config/defaults.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { createService, type Service } from '../pipeline/service.ts';
import { createLogger, type Logger } from '../telemetry/log.ts';

/** Within the 5 s that a service manager's user expects after SIGTERM. */
const SHUTDOWN_MS = 4000;

/** Resolves with the first of the signals that ask to end. */
export function untilSignalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}

/** `hopspan run`: watches until it is told to end. @throws HopspanError */
export async function run(options: { config?: string }): Promise<void> {
  const warnings: string[] = [];
  const config = options.config
    ? loadConfig(options.config, process.env, (line) => warnings.push(line))
    : configByDefault(warnings);
  const log = createLogger(config.telemetry.logLevel);
  for (const warning of warnings) log.warn(warning);
  await serve(config, log, process.stdout);
}

function configByDefault(warnings: string[]): Config {
  const { config, warnings: found } = defaultConfig(process.env);
  warnings.push(...found);
  return config;
}

/** Runs a configuration until a signal. @throws HopspanError when it cannot start. */
export async function serve(config: Config, log: Logger, stdout: NodeJS.WriteStream): Promise<void> {
  const service = createService(config, { log, stdout });
  const signalled = untilSignalled();
  try {
    await service.start();
  } catch (error) {
    await service.shutdown(0);
    throw error;
  }
  logReady(service, log);
  await signalled;
  await service.shutdown(SHUTDOWN_MS);
  logEnd(service, log);
}

function logReady(service: Service, log: Logger): void {
  for (const receiver of service.receivers) {
    const targets = receiver.watched().map(({ executableName, pid }) => `${executableName}(${pid})`);
    log.info({ hooks: receiver.hooks, targets: targets.join(',') || 'none yet' }, 'ready');
  }
}

/** Losses are never silent. */
function logEnd(service: Service, log: Logger): void {
  for (const receiver of service.receivers) {
    const lost = Object.entries(receiver.counters()).filter(([, count]) => count > 0);
    if (lost.length > 0) log.warn(Object.fromEntries(lost), 'some records were lost or not believed');
  }
  for (const { name, exported, dropped } of service.exporterStats()) {
    if (dropped > 0) log.warn({ exporter: name, exported, dropped }, 'some spans could not be exported');
  }
}
