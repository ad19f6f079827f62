import { setTimeout } from 'node:timers/promises';
import { type Balance, type BalanceWindow, createBalance } from '../balance/balance.ts';
import { describePinned, isCertain } from '../balance/pinned.ts';
import type { Config, LogConfig } from '../config/types.ts';
import type { ExporterDeps } from '../exporter/create.ts';
import type { ExporterStats } from '../exporter/exporter.ts';
import type { EbpfReceiver } from '../receiver/ebpf.ts';
import type { OtlpReceiver } from '../receiver/otlp/otlp.ts';
import type { AttachedProbes } from '../receiver/probes.ts';
import { createReadiness, healthzPage, readyzPage } from '../telemetry/health.ts';
import { createHopMetrics } from '../telemetry/hop-metrics.ts';
import { createHttpPages } from '../telemetry/http-server.ts';
import type { Logger } from '../telemetry/log.ts';
import { startMetrics } from '../telemetry/metrics.ts';
import { createReloadStats } from '../telemetry/reloads.ts';
import { createSendMetrics } from '../telemetry/send-metrics.ts';
import { type Change, undoAll } from './change.ts';
import { createLossWarnings, LOOK_EVERY_MS, type LossWarnings } from './losses.ts';
import { createPipelines } from './pipelines.ts';
import { planReload } from './plan.ts';
import { createReceivers } from './receivers.ts';
import type { HopObserver } from './traces.ts';

/** Of a shutdown's time, for the spans that wait when the last record was read. */
const LAST_SPANS_MS = 1000;
/** For the last figures of hopspan's own metrics. */
const METRICS_MS = 500;

export interface ServiceDeps extends ExporterDeps {
  readonly log: Logger;
  /** Attached already, by receiver; others are loaded at the start. */
  readonly probes?: Readonly<Record<string, AttachedProbes>>;
  /** Changes what the log tells. */
  readonly configureLog?: (logs: LogConfig) => void;
  /** Is told how requests were spread, in place of the log, which tells only of findings. */
  readonly onBalance?: (window: BalanceWindow) => void;
}

/** Everything that one configuration describes, from the probes to the exporters; and another one in its place. */
export interface Service {
  /** From the end backwards, so that no span finds a closed door. @throws HopspanError */
  start(): Promise<void>;
  /**
   * Puts another configuration in force and says in the log what changed. What cannot be read, or not be started, changes
   * nothing: the mistakes are logged, and what ran runs on. Never rejects. Calls during a reload are one more reload.
   * @param read throws HopspanError, a line for each mistake
   */
  reload(read: () => Config): Promise<void>;
  /**
   * From the front, so that everything complete gets out; takes at most `timeoutMs` for sending, as long as the configuration
   * in force says where not given. May be called twice.
   */
  shutdown(timeoutMs?: number): Promise<void>;
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
  const receivers = createReceivers(pipelines, deps.log, deps.probes);
  const pages = createHttpPages();
  const reloads = createReloadStats();
  const losses = new WeakMap<EbpfReceiver, LossWarnings>();
  let inForce = config;
  let endMetrics: (() => Promise<void>) | undefined;
  let lossTimer: NodeJS.Timeout | undefined;
  let state: 'idle' | 'running' | 'ended' = 'idle';
  let reloading: Promise<void> | undefined;
  let nextRead: (() => Config) | undefined;

  function watchLosses(): void {
    lossTimer = setInterval(() => {
      for (const receiver of receivers.ebpf()) {
        const warnings = losses.get(receiver) ?? createLossWarnings(deps.log);
        losses.set(receiver, warnings);
        warnings.look(receiver.counters());
      }
    }, LOOK_EVERY_MS);
  }

  async function measure(): Promise<(() => Promise<void>) | undefined> {
    if (!hopMetrics || !sends) return undefined;
    const sources = {
      families: () => [...hopMetrics.families(), ...sends.families()],
      records: receivers.records,
      lost: () => (state === 'idle' ? [] : receivers.ebpf().map((receiver) => receiver.counters())),
      correlated: pipelines.correlatorStats,
      received: receivers.otlp,
      processed: pipelines.processorStats,
      exported: pipelines.exporterStats,
      reloads: () => reloads.stats,
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

  function serveHealth(): void {
    if (!healthCheck) return;
    const readiness = createReadiness({
      receivers: () =>
        inForce.receivers.map(({ name }) => ({
          name,
          attached: state === 'running',
          watched: receivers.get(name)?.watched().length ?? 0,
        })),
      exporters: pipelines.exporterStats,
    });
    pages.add(healthCheck.listen, '/healthz', healthzPage);
    pages.add(healthCheck.listen, '/readyz', readyzPage(readiness));
  }

  /** One change from the configuration in force to another one, at the start from none. @throws HopspanError */
  async function apply(next: Config): Promise<void> {
    const changes: Change[] = [];
    try {
      changes.push(await pipelines.prepare(next));
      changes.push(await receivers.prepare(next));
    } catch (error) {
      await undoAll(changes, deps.log);
      throw error;
    }
    await receivers.endRemoved(next);
    for (const change of changes) change.commit();
    inForce = next;
    for (const change of changes) await change.settle();
  }

  async function reloadOnce(read: () => Config): Promise<void> {
    try {
      const { config: next, changes, waiting } = planReload(inForce, read());
      await apply(next);
      deps.configureLog?.(next.telemetry.logs);
      reloads.note(true);
      deps.log.info({ changes: changes.join('; ') || 'none' }, 'configuration reloaded');
      if (waiting.length > 0)
        deps.log.warn({ settings: waiting.join(', ') }, 'some settings take effect at the next start only');
    } catch (error) {
      reloads.note(false);
      const text = error instanceof Error ? error.message : String(error);
      for (const mistake of text.split('\n')) deps.log.error(mistake);
      deps.log.error('configuration not reloaded: the one before stays in force');
    }
  }

  async function reloadAll(): Promise<void> {
    for (let read = nextRead; read && state === 'running'; read = nextRead) {
      nextRead = undefined;
      await reloadOnce(read);
    }
    reloading = undefined;
  }

  return {
    get receivers() {
      return receivers.ebpf();
    },
    get otlpReceivers() {
      return receivers.otlp();
    },
    balance,
    pages: () => pages.urls(),
    async start() {
      serveHealth();
      endMetrics = await measure();
      await pages.start();
      await apply(config);
      watchLosses();
      state = 'running';
    },
    reload(read) {
      nextRead = read;
      reloading ??= reloadAll();
      return reloading;
    },
    async shutdown(timeoutMs = inForce.shutdownTimeoutMs) {
      const startedMs = performance.now();
      if (state === 'running') state = 'ended';
      clearInterval(lossTimer);
      if (reloading) await Promise.race([reloading, setTimeout(timeoutMs / 2, undefined, { ref: false })]);
      const leftMs = (): number => timeoutMs - (performance.now() - startedMs);
      await receivers.stop(leftMs() - LAST_SPANS_MS);
      await pipelines.shutdown(Math.max(0, leftMs() - (endMetrics ? METRICS_MS : 0)));
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
