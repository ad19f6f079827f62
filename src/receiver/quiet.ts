import type { RingMemory } from '../native/ring.ts';
import { CONNECTION, readSideRecord, SIDE_FLAGS, SIDE_RECORD, type SideRecord } from '../records.gen.ts';

/** enum hs_phase of bpf/connection.h */
const PHASE_ANSWER = 2;

/** Scans between two looks for connections that ended unheard, since their last record was lost. */
const PRUNE_EVERY = 16;

interface Totals {
  totalRead: number;
  totalWritten: number;
}

interface Reported extends Totals {
  exchange: number;
  /** Application data over TLS in this exchange; an alert at the connection's end is none. */
  tlsBytes: number;
}

/**
 * Finds answered exchanges that went quiet, in the connection table that the probes write: the kernel ends
 * an exchange only when the next one begins or the socket is released, and a kept-alive connection may stay
 * silent for hours. What was reported from here is remembered, so that the kernel's own record of it later
 * does not count twice.
 */
export interface QuietExchanges {
  /**
   * Snapshots of exchanges whose last byte moved before `beforeNs` (monotonic), or before `unpairedBeforeNs` where they
   * are to be paired by turns and TLS hides where they end. To be called when the ring has been
   * drained, lest a snapshot overtake the kernel's records.
   */
  scan(table: RingMemory, places: number, beforeNs: number, unpairedBeforeNs?: number): SideRecord[];
  /**
   * For the end of the watch: connections that the proxy has closed while TCP waits for the far end, which may take a
   * minute, as if they had ended.
   */
  closed(table: RingMemory, places: number): SideRecord[];
  /** The kernel's record less what a snapshot has already told. */
  reconcile(record: SideRecord): SideRecord;
  /** Connections of which a snapshot was told. */
  size(): number;
}

export function createQuietExchanges(): QuietExchanges {
  const reported = new Map<number, Reported>();
  /** Not in the table at the last look. */
  let gone = new Set<number>();
  let scans = 0;

  /** Twice, because the last record of a connection may be in the ring while its place is free already. */
  function prune({ u32 }: RingMemory, places: number): void {
    const missing = new Set(reported.keys());
    for (let place = 0; place < places; place++) missing.delete(connectionAt(u32, place));
    for (const connection of missing) if (gone.has(connection)) reported.delete(connection);
    gone = missing;
  }

  function reconcile(record: SideRecord): SideRecord {
    const before = reported.get(record.connection);
    if (!before) return record;
    if (record.flags & SIDE_FLAGS.ENDED || record.exchange !== before.exchange)
      reported.delete(record.connection);
    return continued(before, record);
  }

  return {
    size: () => reported.size,
    scan(table, places, beforeNs, unpairedBeforeNs = beforeNs) {
      const found: SideRecord[] = [];
      const { u32 } = table;
      if (++scans % PRUNE_EVERY === 0) prune(table, places);
      for (let place = 0; place < places; place++) {
        const connection = connectionAt(u32, place);
        if (connection === 0) continue;
        const before = reported.get(connection);
        const soon = awaitsPairing(u32, place) && before?.exchange !== exchangeAt(u32, place);
        const sinceNs = soon ? unpairedBeforeNs : beforeNs;
        if (!isQuiet(u32, place, sinceNs)) continue;
        if (before && isAsTold(u32, place, before)) continue;
        const record = readSideRecord(table, place * CONNECTION.size);
        /* The probes may have begun to write it anew while it was read. */
        if (!isQuiet(u32, place, sinceNs) || !isAsTold(u32, place, record)) continue;
        if (!(record.flags & SIDE_FLAGS.EXCHANGE) || record.connection !== connection) continue;
        const snapshot = continued(before, record);
        snapshot.flags |= SIDE_FLAGS.SNAPSHOT;
        remember(reported, record);
        found.push(snapshot);
      }
      return found;
    },
    closed(table, places) {
      const found: SideRecord[] = [];
      for (let place = 0; place < places; place++) {
        const record = readSideRecord(table, place * CONNECTION.size);
        if (record.connection === 0 || record.closeOp === 0) continue;
        record.flags |= SIDE_FLAGS.ENDED;
        found.push(reconcile(record));
      }
      return found;
    },
    reconcile,
  };
}

