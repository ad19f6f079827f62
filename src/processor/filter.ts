import type { PipelineSpan } from '../spans/foreign-span.ts';
import { parseCondition } from './condition.ts';
import type { Processor } from './processor.ts';

export interface FilterOptions {
  /** Spans of which one of these is true are dropped; each is one that `parseCondition` takes. */
  readonly conditions: readonly string[];
}

/** Since the start. */
export type FilterStats = { droppedSpans: number };

/** Drops spans by conditions, each span for itself: its children stay. */
export function createFilter(options: FilterOptions): Processor {
  const stats: FilterStats = { droppedSpans: 0 };
  const conditions = options.conditions.map(parseCondition);
  const isWanted = (span: PipelineSpan): boolean => !conditions.some((isTrue) => isTrue(span));
  return {
    stats,
    process(spans) {
      const wanted = spans.filter(isWanted);
      stats.droppedSpans += spans.length - wanted.length;
      return wanted;
    },
    advance: () => [],
    flush: () => [],
    held: () => 0,
  };
}
