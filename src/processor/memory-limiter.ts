import type { Processor } from './processor.ts';

export interface MemoryLimiterOptions {
  /** Between two looks. Milliseconds. */
  readonly checkIntervalMs: number;
  /** Above it garbage is collected at every look. */
  readonly limitBytes: number;
  /** Receivers are refused from so much below the limit on: what may come between two looks. */
  readonly spikeLimitBytes: number;
  /** Between two collections of garbage while refusing below and above the limit. Milliseconds. */
  readonly minGcIntervalSoftMs: number;
  readonly minGcIntervalHardMs: number;
}

export interface Memory {
  /** Bytes in use now. */
  used(): number;
  /** Collects garbage. */
  collect(): void;
}

/** Since the start. */
export type MemoryLimiterStats = {
  /** Applications' spans whose senders were told to come again. */
  refusedSpans: number;
  /** Looks after which receivers were refused. */
  refusingChecks: number;
  garbageCollections: number;
};

/**
 * Has receivers wait while memory is short, instead of dropping what is there: senders of spans are told to come again,
 * and kernel records stay in their ring. Spans that are in the pipeline go on.
 */
export function createMemoryLimiter(options: MemoryLimiterOptions, memory: Memory): Processor {
  const stats: MemoryLimiterStats = { refusedSpans: 0, refusingChecks: 0, garbageCollections: 0 };
  const softBytes = options.limitBytes - options.spikeLimitBytes;
  let lastCheckMs = Number.NEGATIVE_INFINITY;
  let lastCollectionMs = Number.NEGATIVE_INFINITY;
  let refusing = false;

  function check(nowMs: number): void {
    lastCheckMs = nowMs;
    let used = memory.used();
    const interval = used > options.limitBytes ? options.minGcIntervalHardMs : options.minGcIntervalSoftMs;
    /* What is in use may be garbage mostly, and while nothing comes in nobody else collects it. */
    if (used > softBytes && nowMs - lastCollectionMs >= interval) {
      memory.collect();
      stats.garbageCollections++;
      lastCollectionMs = nowMs;
      used = memory.used();
    }
    refusing = used > softBytes;
    if (refusing) stats.refusingChecks++;
  }

  return {
    stats,
    process: (spans) => spans,
    advance(nowMs) {
      if (nowMs - lastCheckMs >= options.checkIntervalMs) check(nowMs);
      return [];
    },
    flush: () => [],
    held: () => 0,
    refuses(spans) {
      if (refusing) stats.refusedSpans += spans;
      return refusing;
    },
  };
}
