import type { BatchStore } from '../../src/exporter/otlp/batch-store.ts';
import type { StoredBatch } from '../../src/exporter/otlp/queue-file.ts';

/** A disk in memory that fails when it is told to. */
export interface MemoryStore extends BatchStore {
  readonly rows: Map<number, StoredBatch>;
  /** The most rows that were asked for and not yet answered. */
  readonly counts: { puts: number; reads: number; closed: boolean };
  /** Why writing fails; undefined: it does not. */
  failure: string | undefined;
  /** Ids whose bytes cannot be read. */
  readonly damaged: Set<number>;
  /** Rows that are gone, as after a repair. */
  forget(id: number): void;
  /** Answers nothing until `resume`. */
  hang(): void;
  resume(): void;
}

export function createMemoryStore(rows = new Map<number, StoredBatch>()): MemoryStore {
  const damaged = new Set<number>();
  const counts = { puts: 0, reads: 0, closed: false };
  let gate: Promise<void> = Promise.resolve();
  let open = (): void => {};
  const ordered = () => [...rows.values()].sort((a, b) => a.id - b.id);
  const sum = (key: (row: StoredBatch) => number) => ordered().reduce((total, row) => total + key(row), 0);
  const store: MemoryStore = {
    rows,
    counts,
    damaged,
    failure: undefined,
    async open() {
      return {
        spans: sum(({ spans }) => spans),
        bytes: sum(({ bytes }) => bytes.length),
        lastId: ordered().at(-1)?.id ?? 0,
      };
    },
    async put(id, spans, bytes) {
      const copy = new Uint8Array(bytes);
      counts.puts++;
      await gate;
      if (store.failure !== undefined) throw new Error(store.failure);
      rows.set(id, { id, spans, bytes: copy });
    },
    async readAfter(id, limit) {
      counts.reads++;
      await gate;
      if (store.failure !== undefined) throw new Error(store.failure);
      const found = ordered()
        .filter((row) => row.id > id)
        .slice(0, limit);
      return {
        batches: found
          .filter((row) => !damaged.has(row.id))
          .map(({ bytes, ...row }) => ({ ...row, bytes: new Uint8Array(bytes) })),
        damaged: found
          .filter((row) => damaged.has(row.id))
          .map(({ bytes, ...row }) => ({ id: row.id, spans: row.spans, length: bytes.length })),
        lastId: found.at(-1)?.id,
      };
    },
    async remove(id) {
      await gate;
      if (store.failure !== undefined) throw new Error(store.failure);
      rows.delete(id);
    },
    async close() {
      await gate;
      counts.closed = true;
    },
    forget: (id) => void rows.delete(id),
    hang() {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    resume: () => open(),
  };
  return store;
}
