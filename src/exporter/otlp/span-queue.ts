import type { HopSpan } from '../../spans/hop-span.ts';
import { Batch } from './batch.ts';

/** Spans per request at most. */
export const MAX_BATCH_SPANS = 512;

/** Spans that wait, oldest first, cut into batches. The bound is the exporter's to keep. */
export class SpanQueue {
  /** Sent before, to be sent again before all others. */
  #returned: Batch[] = [];
  #full: HopSpan[][] = [];
  #open: HopSpan[] = [];

  /** Takes the first `count` of these spans. */
  add(spans: readonly HopSpan[], count: number): void {
    for (let n = 0; n < count; n++) {
      this.#open.push(spans[n] as HopSpan);
      if (this.#open.length === MAX_BATCH_SPANS) {
        this.#full.push(this.#open);
        this.#open = [];
      }
    }
  }

  giveBack(batch: Batch): void {
    this.#returned.push(batch);
  }

  /** The next batch; one that is not full only if `evenPartial`. */
  take(evenPartial: boolean): Batch | undefined {
    const returned = this.#returned.shift();
    if (returned !== undefined) return returned;
    const full = this.#full.shift();
    if (full !== undefined) return new Batch(full);
    if (!evenPartial || this.#open.length === 0) return undefined;
    const open = this.#open;
    this.#open = [];
    return new Batch(open);
  }

  /** Whether spans wait in a batch that is not full. */
  get hasPartial(): boolean {
    return this.#open.length > 0;
  }

  clear(): void {
    this.#returned = [];
    this.#full = [];
    this.#open = [];
  }
}
