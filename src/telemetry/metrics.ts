import { hostname } from 'node:os';
import type { CorrelatorStats } from '../correlate/correlator.ts';
import type { ExporterStats } from '../exporter/exporter.ts';
import type { ProcessorStats } from '../processor/processor.ts';
import type { Losses } from '../receiver/ebpf.ts';
import type { IntakeStats } from '../receiver/otlp/intake.ts';
import { VERSION } from '../version.ts';
import { type BalanceSources, measureBalance } from './balance-metrics.ts';

/** Where hopspan's own figures come from; read when they are collected. */
export interface MetricSources extends BalanceSources {
  lost(): readonly Losses[];
  correlated(): readonly Readonly<CorrelatorStats>[];
  /** Receivers of applications' spans. */
  received(): readonly { readonly name: string; readonly stats: Readonly<IntakeStats> }[];
  processed(): readonly ProcessorStats[];
  exported(): readonly ExporterStats[];
}

/**
 * Sends hopspan's own metrics by the OpenTelemetry SDK, to where the OTEL_EXPORTER_OTLP_* variables say, as the
 * service `hopspan`. The SDK is loaded only here: it is the largest part of the process, and most runs do without.
 * @returns a function that sends the last figures and ends.
 */
export async function startMetrics(sources: MetricSources): Promise<() => Promise<void>> {
  const [{ NodeSDK, resources }, { PeriodicExportingMetricReader }, { OTLPMetricExporter }, { metrics }] =
    await Promise.all([
      import('@opentelemetry/sdk-node'),
      import('@opentelemetry/sdk-metrics'),
      import('@opentelemetry/exporter-metrics-otlp-grpc'),
      import('@opentelemetry/api'),
    ]);
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
    metricReaders: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })],
  });
  sdk.start();
  const meter = metrics.getMeter('hopspan', VERSION);
  measureBalance(meter, sources);
  meter
    .createObservableCounter('hopspan.records.lost', {
      unit: '{record}',
      description: 'Records lost or not believed in the kernel, by reason; zero in a healthy run.',
    })
    .addCallback((result) => {
      for (const counters of sources.lost()) {
        for (const [reason, count] of Object.entries(counters)) result.observe(count, { reason });
      }
    });
  const hops = { unit: '{hop}', description: 'Hops, and those among them that evidence could not settle.' };
  meter.createObservableCounter('hopspan.hops', hops).addCallback((result) => {
    for (const stats of sources.correlated()) {
      for (const [kind, count] of Object.entries(stats)) result.observe(count, { kind });
    }
  });
  meter
    .createObservableCounter('hopspan.receiver.spans', {
      unit: '{span}',
      description:
        "Applications' spans by receiver and what became of them; senders come again with refused ones.",
    })
    .addCallback((result) => {
      for (const { name, stats } of sources.received()) {
        for (const [state, count] of Object.entries(stats)) result.observe(count, { receiver: name, state });
      }
    });
  const processed = { unit: '{item}', description: 'What processors did: see the page of processors.' };
  meter.createObservableCounter('hopspan.processor.items', processed).addCallback((result) => {
    for (const { pipeline, name, stats } of sources.processed()) {
      for (const [decision, count] of Object.entries(stats))
        result.observe(count, { pipeline, processor: name, decision });
    }
  });
  meter
    .createObservableCounter('hopspan.exporter.spans', {
      unit: '{span}',
      description: 'Spans by exporter and what became of them.',
    })
    .addCallback((result) => {
      for (const { name, exported, dropped } of sources.exported()) {
        result.observe(exported, { exporter: name, state: 'exported' });
        result.observe(dropped, { exporter: name, state: 'dropped' });
      }
    });
  meter
    .createObservableGauge('hopspan.exporter.queue', {
      unit: '{span}',
      description: 'Spans waiting to be sent.',
    })
    .addCallback((result) => {
      for (const { name, waiting } of sources.exported()) result.observe(waiting, { exporter: name });
    });
  return () => sdk.shutdown().catch(() => {}); // nobody at the endpoint: the figures are lost, nothing else
}
