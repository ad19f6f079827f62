import type { PipelineSpan } from '../../spans/foreign-span.ts';
import type { Batch } from './batch.ts';

/** Spans between a pipeline and an endpoint: in memory only, or on disk as well. */
export interface SendingQueue {
  /**
   * Called once, before all else.
   * @returns the spans that an earlier run left.
   * @throws HopspanError EXPORTER_START_FAILED
   */
  open(): Promise<number>;
  /** Takes the first `count` of these spans. */
  add(spans: readonly PipelineSpan[], count: number): void;
  /** The next batch to send; one that is not full only if `evenPartial`. */
  take(evenPartial: boolean): Batch | undefined;
  /** To be sent again, before all others. */
  giveBack(batch: Batch): void;
  /** The batch is needed no longer, whatever became of it. */
  done(batch: Batch): void;
  /** What waits in a batch that is not full is old enough to be put into safety, where there is such a place. */
  flushPartial(): void;
  /** Whether spans wait in a batch that is not full. */
  readonly hasPartial: boolean;
  /** Bytes in memory, less what hopspan's own spans take in the open batch. */
  readonly bytes: number;
  /** Spans on disk, those under way included. */
  readonly stored: number;
  /** The disk's share is used up. */
  readonly full: boolean;
  /** Puts into safety what can be; the rest is forgotten. */
  close(): Promise<void>;
}
