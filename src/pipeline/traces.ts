import { type CorrelatorStats, createCorrelator } from '../correlate/correlator.ts';
import type { Hop } from '../correlate/hop.ts';
import { createHostEvents } from '../correlate/host-events.ts';
import { type KernelRecord, RECEIVER_KIND } from '../receiver/kernel-record.ts';
import { createSpanBuilder, type SpanOptions } from '../spans/build.ts';
import type { HopSpan } from '../spans/hop-span.ts';

/** A batch is handed on when it has so many spans, or at the next clock record. */
const BATCH_SPANS = 128;

/** Where the spans go. */
export interface HopSink {
  export(spans: readonly HopSpan[]): void;
}

/** Sees every hop, those of unsampled traces among them, and the clock of the records. */
export interface HopObserver {
  /** @param span its first span; an unsampled trace has none */
  add(hop: Hop, span?: HopSpan): void;
  /** @param nowNs CLOCK_MONOTONIC in nanoseconds */
  advance(nowNs: number): void;
}

/** Records in, spans to every sink: the pure middle of the house, and its batching. */
export interface TracePipeline {
  push(record: KernelRecord): void;
  /** Completes what can be completed, for the end of the stream, and hands it on. */
  flush(limit?: number): boolean;
  /** Puts other options in force, for the hops that are over from here on; what is known of connections stays. */
  configure(options: SpanOptions): void;
  readonly stats: Readonly<CorrelatorStats>;
}

export function createTracePipeline(
  sinks: readonly HopSink[],
  options: SpanOptions,
  observer?: HopObserver,
): TracePipeline {
  const hostEvents = createHostEvents();
  let toSpans = createSpanBuilder({ ...options, hostEvents });
  let batch: HopSpan[] = [];
  const correlator = createCorrelator((hop) => {
    const spans = toSpans(hop);
    observer?.add(hop, spans[0]);
    batch.push(...spans);
    if (batch.length >= BATCH_SPANS) handOn();
  });

  function handOn(): void {
    if (batch.length === 0) return;
    const spans = batch;
    batch = [];
    for (const sink of sinks) sink.export(spans);
  }

  return {
    stats: correlator.stats,
    push(record) {
      hostEvents.push(record);
      correlator.push(record);
      if (record.kind !== RECEIVER_KIND.CLOCK) return;
      observer?.advance(record.monotonicNs);
      handOn();
    },
    configure(changed) {
      toSpans = createSpanBuilder({ ...changed, hostEvents });
    },
    flush(limit) {
      const done = correlator.flush(limit);
      handOn();
      return done;
    },
  };
}
