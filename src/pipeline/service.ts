import { setTimeout } from 'node:timers/promises';
import { type Balance, type BalanceWindow, createBalance } from '../balance/balance.ts';
import { describePinned, isCertain } from '../balance/pinned.ts';
import type { Config } from '../config/types.ts';
import type { ExporterDeps } from '../exporter/create.ts';
import type { ExporterStats } from '../exporter/exporter.ts';
import { createEbpfReceiver, type EbpfReceiver } from '../receiver/ebpf.ts';
import { createOtlpReceiver, type OtlpReceiver } from '../receiver/otlp/otlp.ts';
import type { Logger } from '../telemetry/log.ts';
import { startMetrics } from '../telemetry/metrics.ts';
import { createLossWarnings, LOOK_EVERY_MS } from './losses.ts';
import { createPipelines } from './pipelines.ts';

/** Of a shutdown's time, for the spans that wait when the last record was read. */
const LAST_SPANS_MS = 1000;
/** For the last figures of hopspan's own metrics. */
const METRICS_MS = 500;

export interface ServiceDeps extends ExporterDeps {
  readonly log: Logger;
  /** Is told how requests were spread, in place of the log, which tells only of findings. */
  readonly onBalance?: (window: BalanceWindow) => void;
}

/** Everything that one configuration describes, from the probes to the exporters. */
export interface Service {
  /** From the end backwards, so that no span finds a closed door. @throws HopspanError */
  start(): Promise<void>;
  /** From the front, so that everything complete gets out; takes at most `timeoutMs` for sending. May be called twice. */
  shutdown(timeoutMs: number): Promise<void>;
  readonly receivers: readonly EbpfReceiver[];
  readonly otlpReceivers: readonly OtlpReceiver[];
  readonly balance: Balance;
  exporterStats(): ExporterStats[];
}

export function createService(config: Config, deps: ServiceDeps): Service {
  let recordWindow: (window: BalanceWindow) => void = () => {};
  const tellBalance = deps.onBalance ?? ((window) => warnOfPinned(window, deps.log));
  const balance = createBalance((window) => {
    tellBalance(window);
    recordWindow(window);
  });
  const pipelines = createPipelines(config, { ...deps, hops: balance });
  const receivers = config.receivers.map((receiver) =>
    createEbpfReceiver(receiver, pipelines.inputOf(receiver.name), pipelines.busy),
  );

  const otlpReceivers = config.otlpReceivers.map((receiver) =>
    createOtlpReceiver(receiver, pipelines.spanInputOf(receiver.name)),
  );

  let endMetrics: (() => Promise<void>) | undefined;
  let lossTimer: NodeJS.Timeout | undefined;

  function watchLosses(): void {
    const warnings = receivers.map((receiver) => ({ receiver, ...createLossWarnings(deps.log) }));
    lossTimer = setInterval(() => {
      for (const { receiver, look } of warnings) look(receiver.counters());
    }, LOOK_EVERY_MS);
  }

  return {
    receivers,
    otlpReceivers,
    balance,
    async start() {
      await pipelines.start();
      for (const receiver of otlpReceivers) await receiver.start();
      for (const receiver of receivers) receiver.start();
      watchLosses();
      if (config.telemetry.metricsLevel === 'none') return;
      endMetrics = await startMetrics({
        lost: () => receivers.map((receiver) => receiver.counters()),
        correlated: pipelines.correlatorStats,
        received: () => otlpReceivers,
        processed: pipelines.processorStats,
        exported: pipelines.exporterStats,
        balance,
        onWindow: (record) => {
          recordWindow = record;
        },
      });
    },
    async shutdown(timeoutMs) {
      const startedMs = performance.now();
      clearInterval(lossTimer);
      await Promise.all(
        [...receivers, ...otlpReceivers].map((receiver) => receiver.stop(timeoutMs - LAST_SPANS_MS)),
      );
      const leftMs = timeoutMs - (performance.now() - startedMs) - (endMetrics ? METRICS_MS : 0);
      await pipelines.shutdown(Math.max(0, leftMs));
      balance.flush();
      if (endMetrics) await Promise.race([endMetrics(), setTimeout(METRICS_MS, undefined, { ref: false })]);
      endMetrics = undefined;
    },
    exporterStats: () => pipelines.exporterStats(),
  };
}

function warnOfPinned({ found }: BalanceWindow, log: Logger): void {
  for (const pinned of found) {
    log[isCertain(pinned) ? 'warn' : 'info']({ proxy: pinned.proxy }, describePinned(pinned));
  }
}
