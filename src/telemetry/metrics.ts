import type { RequestListener } from 'node:http';
import { hostname } from 'node:os';
import type { Meter } from '@opentelemetry/api';
import type { MetricReader } from '@opentelemetry/sdk-metrics';
import type { MetricReaderConfig } from '../config/types.ts';
import type { CorrelatorStats } from '../correlate/correlator.ts';
import type { ExporterStats } from '../exporter/exporter.ts';
import type { OtlpProtocol } from '../exporter/otlp/options.ts';
import type { ProcessorStats } from '../processor/processor.ts';
import type { Losses } from '../receiver/ebpf.ts';
import type { IntakeStats } from '../receiver/otlp/intake.ts';
import { VERSION } from '../version.ts';
import { type BalanceSources, measureBalance } from './balance-metrics.ts';
import type { Buckets } from './histogram.ts';
import { instrument } from './instrument.ts';
import type { MetricFamily } from './metric-family.ts';
import { createMetricProducer, type MetricsSdk } from './metric-producer.ts';
import { createOtlpMetricExporter } from './otlp-metrics.ts';
import { createPrometheusReader } from './prometheus.ts';
import type { ReloadStats } from './reloads.ts';

const US_PER_S = 1e6;
/** The specification's default. */
const EXPORT_TIMEOUT_MS = 30_000;

/** Where hopspan's figures come from; read when they are collected. */
export interface MetricSources extends BalanceSources {
  /** What hopspan has summed up itself. */
  families(): readonly MetricFamily[];
  /** Records that came from the kernel. */
  records(): number;
  lost(): readonly Losses[];
  correlated(): readonly Readonly<CorrelatorStats>[];
  /** Receivers of applications' spans. */
  received(): readonly { readonly name: string; readonly stats: Readonly<IntakeStats> }[];
  processed(): readonly ProcessorStats[];
  exported(): readonly ExporterStats[];
  reloads(): Readonly<ReloadStats>;
}

export interface MetricOptions {
  readonly readers: readonly MetricReaderConfig[];
  /** Of durations that go out over OTLP; Prometheus' text format has explicit ones only. */
  readonly buckets: Buckets;
  /** Of OTLP. */
  readonly protocol: OtlpProtocol;
  /** Between two exports over OTLP. */
  readonly intervalMs: number;
  /** Takes the page of a Prometheus reader. */
  serve(reader: Extract<MetricReaderConfig, { kind: 'prometheus' }>, page: RequestListener): void;
}

/**
 * Gives hopspan's metrics to the OpenTelemetry SDK's readers, as the service `hopspan`: over OTLP to where the
 * OTEL_EXPORTER_OTLP_* variables say, and to Prometheus. The SDK is loaded only here: it is the largest part of the
 * process, and most runs do without.
 * @returns a function that sends the last figures and ends.
 */
export async function startMetrics(
  sources: MetricSources,
  options: MetricOptions,
): Promise<() => Promise<void>> {
  const [{ NodeSDK, resources }, sdkMetrics, { metrics }] = await Promise.all([
    import('@opentelemetry/sdk-node'),
    import('@opentelemetry/sdk-metrics'),
    import('@opentelemetry/api'),
  ]);
  const startMs = Date.now();
  const sdk = new NodeSDK({
    serviceName: 'hopspan',
    autoDetectResources: false,
    // Without it a collector takes the figures of all machines for those of one.
    resource: resources.resourceFromAttributes({
      'service.instance.id': hostname(),
      'host.name': hostname(),
    }),
    spanProcessors: [],
    logRecordProcessors: [],
    metricReaders: await Promise.all(options.readers.map((reader) => createReader(reader))),
  });
  sdk.start();
  const meter = metrics.getMeter('hopspan', VERSION);
  measureBalance(meter, sources);
  measurePipeline(meter, sources);
  measureReloads(meter, sources);
  measureProcess(meter);
  return async () => {
    await sdk.shutdown().catch(() => {}); // nobody at the endpoint: the figures are lost, nothing else
    metrics.disable();
  };

  async function createReader(reader: MetricReaderConfig): Promise<MetricReader> {
    if (reader.kind === 'otlp') return createOtlpReader(sdkMetrics);
    const producer = createMetricProducer(sdkMetrics, sources.families, 'explicit', startMs);
    const { reader: prometheus, page } = createPrometheusReader(sdkMetrics, producer);
    options.serve(reader, page);
    return prometheus;
  }

  async function createOtlpReader(loaded: MetricsSdk): Promise<MetricReader> {
    const producer = createMetricProducer(loaded, sources.families, options.buckets, startMs);
    return new loaded.PeriodicExportingMetricReader({
      exporter: await createOtlpMetricExporter(options.protocol),
      metricProducers: [producer],
      exportIntervalMillis: options.intervalMs,
      exportTimeoutMillis: Math.min(options.intervalMs, EXPORT_TIMEOUT_MS),
    });
  }
}

