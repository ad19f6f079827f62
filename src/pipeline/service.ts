import { setTimeout } from 'node:timers/promises';
import { type Balance, type BalanceWindow, createBalance } from '../balance/balance.ts';
import { describePinned, isCertain } from '../balance/pinned.ts';
import type { Config } from '../config/types.ts';
import type { ExporterDeps } from '../exporter/create.ts';
import type { ExporterStats } from '../exporter/exporter.ts';
import { createEbpfReceiver, type EbpfReceiver } from '../receiver/ebpf.ts';
import { RECEIVER_KIND } from '../receiver/kernel-record.ts';
import { createOtlpReceiver, type OtlpReceiver } from '../receiver/otlp/otlp.ts';
import type { AttachedProbes } from '../receiver/probes.ts';
import { createReadiness, healthzPage, readyzPage } from '../telemetry/health.ts';
import { createHopMetrics } from '../telemetry/hop-metrics.ts';
import { createHttpPages } from '../telemetry/http-server.ts';
import type { Logger } from '../telemetry/log.ts';
import { startMetrics } from '../telemetry/metrics.ts';
import { createSendMetrics } from '../telemetry/send-metrics.ts';
import { createLossWarnings, LOOK_EVERY_MS } from './losses.ts';
import { createPipelines } from './pipelines.ts';
import type { HopObserver } from './traces.ts';

/** Of a shutdown's time, for the spans that wait when the last record was read. */
const LAST_SPANS_MS = 1000;
/** For the last figures of hopspan's own metrics. */
const METRICS_MS = 500;

export interface ServiceDeps extends ExporterDeps {
  readonly log: Logger;
  /** Attached already, by receiver; others are loaded at the start. */
  readonly probes?: Readonly<Record<string, AttachedProbes>>;
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
  /** Where health and metrics are, as URLs. */
  pages(): string[];
  exporterStats(): ExporterStats[];
}

export function createService(config: Config, deps: ServiceDeps): Service {
  let recordWindow: (window: BalanceWindow) => void = () => {};
  const tellBalance = deps.onBalance ?? ((window) => warnOfPinned(window, deps.log));
  const balance = createBalance((window) => {
    tellBalance(window);
    recordWindow(window);
  });
  const { telemetry, healthCheck } = config;
  const measured = telemetry.metricReaders.length > 0;
  const hopMetrics = measured ? createHopMetrics(telemetry.metricBuckets) : undefined;
  const sends = measured ? createSendMetrics(telemetry.metricBuckets) : undefined;
  const observers = { hops: both(balance, hopMetrics), onSent: sends?.onSent };
  const pipelines = createPipelines(config, { ...deps, ...observers });
  let records = 0;
  const receivers = config.receivers.map((receiver) => {
    const input = pipelines.inputOf(receiver.name);
    return createEbpfReceiver(
      receiver,
      (record) => {
        if (record.kind !== RECEIVER_KIND.CLOCK) records++;
        input(record);
      },
      pipelines.busy,
      deps.probes?.[receiver.name],
    );
  });

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

  async function measure(): Promise<(() => Promise<void>) | undefined> {
    if (!hopMetrics || !sends) return undefined;
    const sources = {
      families: () => [...hopMetrics.families(), ...sends.families()],
      records: () => records,
      lost: () => (state === 'idle' ? [] : receivers.map((receiver) => receiver.counters())),
      correlated: pipelines.correlatorStats,
      received: () => otlpReceivers,
      processed: pipelines.processorStats,
      exported: pipelines.exporterStats,
      balance,
      onWindow: (record: (window: BalanceWindow) => void) => {
        recordWindow = record;
      },
    };
    return startMetrics(sources, {
      readers: telemetry.metricReaders,
      buckets: telemetry.metricBuckets,
      intervalMs: telemetry.metricIntervalMs,
      protocol: telemetry.metricProtocol,
      serve: ({ listen }, page) => pages.add(listen, '/metrics', page),
    });
  }

  const pages = createHttpPages();
  let state: 'idle' | 'running' | 'ended' = 'idle';

  function serveHealth(): void {
    if (!healthCheck) return;
    const readiness = createReadiness({
      receivers: () =>
        receivers.map((receiver, index) => ({
          name: config.receivers[index]?.name ?? '',
          attached: state === 'running',
          watched: receiver.watched().length,
        })),
      exporters: pipelines.exporterStats,
    });
    pages.add(healthCheck.listen, '/healthz', healthzPage);
    pages.add(healthCheck.listen, '/readyz', readyzPage(readiness));
  }

  return {
    receivers,
    otlpReceivers,
    balance,
    pages: () => pages.urls(),
    async start() {
      serveHealth();
      endMetrics = await measure();
      await pages.start();
      await pipelines.start();
      for (const receiver of otlpReceivers) await receiver.start();
      for (const receiver of receivers) receiver.start();
      watchLosses();
      state = 'running';
    },
    async shutdown(timeoutMs) {
      const startedMs = performance.now();
      if (state === 'running') state = 'ended';
      clearInterval(lossTimer);
      await Promise.all(
        [...receivers, ...otlpReceivers].map((receiver) => receiver.stop(timeoutMs - LAST_SPANS_MS)),
      );
      const leftMs = timeoutMs - (performance.now() - startedMs) - (endMetrics ? METRICS_MS : 0);
      await pipelines.shutdown(Math.max(0, leftMs));
      balance.flush();
      if (endMetrics) await Promise.race([endMetrics(), setTimeout(METRICS_MS, undefined, { ref: false })]);
      endMetrics = undefined;
      await pages.close();
    },
    exporterStats: () => pipelines.exporterStats(),
  };
}

function both(first: HopObserver, second: HopObserver | undefined): HopObserver {
  if (!second) return first;
  return {
    add(hop, span) {
      first.add(hop, span);
      second.add(hop, span);
    },
    advance(nowNs) {
      first.advance(nowNs);
      second.advance(nowNs);
    },
  };
}

function warnOfPinned({ found }: BalanceWindow, log: Logger): void {
  for (const pinned of found) {
    log[isCertain(pinned) ? 'warn' : 'info']({ proxy: pinned.proxy }, describePinned(pinned));
  }
}