function connectionAt(u32: Uint32Array, place: number): number {
  return u64(u32, place, SIDE_RECORD.connection);
}

function exchangeAt(u32: Uint32Array, place: number): number {
  return u32[(place * CONNECTION.size + SIDE_RECORD.exchange) >> 2] as number;
}

/** Answered, and no byte has moved since; a place whose exchange begins this moment has no last byte yet. */
function isQuiet(u32: Uint32Array, place: number, beforeNs: number): boolean {
  if (u32[(place * CONNECTION.size + CONNECTION.phase) >> 2] !== PHASE_ANSWER) return false;
  const last = Math.max(u64(u32, place, SIDE_RECORD.lastReadNs), u64(u32, place, SIDE_RECORD.lastWriteNs));
  return last !== 0 && last < beforeNs;
}

/** A request and an answer over TLS, unpaired, in turns that are counted. */
function awaitsPairing(u32: Uint32Array, place: number): boolean {
  const at = (field: number): number => u32[(place * CONNECTION.size + field) >> 2] as number;
  if (at(SIDE_RECORD.tlsRecordsRead) === 0 || at(SIDE_RECORD.tlsRecordsWritten) === 0) return false;
  return at(SIDE_RECORD.opTid) !== 0 && u64(u32, place, SIDE_RECORD.peer) === 0;
}

function isAsTold(u32: Uint32Array, place: number, told: Totals & { exchange: number }): boolean {
  return (
    exchangeAt(u32, place) === told.exchange &&
    u64(u32, place, SIDE_RECORD.totalRead) === told.totalRead &&
    u64(u32, place, SIDE_RECORD.totalWritten) === told.totalWritten
  );
}

/** A field of the record that stands first in a place. */
function u64(u32: Uint32Array, place: number, field: number): number {
  const w = (place * CONNECTION.size + field) >> 2;
  return (u32[w] as number) + (u32[w + 1] as number) * 4294967296;
}

function continued(before: Reported | undefined, record: SideRecord): SideRecord {
  if (before?.exchange !== record.exchange) return record;
  if (sameTotals(before, record) || sameTls(before, record))
    return { ...record, flags: record.flags & ~SIDE_FLAGS.EXCHANGE };
  /* More of the answer came after the quiet: only that is new, and of its moments the last one is known. */
  const bytesRead = record.totalRead - before.totalRead;
  const bytesWritten = record.totalWritten - before.totalWritten;
  const readNs = bytesRead > 0 ? record.lastReadNs : 0;
  const writtenNs = bytesWritten > 0 ? record.lastWriteNs : 0;
  return {
    ...record,
    flags: record.flags | SIDE_FLAGS.SERVER_FIRST,
    arrivedNs: 0,
    firstReadNs: readNs,
    lastReadNs: readNs,
    firstWriteNs: writtenNs,
    lastWriteNs: writtenNs,
    bytesRead,
    bytesWritten,
    opTid: 0, // nor are its turns
  };
}

function remember(reported: Map<number, Reported>, record: SideRecord): void {
  const { exchange, totalRead, totalWritten, tlsBytesRead, tlsBytesWritten } = record;
  const tlsBytes = tlsBytesRead + tlsBytesWritten;
  reported.set(record.connection, { exchange, totalRead, totalWritten, tlsBytes });
}

function sameTls(before: Reported, { flags, peer, tlsBytesRead, tlsBytesWritten }: SideRecord): boolean {
  return (flags & SIDE_FLAGS.TLS) !== 0 && peer === 0 && before.tlsBytes === tlsBytesRead + tlsBytesWritten;
}

function sameTotals(a: Totals, b: Totals): boolean {
  return a.totalRead === b.totalRead && a.totalWritten === b.totalWritten;
}
