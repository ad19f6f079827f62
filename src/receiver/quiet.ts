import type { RingMemory } from '../native/ring.ts';
import { CONNECTION, readSideRecord, SIDE_FLAGS, SIDE_RECORD, type SideRecord } from '../records.gen.ts';

/** enum hs_phase of bpf/connection.h */
const PHASE_ANSWER = 2;

interface Reported {
  exchange: number;
  totalRead: number;
  totalWritten: number;
}

/**
 * Finds answered exchanges that went quiet, in the connection table that the probes write: the kernel ends
 * an exchange only when the next one begins or the socket is released, and a kept-alive connection may stay
 * silent for hours. What was reported from here is remembered, so that the kernel's own record of it later
 * does not count twice.
 */
export interface QuietExchanges {
  /** Snapshots of exchanges whose last byte moved before `beforeNs` (monotonic). */
  scan(table: RingMemory, places: number, beforeNs: number): SideRecord[];
  /** The kernel's record less what a snapshot has already told. */
  reconcile(record: SideRecord): SideRecord;
}

export function createQuietExchanges(): QuietExchanges {
  const reported = new Map<number, Reported>();
  return {
    scan(table, places, beforeNs) {
      const found: SideRecord[] = [];
      const { u32 } = table;
      for (let place = 0; place < places; place++) {
        const at = place * CONNECTION.size;
        const w = at >> 2;
        if (u32[w + (SIDE_RECORD.connection >> 2)] === 0 && u32[w + (SIDE_RECORD.connection >> 2) + 1] === 0)
          continue;
        if (u32[w + (CONNECTION.phase >> 2)] !== PHASE_ANSWER) continue;
        if (lastByteNs(u32, w) >= beforeNs) continue;
        const record = readSideRecord(table, at);
        if (!(record.flags & SIDE_FLAGS.EXCHANGE) || record.connection === 0) continue;
        const before = reported.get(record.connection);
        if (before?.exchange === record.exchange && sameTotals(before, record)) continue;
        const snapshot = continued(before, record);
        snapshot.flags |= SIDE_FLAGS.SNAPSHOT;
        remember(reported, record);
        found.push(snapshot);
      }
      return found;
    },
    reconcile(record) {
      const before = reported.get(record.connection);
      if (!before) return record;
      if (record.flags & SIDE_FLAGS.ENDED || record.exchange !== before.exchange)
        reported.delete(record.connection);
      return continued(before, record);
    },
  };
}

function continued(before: Reported | undefined, record: SideRecord): SideRecord {
  if (before?.exchange !== record.exchange) return record;
  if (sameTotals(before, record)) return { ...record, flags: record.flags & ~SIDE_FLAGS.EXCHANGE };
  /* More of the answer came after the quiet: only that is new. */
  return {
    ...record,
    flags: record.flags | SIDE_FLAGS.SERVER_FIRST,
    arrivedNs: 0,
    firstReadNs: record.lastReadNs,
    firstWriteNs: record.lastWriteNs,
    bytesRead: record.totalRead - before.totalRead,
    bytesWritten: record.totalWritten - before.totalWritten,
  };
}

function remember(reported: Map<number, Reported>, record: SideRecord): void {
  const { exchange, totalRead, totalWritten } = record;
  reported.set(record.connection, { exchange, totalRead, totalWritten });
}

function sameTotals(a: Reported, b: Reported): boolean {
  return a.totalRead === b.totalRead && a.totalWritten === b.totalWritten;
}

function lastByteNs(u32: Uint32Array, w: number): number {
  const read = w + (SIDE_RECORD.lastReadNs >> 2);
  const written = w + (SIDE_RECORD.lastWriteNs >> 2);
  return Math.max(
    (u32[read] as number) + (u32[read + 1] as number) * 4294967296,
    (u32[written] as number) + (u32[written + 1] as number) * 4294967296,
  );
}
