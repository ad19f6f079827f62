import { isForeign, type PipelineSpan } from '../../spans/foreign-span.ts';
import type { Batch } from './batch.ts';
import { RequestEncoder } from './encode.ts';
import type { SendingQueue } from './sending-queue.ts';

/** Spans per request at most. */
export const MAX_BATCH_SPANS = 512;
/** Applications' spans may be long, and many servers take requests of 4 MiB at most. */
const MAX_BATCH_BYTES = 2 * 1024 * 1024;

/** Spans that wait as bytes in memory, oldest first, cut into batches. The bound is the exporter's to keep. */
export class SpanQueue implements SendingQueue {
  readonly stored = 0;
  readonly full = false;
  /** Sent before, to be sent again before all others. */
  #returned: Batch[] = [];
  #full: Batch[] = [];
  #open = new RequestEncoder();

  async open(): Promise<number> {
    return 0;
  }

  add(spans: readonly PipelineSpan[], count: number): void {
    for (let n = 0; n < count; n++) {
      const span = spans[n] as PipelineSpan;
      if (this.#open.count > 0 && this.#open.bytes + lengthOf(span) > MAX_BATCH_BYTES)
        this.#full.push(this.#closeOpen());
      this.#open.add(span);
      if (this.#open.count === MAX_BATCH_SPANS) this.#full.push(this.#closeOpen());
    }
  }

  giveBack(batch: Batch): void {
    this.#returned.push(batch);
  }

  done(): void {
    // It went out of the queue when it was taken.
  }

  flushPartial(): void {
    // Memory is all there is.
  }

  take(evenPartial: boolean): Batch | undefined {
    const next = this.#returned.shift() ?? this.#full.shift();
    if (next !== undefined || !evenPartial || !this.hasPartial) return next;
    return this.#closeOpen();
  }

  get hasPartial(): boolean {
    return this.#open.count > 0;
  }

  get bytes(): number {
    const closed = [...this.#returned, ...this.#full].reduce((sum, batch) => sum + batch.bytes.length, 0);
    return closed + this.#open.bytes;
  }

  async close(): Promise<void> {
    this.#returned = [];
    this.#full = [];
    this.#open = new RequestEncoder();
  }

  #closeOpen(): Batch {
    const { count } = this.#open;
    return { count, bytes: this.#open.finish(), firstSentMs: undefined };
  }
}

/** Of an application's span; hopspan's own are short. */
function lengthOf(span: PipelineSpan): number {
  return isForeign(span) ? span.bytes.length : 0;
}
