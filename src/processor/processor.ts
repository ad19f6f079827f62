import type { PipelineSpan } from '../spans/foreign-span.ts';

/**
 * Something that changes spans between the receivers of a pipeline and its exporters. Pure: time comes in, in
 * milliseconds of one monotonic clock, and the same calls give the same spans again.
 */
export interface Processor {
  /** Finds out what it needs, before the first span; takes a bounded time. */
  start?(): Promise<void>;
  /** Takes spans; gives those that are to go on now. */
  process(spans: readonly PipelineSpan[], nowMs: number): readonly PipelineSpan[];
  /** Gives what has waited long enough. */
  advance(nowMs: number): readonly PipelineSpan[];
  /** Gives what waits, for the end: a part of it at each call, until `held()` is 0. */
  flush(nowMs: number): readonly PipelineSpan[];
  /** What was done with spans since the start, for hopspan's own metrics. */
  readonly stats: Readonly<Record<string, number>>;
  /** Spans that wait here. */
  held(): number;
  /** Spans for which exporters must keep room; those that wait, where this is not there. */
  reserves?(): number;
  /** Whether receivers should hold back: so many spans now, or, with 0, anything. */
  refuses?(spans: number): boolean;
}

/** What one processor of one pipeline did. */
export interface ProcessorStats {
  readonly pipeline: string;
  /** The component's id in the file. */
  readonly name: string;
  readonly stats: Processor['stats'];
}
