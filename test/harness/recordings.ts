import type { Exporter } from '../../src/exporter/exporter.ts';
import { createTracePipeline } from '../../src/pipeline/traces.ts';
import type { KernelRecord } from '../../src/receiver/kernel-record.ts';
import { readRecording } from '../../src/recording/read.ts';
import { createRecordingWriter } from '../../src/recording/write.ts';
import { isForeign } from '../../src/spans/foreign-span.ts';
import type { HopSpan } from '../../src/spans/hop-span.ts';
import type { FileSpan } from './hopspan.ts';

export async function writeRecording(path: string, records: Iterable<KernelRecord>): Promise<void> {
  const writer = await createRecordingWriter(path);
  for (const record of records) writer.write(record);
  await writer.close();
}

/** What could be read, and the error that ended it. */
export async function readAll(path: string): Promise<{ records: KernelRecord[]; error?: unknown }> {
  const records: KernelRecord[] = [];
  try {
    for await (const record of readRecording(path)) records.push(record);
  } catch (error) {
    return { records, error };
  }
  return { records };
}

/** An exporter that keeps everything. */
export function createCollector(): Exporter & { readonly spans: HopSpan[] } {
  const spans: HopSpan[] = [];
  const count = (): number => spans.length;
  return {
    spans,
    start: async () => {},
    export: (batch) => void spans.push(...batch.flatMap((span) => (isForeign(span) ? [] : [span]))),
    shutdown: async () => {},
    hasRoom: () => true,
    stats: () => ({ name: 'collector', accepted: count(), exported: count(), dropped: 0, waiting: 0 }),
  };
}

/** The spans of these records. */
export async function spansOf(
  records: Iterable<KernelRecord> | AsyncIterable<KernelRecord>,
): Promise<HopSpan[]> {
  const collector = createCollector();
  const pipeline = createTracePipeline([collector], { phaseFloorNs: 0, resourceAttributes: {} });
  for await (const record of records) pipeline.push(record);
  pipeline.flush();
  return collector.spans;
}

/** The shape in which the harness judges spans. */
export function asFileSpan(span: HopSpan): FileSpan {
  const ns = ([seconds, nanos]: readonly [number, number]): bigint =>
    BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
  const startNs = ns(span.start);
  const endNs = ns(span.end);
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? '',
    name: span.name,
    kind: span.kind,
    startNs,
    endNs,
    durationMs: Number(endNs - startNs) / 1e6,
    attributes: span.attributes,
    service: String(span.resource.attributes['service.name']),
    pid: Number(span.resource.attributes['process.pid']),
    error: span.error ?? '',
    links: span.links,
    events: span.events.map(({ name, time, attributes }) => ({ name, timeNs: ns(time), attributes })),
  };
}