function measurePipeline(meter: Meter, sources: MetricSources): void {
  meter
    .createObservableCounter(...instrument('hopspan.records'))
    .addCallback((result) => result.observe(sources.records()));
  meter.createObservableCounter(...instrument('hopspan.records.lost')).addCallback((result) => {
    for (const [reason, count] of total(sources.lost())) result.observe(count, { reason });
  });
  meter.createObservableCounter(...instrument('hopspan.hops')).addCallback((result) => {
    for (const [kind, count] of total(sources.correlated())) result.observe(count, { kind });
  });
  meter.createObservableCounter(...instrument('hopspan.receiver.spans')).addCallback((result) => {
    for (const { name, stats } of sources.received()) {
      for (const [state, count] of Object.entries(stats)) result.observe(count, { receiver: name, state });
    }
  });
  meter.createObservableCounter(...instrument('hopspan.processor.items')).addCallback((result) => {
    for (const { pipeline, name, stats } of sources.processed()) {
      for (const [decision, count] of Object.entries(stats))
        result.observe(count, { pipeline, processor: name, decision });
    }
  });
  meter.createObservableCounter(...instrument('hopspan.exporter.spans')).addCallback((result) => {
    for (const { name, exported, dropped } of sources.exported()) {
      result.observe(exported, { exporter: name, state: 'exported' });
      result.observe(dropped, { exporter: name, state: 'dropped' });
    }
  });
  meter.createObservableGauge(...instrument('hopspan.exporter.queue')).addCallback((result) => {
    for (const { name, waiting } of sources.exported()) result.observe(waiting, { exporter: name });
  });
  meter.createObservableGauge(...instrument('hopspan.exporter.queue.stored')).addCallback((result) => {
    for (const { name, stored } of sources.exported())
      if (stored !== undefined) result.observe(stored, { exporter: name });
  });
}

function measureReloads(meter: Meter, sources: MetricSources): void {
  meter.createObservableCounter(...instrument('hopspan.config.reloads')).addCallback((result) => {
    const { succeeded, failed } = sources.reloads();
    result.observe(succeeded, { result: 'success' });
    result.observe(failed, { result: 'failure' });
  });
  meter
    .createObservableGauge(...instrument('hopspan.config.last_reload_successful'))
    .addCallback((result) => result.observe(sources.reloads().lastSuccessful ? 1 : 0));
  meter
    .createObservableGauge(...instrument('hopspan.config.last_reload_success_timestamp'))
    .addCallback((result) => result.observe(sources.reloads().lastSuccessS));
}

/** Of all receivers: one series observed twice at a time would have the last one's count. */
function total(counts: readonly object[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [name, count] of counts.flatMap((each) => Object.entries(each) as [string, number][]))
    sums.set(name, (sums.get(name) ?? 0) + count);
  return sums;
}

/** What hopspan itself costs (semantic conventions, process metrics). */
function measureProcess(meter: Meter): void {
  meter.createObservableCounter(...instrument('process.cpu.time')).addCallback((result) => {
    const { user, system } = process.cpuUsage();
    result.observe(user / US_PER_S, { 'cpu.mode': 'user' });
    result.observe(system / US_PER_S, { 'cpu.mode': 'system' });
  });
  meter
    .createObservableUpDownCounter(...instrument('process.memory.usage'))
    .addCallback((result) => result.observe(process.memoryUsage.rss()));
}
