import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ExporterConfig } from '../config/types.ts';
import type { EncodedSpans, Exporter, ExporterStats, Heir } from '../exporter/exporter.ts';
import type { ExporterLog } from '../exporter/log.ts';
import type { PipelineSpan } from '../spans/foreign-span.ts';
import { type Change, LEAVE_MS } from './change.ts';

/** Spans that wait while a queue on disk changes hands. */
const HELD_SPANS = 20_480;
/**
 * The place of one exporter in the graph, which stays while the exporter in it is replaced. All that was accepted is
 * accounted for across replacements.
 */
export class ExporterSlot implements Exporter {
  readonly #create: (config: ExporterConfig) => Exporter;
  readonly #log: ExporterLog;
  #config: ExporterConfig;
  #exporter: Exporter;
  /** Replaced, and not closed yet. */
  readonly #leaving = new Set<Exporter>();
  readonly #past = { exported: 0, dropped: 0 };
  /** While nobody has the queue. */
  #held: (readonly PipelineSpan[])[] | undefined;
  #heldSpans = 0;

  constructor(config: ExporterConfig, create: (config: ExporterConfig) => Exporter, log: ExporterLog) {
    this.#config = config;
    this.#create = create;
    this.#log = log;
    this.#exporter = create(config);
  }

  start(): Promise<void> {
    return this.#exporter.start();
  }

  export(spans: readonly PipelineSpan[]): void {
    if (this.#held === undefined) {
      this.#exporter.export(spans);
      return;
    }
    const taken = spans.slice(0, Math.max(0, HELD_SPANS - this.#heldSpans));
    this.#past.dropped += spans.length - taken.length;
    this.#held.push(taken);
    this.#heldSpans += taken.length;
  }

  async shutdown(timeoutMs: number): Promise<void> {
    const all = [...this.#leaving, this.#exporter];
    await Promise.all(all.map((exporter) => exporter.shutdown(timeoutMs)));
  }

  hasRoom(count: number): boolean {
    if (this.#held !== undefined) return this.#heldSpans + count <= HELD_SPANS;
    return this.#exporter.hasRoom(count);
  }

  stats(): ExporterStats {
    const current = this.#exporter.stats();
    const sum = { exported: current.exported, dropped: current.dropped, waiting: current.waiting };
    for (const exporter of this.#leaving) {
      const { exported, dropped, waiting } = exporter.stats();
      sum.exported += exported;
      sum.dropped += dropped;
      sum.waiting += waiting;
    }
    const exported = sum.exported + this.#past.exported;
    const dropped = sum.dropped + this.#past.dropped;
    const waiting = sum.waiting + this.#heldSpans;
    return { ...current, exported, dropped, waiting, accepted: exported + dropped + waiting };
  }

  isAs(config: ExporterConfig): boolean {
    return isDeepStrictEqual(config, this.#config);
  }

  /** @throws HopspanError where the new one cannot start; the old one then works on. */
  async prepare(config: ExporterConfig): Promise<Change> {
    if (haveSameQueue(this.#config, config)) return this.#handQueueOn(config);
    const next = this.#create(config);
    try {
      await next.start();
    } catch (error) {
      await next.shutdown(0);
      throw error;
    }
    const old = this.#exporter;
    return {
      commit: () => {
        this.#leaving.add(old);
        this.#exporter = next;
        this.#config = config;
      },
      undo: () => next.shutdown(0),
      settle: () => this.#end(old, next),
    };
  }

  /** One owner at a time: the old one closes before the new one opens, and what comes in between waits here. */
  async #handQueueOn(config: ExporterConfig): Promise<Change> {
    const before = this.#config;
    const swap = async (to: ExporterConfig): Promise<void> => {
      this.#held ??= [];
      const old = this.#exporter;
      const waits: EncodedSpans[] = [];
      await old.shutdown(LEAVE_MS, { sameQueue: true, adopt: (spans) => void waits.push(spans) });
      this.#account(old);
      this.#exporter = this.#create(to);
      this.#config = to;
      await this.#exporter.start();
      for (const spans of waits) this.#exporter.adopt?.(spans);
    };
    const swapBack = async (): Promise<void> => {
      try {
        await swap(before);
      } catch (error) {
        this.#log.warn(`${(error as Error).message} Exporter ${before.name} keeps its spans in memory.`);
      } finally {
        this.#release();
      }
    };
    try {
      await swap(config);
    } catch (error) {
      await swapBack();
      throw error;
    }
    this.#release();
    return { commit: () => {}, undo: swapBack, settle: async () => {} };
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldSpans = 0;
    for (const spans of held) this.#exporter.export(spans);
  }

  async #end(old: Exporter, next: Exporter): Promise<void> {
    const heir: Heir | undefined = next.adopt && {
      sameQueue: false,
      adopt: (spans) => next.adopt?.(spans),
    };
    await old.shutdown(LEAVE_MS, heir);
    this.#leaving.delete(old);
    this.#account(old);
  }

  #account(ended: Exporter): void {
    const { exported, dropped } = ended.stats();
    this.#past.exported += exported;
    this.#past.dropped += dropped;
  }
}

function haveSameQueue(one: ExporterConfig, other: ExporterConfig): boolean {
  if (one.type !== 'otlp' || other.type !== 'otlp' || !one.disk || !other.disk) return false;
  return resolve(one.disk.directory) === resolve(other.disk.directory);
}
