import type { PipelineSpan } from '../../spans/foreign-span.ts';
import { type Clock, systemClock } from '../clock.ts';
import { Counts, MAX_WAITING_BYTES, spanCount } from '../counts.ts';
import type { EncodedSpans, Exporter, ExporterStats, Heir, OnSent } from '../exporter.ts';
import type { ExporterLog } from '../log.ts';
import { Trouble } from '../trouble.ts';
import { Backoff } from './backoff.ts';
import { type Batch, release } from './batch.ts';
import { type BatchStore, createBatchStore } from './batch-store.ts';
import { createOtlpClient, type OtlpClient } from './client.ts';
import { DiskQueue } from './disk-queue.ts';
import { type OtlpDiskOptions, type OtlpOptions, queuePath } from './options.ts';
import { createScrubbedLog } from './scrubbed-log.ts';
import type { SendResult } from './send-result.ts';
import type { SendingQueue } from './sending-queue.ts';
import { SpanQueue } from './span-queue.ts';

/** A batch that is not full goes out this long after its first span. */
const MAX_BATCH_AGE_MS = 200;
const MAX_IN_FLIGHT = 4;
/** A server that asks for a longer pause than this is asked again nevertheless. */
const MAX_SERVER_DELAY_MS = 3_600_000;
/** At the end, for what is not on disk yet, and more where time is left; a disk that hangs holds up nobody for longer. */
const LAST_WRITES_MS = 500;
/** For the disk to let go of a queue that another exporter waits for; it may be slow, and nothing is lost meanwhile. */
const HAND_ON_MS = 30_000;

export interface OtlpExporterDeps {
  readonly log: ExporterLog;
  readonly onSent?: OnSent | undefined;
  readonly clock?: Clock;
  /** Numbers in [0, 1), for the back-off's jitter. */
  readonly random?: () => number;
  readonly connect?: (options: OtlpOptions) => Promise<OtlpClient>;
  /** Of a queue on disk; `path` is its file's. */
  readonly openStore?: (path: string, onDamage: (damagedFile: string) => void) => BatchStore;
}

class OtlpExporter implements Exporter {
  readonly #name: string;
  readonly #options: OtlpOptions;
  readonly #log: ExporterLog;
  readonly #clock: Clock;
  readonly #connect: (options: OtlpOptions) => Promise<OtlpClient>;
  readonly #backoff: Backoff;
  readonly #counts = new Counts();
  readonly #queue: SendingQueue;
  readonly #outage: Trouble;
  readonly #drops: Trouble;
  readonly #disk: Trouble;
  #client: OtlpClient | undefined;
  readonly #onSent: OnSent | undefined;
  #inFlight = 0;
  /** Since when the endpoint has taken nothing; then only one request at a time tries it. */
  #downSinceMs: number | undefined;
  #lostConnection = false;
  #cancelAge: (() => void) | undefined;
  #cancelBackoff: (() => void) | undefined;
  #partialIsDue = false;
  #phase: 'open' | 'draining' | 'closed' = 'open';
  #onDrained: (() => void) | undefined;
  /** Takes what waits, so that nothing new is sent. */
  #heir: Heir | undefined;
  #shutdown: Promise<void> | undefined;

