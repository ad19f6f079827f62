import type { PipelineSpan } from '../../spans/foreign-span.ts';
import { type Batch, release } from './batch.ts';
import type { BatchStore } from './batch-store.ts';
import type { SendingQueue } from './sending-queue.ts';
import { SpanQueue } from './span-queue.ts';

/** Batches that are on disk and in memory as well, ready to be sent. */
const MAX_READY = 8;
/** Batches that are read at a time. */
const READ_BATCHES = 4;

export interface DiskQueueDeps {
  readonly store: BatchStore;
  readonly maxBytes: number;
  /** `take` may have something now, or the last batch has been written. */
  readonly onChange: () => void;
  /** So many spans that were on disk cannot be read any more. */
  readonly onLost: (spans: number) => void;
  /** A batch could not be written: it waits in memory. */
  readonly onFailure: (reason: string) => void;
  /** After failures a batch was written again. */
  readonly onRecovery: () => void;
}

/** Spans and bytes of batches. */
class Amount {
  spans = 0;
  bytes = 0;
  add(spans: number, bytes: number): void {
    this.spans += spans;
    this.bytes += bytes;
  }
}

/**
 * Spans that wait on disk. Each batch is written before it is sent and removed when it needs to be kept no longer, so
 * that what is lost with the process is what was not written yet: the open batch and the ones just closed. A disk that
 * cannot be written leaves a queue in memory.
 */
export class DiskQueue implements SendingQueue {
  readonly #store: BatchStore;
  readonly #deps: DiskQueueDeps;
  /** Spans that are cut into batches; no closed batch stays in it. */
  readonly #cutter = new SpanQueue();
  /** Closed, not yet written. */
  readonly #writing = new Amount();
  /** On disk and in memory: `#ready`, `#returned` and what is under way. */
  readonly #held = new Amount();
  /** On disk only: all batches behind `#cursor`. */
  readonly #behind = new Amount();
  #ready: Batch[] = [];
  #returned: Batch[] = [];
  /** The disk did not take them. */
  #unsaved: Batch[] = [];
  #cursor = 0;
  #lastId = 0;
  #reading = false;
  #failing = false;
  #closed = false;
  #writes = new Set<Promise<void>>();

  constructor(deps: DiskQueueDeps) {
    this.#deps = deps;
    this.#store = deps.store;
  }

  async open(): Promise<number> {
    const { spans, bytes, lastId } = await this.#store.open();
    this.#behind.add(spans, bytes);
    this.#lastId = lastId;
    this.#refill();
    return spans;
  }

  add(spans: readonly PipelineSpan[], count: number): void {
    this.#cutter.add(spans, count);
    for (let batch = this.#cutter.take(false); batch; batch = this.#cutter.take(false)) this.#save(batch);
  }

  flushPartial(): void {
    const batch = this.#cutter.take(true);
    if (batch !== undefined) this.#save(batch);
  }

  take(evenPartial: boolean): Batch | undefined {
    if (evenPartial) this.flushPartial();
    const batch = this.#returned.shift() ?? this.#ready.shift() ?? this.#unsaved.shift();
    this.#refill();
    return batch;
  }

  giveBack(batch: Batch): void {
    (batch.id === undefined ? this.#unsaved : this.#returned).push(batch);
  }

  done(batch: Batch): void {
    if (batch.id !== undefined) {
      this.#held.add(-batch.count, -batch.bytes.length);
      this.#remove(batch.id);
    }
  }

  get hasPartial(): boolean {
    return this.#cutter.hasPartial;
  }

  get bytes(): number {
    const unsaved = this.#unsaved.reduce((sum, batch) => sum + batch.bytes.length, 0);
    return this.#cutter.bytes + this.#writing.bytes + unsaved;
  }

  get stored(): number {
    return this.#held.spans + this.#behind.spans;
  }

  get full(): boolean {
    return this.#held.bytes + this.#behind.bytes + this.#writing.bytes >= this.#deps.maxBytes;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.flushPartial();
    for (const batch of this.#unsaved.splice(0)) this.#save(batch);
    while (this.#writes.size > 0) await Promise.all(this.#writes);
    await this.#store.close().catch(() => {});
  }

  #save(batch: Batch): void {
    const { count, bytes } = batch;
    const length = bytes.length;
    const id = ++this.#lastId;
    this.#writing.add(count, length);
    const write = this.#store.put(id, count, bytes).then(
      () => {
        this.#writing.add(-count, -length);
        this.#saved({ ...batch, id });
      },
      (error: Error) => {
        this.#writing.add(-count, -length);
        this.#unsaved.push(batch);
        this.#failing = true;
        this.#deps.onFailure(error.message);
      },
    );
    this.#writes.add(write);
    void write.then(() => {
      this.#writes.delete(write);
      this.#deps.onChange();
    });
  }

  #saved(batch: Batch & { readonly id: number }): void {
    const { id, count, bytes } = batch;
    if (this.#behind.spans === 0 && !this.#reading && this.#ready.length < MAX_READY) {
      this.#cursor = id;
      this.#held.add(count, bytes.length);
      this.#ready.push(batch);
    } else {
      this.#behind.add(count, bytes.length);
      release(batch);
    }
    if (!this.#failing) return;
    this.#failing = false;
    this.#deps.onRecovery();
    for (const waiting of this.#unsaved.splice(0)) this.#save(waiting);
  }

  /** What cannot be removed now is removed with the next one; at worst it is sent twice. */
  #remove(id: number): void {
    this.#store.remove(id).catch(() => {});
  }

  /** Reads on where few batches are ready. */
  #refill(): void {
    if (this.#reading || this.#closed || this.#behind.spans === 0 || this.#ready.length >= READ_BATCHES)
      return;
    this.#reading = true;
    this.#store.readAfter(this.#cursor, READ_BATCHES).then(
      ({ batches, lastId, damaged }) => {
        this.#reading = false;
        let lost = 0;
        for (const { id, spans, bytes } of batches) {
          this.#behind.add(-spans, -bytes.length);
          this.#held.add(spans, bytes.length);
          this.#ready.push({ id, count: spans, bytes, firstSentMs: undefined });
        }
        for (const { id, spans, length } of damaged) {
          this.#remove(id);
          this.#behind.add(-spans, -length);
          lost += spans;
        }
        if (lastId !== undefined) this.#cursor = lastId;
        else {
          // Nothing more is there: what should be was in a part of the file that could not be read any more.
          lost += this.#behind.spans;
          this.#behind.add(-this.#behind.spans, -this.#behind.bytes);
        }
        if (lost > 0) this.#deps.onLost(lost);
        this.#refill();
        this.#deps.onChange();
      },
      (error: Error) => {
        this.#reading = false;
        this.#deps.onFailure(error.message);
      },
    );
  }
}
