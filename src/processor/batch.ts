import { foreignBytes, type PipelineSpan } from '../spans/foreign-span.ts';
import type { Processor } from './processor.ts';

export interface BatchOptions {
  /** Spans go on when so many are there. 0: when the time is over. */
  readonly sendBatchSize: number;
  /** The longest that a span waits. 0: it does not. Milliseconds. */
  readonly timeoutMs: number;
}

/** Since the start. */
export type BatchStats = { fullBatches: number; timedBatches: number };

/** Of applications' spans that wait; one span may be some megabytes long. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Hands spans on in larger groups. Hopspan's exporters make their requests by themselves and do not need it. */
export function createBatch(options: BatchOptions): Processor {
  const stats: BatchStats = { fullBatches: 0, timedBatches: 0 };
  let held: PipelineSpan[] = [];
  let heldBytes = 0;
  let sinceMs = 0;

  function take(): PipelineSpan[] {
    const spans = held;
    held = [];
    heldBytes = 0;
    return spans;
  }

  return {
    stats,
    process(spans, nowMs) {
      if (held.length === 0) sinceMs = nowMs;
      for (const span of spans) held.push(span);
      heldBytes += foreignBytes(spans);
      const isFull = options.sendBatchSize > 0 && held.length >= options.sendBatchSize;
      if (!isFull && options.timeoutMs > 0 && heldBytes <= MAX_HELD_BYTES) return [];
      stats.fullBatches++;
      return take();
    },
    advance(nowMs) {
      if (held.length === 0 || nowMs - sinceMs < options.timeoutMs) return [];
      stats.timedBatches++;
      return take();
    },
    flush: take,
    held: () => held.length,
  };
}