  constructor(name: string, options: OtlpOptions, deps: OtlpExporterDeps) {
    this.#name = name;
    this.#options = options;
    this.#log = createScrubbedLog(deps.log, options.headers);
    this.#onSent = deps.onSent;
    this.#clock = deps.clock ?? systemClock;
    this.#connect = deps.connect ?? createOtlpClient;
    this.#backoff = new Backoff(options.retry, deps.random ?? Math.random);
    this.#outage = new Trouble(this.#clock, (reason) => this.#warn(`does not answer (${reason})`));
    this.#drops = new Trouble(this.#clock, (reason) => this.#warn(reason));
    this.#disk = new Trouble(this.#clock, (reason) =>
      this.#warn(`has a queue on disk that fails (${reason})`),
    );
    this.#queue = options.disk === undefined ? new SpanQueue() : this.#diskQueue(options.disk, deps);
  }

  async start(): Promise<void> {
    const left = await this.#queue.open();
    this.#counts.accepted += left;
    if (left > 0) this.#log.info(`${this.#who}: ${spanCount(left)} of an earlier run wait on disk.`);
    this.#client = await this.#connect(this.#options);
    this.#pump();
  }

  #diskQueue({ directory, maxBytes }: OtlpDiskOptions, deps: OtlpExporterDeps): DiskQueue {
    const path = queuePath(directory, this.#name);
    const store = (deps.openStore ?? createBatchStore)(path, (damagedFile) =>
      this.#log.warn(
        `Exporter ${this.#name}: the queue ${path} was damaged; what can be read of it is sent, and the damaged file is kept as ${damagedFile}.`,
      ),
    );
    return new DiskQueue({
      ...{ store, maxBytes },
      onChange: () => this.#pump(),
      onLost: (spans) => this.#drop(spans, `misses spans that cannot be read from ${path} any more`),
      onFailure: (reason) => this.#disk.note(reason),
      onRecovery: () => {
        this.#disk.recovered();
        this.#log.info(`Exporter ${this.#name}: the queue ${path} can be written again.`);
      },
    });
  }

  export(spans: readonly PipelineSpan[]): void {
    const { full, stored } = this.#queue;
    const isOpen = this.#phase === 'open' && !full;
    const room = isOpen ? this.#options.queueSize - (this.#counts.waiting - stored) : 0;
    const taken = Math.max(0, Math.min(room, spans.length));
    this.#counts.accepted += spans.length;
    this.#counts.dropped += spans.length - taken;
    if (taken < spans.length) this.#drops.note(this.#whyNoRoom(full));
    this.#queue.add(spans, taken);
    this.#pump();
  }

  #whyNoRoom(full: boolean): string {
    if (this.#phase !== 'open') return 'has been closed';
    if (full) return `is too slow for the ${this.#options.disk?.maxBytes} bytes of its queue on disk`;
    return `is too slow for the queue of ${this.#options.queueSize}`;
  }

  shutdown(timeoutMs: number, heir?: Heir): Promise<void> {
    /* What is in another queue on disk is nobody else's to send. */
    if (this.#options.disk === undefined || heir?.sameQueue) this.#heir ??= heir;
    this.#shutdown ??= this.#drain(timeoutMs);
    return this.#shutdown;
  }

  adopt({ count, bytes }: EncodedSpans): void {
    this.#counts.accepted += count;
    this.#queue.giveBack({ count, bytes, firstSentMs: undefined });
    this.#pump();
  }

  hasRoom(count: number): boolean {
    const { bytes, full, stored } = this.#queue;
    if (full || bytes >= MAX_WAITING_BYTES) return false;
    return this.#counts.hasRoom(count, this.#options.queueSize, stored);
  }

  stats(): ExporterStats {
    const stats = this.#counts.stats(this.#name);
    return this.#options.disk === undefined ? stats : { ...stats, stored: this.#queue.stored };
  }

  /** Sends what may be sent now. Called after everything that may have changed that. */
  #pump(): void {
    while (this.#client !== undefined && this.#cancelBackoff === undefined && this.#heir === undefined) {
      if (this.#inFlight >= (this.#downSinceMs === undefined ? MAX_IN_FLIGHT : 1)) break;
      const batch = this.#queue.take(this.#partialIsDue || this.#phase === 'draining');
      if (batch === undefined) break;
      this.#send(this.#client, batch);
    }
    this.#watchAge();
    if (this.#isDrained) this.#onDrained?.();
  }

  /** Nothing waits; or, for an endpoint that is down, nothing but what is safe on disk. */
  get #isDrained(): boolean {
    if (this.#heir !== undefined) return this.#inFlight === 0;
    const { waiting } = this.#counts;
    return waiting === 0 || (this.#downSinceMs !== undefined && waiting === this.#queue.stored);
  }

  #watchAge(): void {
    if (!this.#queue.hasPartial) {
      this.#partialIsDue = false;
      this.#cancelAge?.();
      this.#cancelAge = undefined;
    } else if (this.#cancelAge === undefined && !this.#partialIsDue && this.#phase === 'open') {
      this.#cancelAge = this.#clock.after(MAX_BATCH_AGE_MS, () => {
        this.#cancelAge = undefined;
        this.#partialIsDue = true;
        this.#queue.flushPartial();
        this.#pump();
      });
    }
  }

  #send(client: OtlpClient, batch: Batch): void {
    batch.firstSentMs ??= this.#clock.now();
    if (this.#lostConnection && this.#inFlight === 0) {
      // grpc-js waits up to two minutes between connection attempts of one channel, whatever we do, and the
      // official exporter cannot be told otherwise: a new channel tries now.
      client.renew();
      this.#lostConnection = false;
    }
    this.#inFlight++;
    const sentMs = this.#clock.now();
    client.send(batch).then((result) => {
      this.#inFlight--;
      this.#onSent?.(this.#name, this.#clock.now() - sentMs);
      if (this.#phase === 'closed') return;
      this.#settle(batch, result);
      this.#pump();
    });
  }

  #settle(batch: Batch, result: SendResult): void {
    if (result.outcome === 'retry') {
      this.#retryLater(batch, result);
      return;
    }
    if (result.outcome === 'refused') {
      this.#queue.done(batch);
      this.#drop(batch.count, `refused spans for good (${result.reason})`);
      this.#cameUp();
      return;
    }
    this.#queue.done(batch);
    release(batch);
    const rejected = Math.min(Math.max(result.rejected, 0), batch.count);
    this.#counts.exported += batch.count - rejected;
    this.#cameUp();
    if (rejected > 0) this.#drop(rejected, `refused some spans (${result.message})`);
    else if (result.message !== '')
      this.#log.warn(`${this.#who} took all spans and warns: ${result.message}`);
  }

  #retryLater(batch: Batch, result: Extract<SendResult, { outcome: 'retry' }>): void {
    const { enabled, maxElapsedMs } = this.#options.retry;
    if (!enabled) {
      this.#queue.done(batch);
      this.#drop(batch.count, `failed and retrying is off (${result.reason})`);
      return;
    }
    this.#downSinceMs ??= this.#clock.now();
    this.#lostConnection ||= !result.connected;
    const first = this.#cancelBackoff === undefined;
    const delayMs = first
      ? Math.max(this.#backoff.nextMs(), Math.min(result.afterMs, MAX_SERVER_DELAY_MS))
      : 0;
    const elapsedMs = this.#clock.now() + delayMs - (batch.firstSentMs ?? 0);
    if (maxElapsedMs > 0 && elapsedMs > maxElapsedMs) {
      this.#queue.done(batch);
      this.#drop(batch.count, `has taken nothing for ${maxElapsedMs / 1000} s (${result.reason})`);
    } else {
      this.#queue.giveBack(batch);
      this.#outage.note(result.reason);
    }
    // Batches that were under way together fail together; that is one failure.
    if (!first) return;
    this.#cancelBackoff = this.#clock.after(delayMs, () => {
      this.#cancelBackoff = undefined;
      this.#pump();
    });
  }

  #cameUp(): void {
    if (this.#downSinceMs === undefined) return;
    const seconds = ((this.#clock.now() - this.#downSinceMs) / 1000).toFixed(1);
    this.#downSinceMs = undefined;
    this.#lostConnection = false;
    this.#backoff.reset();
    this.#outage.recovered();
    const { waiting, dropped } = this.#counts;
    this.#log.info(
      `${this.#who} answers again after ${seconds} s: ${spanCount(waiting)} waiting, ${dropped} dropped so far.`,
    );
  }

  #drop(count: number, why: string): void {
    this.#counts.dropped += count;
    this.#drops.note(why);
  }

  get #who(): string {
    return `Exporter ${this.#name}: ${this.#options.endpoint}`;
  }

  #warn(what: string): void {
    const { waiting, dropped } = this.#counts;
    this.#log.warn(`${this.#who} ${what}: ${spanCount(waiting)} waiting, ${dropped} dropped so far.`);
  }

  #cancelTimers(): void {
    this.#cancelAge?.();
    this.#cancelAge = undefined;
    this.#cancelBackoff?.();
    this.#cancelBackoff = undefined;
  }

  async #drain(timeoutMs: number): Promise<void> {
    const startedMs = this.#clock.now();
    this.#phase = 'draining';
    this.#cancelTimers();
    if (this.#heir !== undefined && !this.#heir.sameQueue) this.#bequeath(this.#heir);
    const ended = new Promise<void>((resolve) => {
      const cancel = this.#clock.after(timeoutMs, resolve);
      this.#onDrained = () => {
        cancel();
        resolve();
      };
    });
    this.#pump();
    await ended;
    this.#phase = 'closed';
    this.#onDrained = undefined;
    this.#cancelTimers();
    this.#outage.close(false);
    if (this.#heir !== undefined && !this.#heir.sameQueue) this.#bequeath(this.#heir);
    const leftMs = timeoutMs - (this.#clock.now() - startedMs);
    await this.#closeQueue(this.#heir?.sameQueue ? HAND_ON_MS : Math.max(LAST_WRITES_MS, leftMs));
    if (this.#heir?.sameQueue) this.#bequeath(this.#heir);
    const left = this.#counts.waiting - this.#queue.stored;
    if (left > 0) {
      this.#counts.dropped += left;
      this.#drops.close(false);
      this.#warn(`did not take the last ${spanCount(left)} within ${timeoutMs / 1000} s`);
    } else this.#drops.close(true);
    this.#client?.close();
  }

  /** All that is not on disk. */
  #bequeath(heir: Heir): void {
    for (let batch = this.#queue.take(true); batch; batch = this.#queue.take(true)) {
      if (batch.id !== undefined) continue;
      this.#counts.accepted -= batch.count;
      heir.adopt(batch);
    }
  }

  /** Nothing is sent any more: what is on disk is for the next run. */
  async #closeQueue(timeoutMs: number): Promise<void> {
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(timeoutMs, resolve);
    });
    await Promise.race([this.#queue.close(), late]);
    cancel();
    this.#disk.close(true);
    const { stored } = this.#queue;
    if (stored > 0 && this.#heir === undefined)
      this.#log.info(`${this.#who}: ${spanCount(stored)} stay on disk for the next run.`);
  }
}

/**
 * Sends spans over OTLP. Memory is bounded by `queueSize` spans, and a queue on disk by its own limit; an endpoint that is down, at start or
 * later, is warned about and tried again with back-off.
 */
export function createOtlpExporter(name: string, options: OtlpOptions, deps: OtlpExporterDeps): Exporter {
  return new OtlpExporter(name, options, deps);
}
