import type { RingMemory } from '../native/ring.ts';
import {
  CONNECTION,
  KIND,
  MESSAGE_FLAGS,
  ROLE,
  readSideRecord,
  SIDE_FLAGS,
  type SideRecord,
} from '../records.gen.ts';
import { type HttpMessageRecord, type KernelRecord, RECEIVER_KIND } from './kernel-record.ts';

/**
 * Connections of processes that are watched no more. The kernel follows those that it knows to their end; of those without
 * a pair it would tell half the truth, since nothing new of the process is seen. What began before is told.
 */
export interface MutedConnections {
  /** What begins from `sinceNs` (monotonic) on is not told of the process's connections in this table without a pair. */
  mute(tgid: number, table: RingMemory, places: number, sinceNs: number): void;
  /** The process is watched again, or gone. */
  unmute(tgid: number): void;
  /** Whether a record is not to be told; of a connection that ends it is the last time. */
  has(record: KernelRecord): boolean;
  size(): number;
}

/**
 * A request that was read so shortly before is not told, either: its upstream connection may have been opened too late to
 * be followed, and the hop would say that there was none.
 */
const SHORTLY_NS = 100_000_000;

interface Muted {
  readonly tgid: number;
  /** What begins from then on is not told. */
  readonly sinceNs: number;
  /** The first request that is not told, by its number or stream. */
  firstRequest: number;
}

export function createMutedConnections(): MutedConnections {
  const muted = new Map<number, Muted>();
  return {
    mute(tgid, table, places, sinceNs) {
      for (let place = 0; place < places; place++) {
        const record = readSideRecord(table, place * CONNECTION.size);
        if (record.connection === 0 || record.tgid !== tgid || record.peer !== 0) continue;
        muted.set(record.connection, {
          ...{ tgid, firstRequest: Number.POSITIVE_INFINITY },
          sinceNs: record.role === ROLE.DOWNSTREAM ? sinceNs - SHORTLY_NS : sinceNs,
        });
      }
    },
    unmute(tgid) {
      for (const [connection, { tgid: owner }] of muted) if (owner === tgid) muted.delete(connection);
    },
    has(record) {
      if (muted.size === 0 || !('connection' in record)) return false;
      const state = muted.get(record.connection);
      if (!state) return false;
      switch (record.kind) {
        case KIND.SIDE:
          if (record.flags & SIDE_FLAGS.ENDED) muted.delete(record.connection);
          if (record.flags & SIDE_FLAGS.EXCHANGE) return beginOf(record) >= state.sinceNs;
          return state.firstRequest <= 1; // nothing was told of it
        case RECEIVER_KIND.HTTP_MESSAGE:
          return isLate(record, state);
        case RECEIVER_KIND.TLS_HELLO:
          return false;
      }
    },
    size: () => muted.size,
  };
}

/** When the exchange began on this side: with what the client sent. */
function beginOf({ role, firstReadNs, firstWriteNs }: SideRecord): number {
  const [first, other] = role === ROLE.DOWNSTREAM ? [firstReadNs, firstWriteNs] : [firstWriteNs, firstReadNs];
  return first || other;
}

/** An answer follows its request. */
function isLate(record: HttpMessageRecord, state: Muted): boolean {
  const request = record.stream || record.number;
  if (record.flags & MESSAGE_FLAGS.ANSWER_MESSAGE) return request >= state.firstRequest;
  if (record.firstNs < state.sinceNs) return false;
  state.firstRequest = Math.min(state.firstRequest, request);
  return true;
}
