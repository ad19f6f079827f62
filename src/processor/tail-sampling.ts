import { isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import { createPolicy, type Policy } from './policies.ts';
import type { Processor } from './processor.ts';

export interface TailSamplingOptions {
  /** From the first span of a trace to the decision on it. Milliseconds. */
  readonly decisionWaitMs: number;
  /** The most traces that wait, and the most whose decision is remembered. */
  readonly numTraces: number;
  /** The most spans that wait. */
  readonly maxSpans: number;
  /** Decisions that are remembered beyond `numTraces`, by what they were. */
  readonly sampledCacheSize: number;
  readonly nonSampledCacheSize: number;
  /** A trace is kept if one of them says so. */
  readonly policies: readonly Policy[];
}

/** Since the start. */
export type TailSamplingStats = {
  keptTraces: number;
  droppedTraces: number;
  /** Spans of traces that were not kept. */
  droppedSpans: number;
  /** Spans that came after the decision on their trace, and followed it. */
  lateSpans: number;
  /** Traces that were decided on before their time, because too much waited. */
  hurriedTraces: number;
};

/** Of applications' spans that wait; one span may be some megabytes long. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** Spans that one call of `flush` gives, about: exporters' queues have an end. */
const FLUSH_SPANS = 1024;

interface Waiting {
  readonly spans: PipelineSpan[];
  readonly sinceMs: number;
  bytes: number;
}

/**
 * Holds the spans of each trace until its time is over, and keeps all of them or none: those of traces that one of the
 * policies asks for. What comes later follows the decision as long as it is remembered. Where too much waits, the oldest
 * traces are decided on early, by what came of them so far: nothing is thrown away unseen.
 */
export function createTailSampling(options: TailSamplingOptions): Processor {
  const stats: TailSamplingStats = {
    ...{ keptTraces: 0, droppedTraces: 0, droppedSpans: 0, lateSpans: 0, hurriedTraces: 0 },
  };
  const policies = options.policies.map(createPolicy);
  /* All in order of arrival: the oldest is the first to go. */
  const waiting = new Map<string, Waiting>();
  const decided = new Map<string, boolean>();
  const caches = {
    sampled: createCache(options.sampledCacheSize),
    nonSampled: createCache(options.nonSampledCacheSize),
  };
  let heldSpans = 0;
  let heldBytes = 0;

  function decisionOn(traceId: string): boolean | undefined {
    const decision = decided.get(traceId);
    if (decision !== undefined) return decision;
    if (caches.sampled.has(traceId)) return true;
    return caches.nonSampled.has(traceId) ? false : undefined;
  }

  function hold(span: PipelineSpan, nowMs: number): void {
    let entry = waiting.get(span.traceId);
    if (!entry) {
      entry = { spans: [], sinceMs: nowMs, bytes: 0 };
      waiting.set(span.traceId, entry);
    }
    heldSpans++;
    if (!isForeign(span)) {
      entry.spans.push(span);
      return;
    }
    /* A copy, for what came in may be a small part of a large request. */
    entry.spans.push({ ...span, bytes: Buffer.from(span.bytes) });
    entry.bytes += span.bytes.length;
    heldBytes += span.bytes.length;
  }

  function decide(traceId: string, { spans, bytes }: Waiting, out: PipelineSpan[]): void {
    waiting.delete(traceId);
    heldSpans -= spans.length;
    heldBytes -= bytes;
    const keep = policies.some((says) => says(spans));
    remember(traceId, keep);
    if (keep) {
      stats.keptTraces++;
      for (const span of spans) out.push(span);
      return;
    }
    stats.droppedTraces++;
    stats.droppedSpans += spans.length;
  }

  function remember(traceId: string, keep: boolean): void {
    decided.set(traceId, keep);
    for (const [oldest, kept] of decided) {
      if (decided.size <= options.numTraces) break;
      decided.delete(oldest);
      (kept ? caches.sampled : caches.nonSampled).add(oldest);
    }
  }

  /** Decides on the oldest where too much waits. */
  function hurry(out: PipelineSpan[]): void {
    for (const [traceId, entry] of waiting) {
      const fits = waiting.size <= options.numTraces;
      if (fits && heldSpans <= options.maxSpans && heldBytes <= MAX_HELD_BYTES) break;
      decide(traceId, entry, out);
      stats.hurriedTraces++;
    }
  }

  function due(beforeMs: number, limit: number): PipelineSpan[] {
    const out: PipelineSpan[] = [];
    for (const [traceId, entry] of waiting) {
      if (entry.sinceMs > beforeMs || out.length >= limit) break;
      decide(traceId, entry, out);
    }
    return out;
  }

  return {
    stats,
    process(spans, nowMs) {
      const out: PipelineSpan[] = [];
      for (const span of spans) {
        const decision = waiting.has(span.traceId) ? undefined : decisionOn(span.traceId);
        if (decision === undefined) {
          hold(span, nowMs);
          continue;
        }
        stats.lateSpans++;
        if (decision) out.push(span);
        else stats.droppedSpans++;
      }
      hurry(out);
      return out;
    },
    advance: (nowMs) => due(nowMs - options.decisionWaitMs, Number.POSITIVE_INFINITY),
    flush: () => due(Number.POSITIVE_INFINITY, FLUSH_SPANS),
    held: () => heldSpans,
    /* Few are kept, and over a time as long as they came in: exporters need no room for all of them at once. */
    reserves: () => 0,
  };
}

interface Cache {
  has(traceId: string): boolean;
  add(traceId: string): void;
}

/** Of so many names those that were looked for last. */
function createCache(size: number): Cache {
  const names = new Set<string>();
  return {
    has(traceId) {
      if (!names.delete(traceId)) return false;
      names.add(traceId);
      return true;
    },
    add(traceId) {
      if (size === 0) return;
      names.add(traceId);
      for (const oldest of names) {
        if (names.size <= size) break;
        names.delete(oldest);
      }
    },
  };
}
