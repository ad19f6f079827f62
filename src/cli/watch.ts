import { defaultConfig } from '../config/defaults.ts';
import type { Config } from '../config/types.ts';
import { balanceTable, findingLines } from '../exporter/console/balance-table.ts';
import { consoleColor, consoleWidth } from '../exporter/console/console-exporter.ts';
import { createSummary } from '../exporter/console/summary.ts';
import type { WaterfallOptions } from '../exporter/console/waterfall.ts';
import { attachFirst } from '../privileges/attach-first.ts';
import { takeHandover } from '../privileges/handover.ts';
import { isForeign } from '../spans/foreign-span.ts';
import { createLogger } from '../telemetry/log.ts';
import { type ConfigurationOptions, targetsOf } from './configuration.ts';
import { createOutput, type Output } from './output.ts';
import { serve } from './run.ts';
import { exitSoon, untilSignalled } from './signals.ts';

/** Somebody is looking: an answered exchange that went quiet is shown soon. */
const IDLE_TIMEOUT_MS = 1000;
const NS_PER_S = 1_000_000_000;
/** Of the environment only what names the watched services; exporters are not asked for. */
const VARIABLES = ['OTEL_SERVICE_NAME', 'OTEL_RESOURCE_ATTRIBUTES'] as const;

export interface WatchOptions extends ConfigurationOptions {
  /** OTLP/JSON, one export request a line, instead of waterfalls. */
  readonly json?: boolean;
  /** Compare what the proxy got with what it sent. */
  readonly diff?: boolean;
}

/** `hopspan watch`: live waterfalls, and a summary at the end. @throws HopspanError */
export async function watch(options: WatchOptions): Promise<void> {
  const output = createOutput(process.stdout);
  const { config, warnings } = watchConfig(options, process.env);
  const log = createLogger(config.telemetry.logs);
  const handover = takeHandover();
  if (!handover) for (const warning of warnings) log.warn(warning);
  const probes = handover?.probes ?? attachFirst(config, { log });
  const summary = options.json ? undefined : createSummary();
  let isOver = false;
  const ended = Promise.race([untilSignalled(), output.closed]).then(() => {
    isOver = true;
  });
  const look = (): WaterfallOptions => ({ width: consoleWidth(output), color: consoleColor('auto', output) });
  const { createService } = await import('../pipeline/service.ts');
  const service = createService(config, {
    log,
    probes,
    stdout: output,
    ...(summary
      ? {
          onBalance: ({ durationNs, listeners, found }) => {
            if (isOver) return; // the summary tells it
            const title = `balance of the last ${Math.round(durationNs / NS_PER_S)} s`;
            const lines = balanceTable(title, listeners, 'window', look());
            void print(output, [...lines, ...findingLines(found, look()), '']);
          },
          observe: (spans) => summary.add(spans.flatMap((span) => (isForeign(span) ? [] : [span]))),
        }
      : {}),
  });
  await serve(service, log, ended);
  if (summary) {
    const { balance } = service;
    await print(output, [
      ...summary.render(look()),
      ...balanceTable('balance', balance.listeners(), 'total', look()),
      ...findingLines(balance.findings(), look()),
    ]);
  }
  exitSoon();
}

/** What a configuration file would say for these flags. @throws HopspanError CONFIG_INVALID */
export function watchConfig(
  options: WatchOptions,
  env: NodeJS.ProcessEnv,
): { config: Config; warnings: readonly string[] } {
  const chosen: NodeJS.ProcessEnv = { OTEL_TRACES_EXPORTER: 'console' };
  for (const name of VARIABLES) chosen[name] = env[name];
  const targets = targetsOf(options);
  const { config, warnings } = defaultConfig(chosen, targets.length > 0 ? targets : undefined);
  const format = options.json ? 'json' : 'waterfall';
  return {
    config: {
      ...config,
      receivers: config.receivers.map((receiver) => ({
        ...receiver,
        idleTimeoutMs: IDLE_TIMEOUT_MS,
        headerDiff: options.diff ?? false,
      })),
      exporters: config.exporters.map((each) => (each.type === 'console' ? { ...each, format } : each)),
    },
    warnings,
  };
}

function print(output: Output, lines: readonly string[]): Promise<void> {
  if (lines.every((line) => line === '')) return Promise.resolve();
  return new Promise((resolve) => {
    output.write(`${lines.join('\n')}\n`, () => resolve());
  });
}
