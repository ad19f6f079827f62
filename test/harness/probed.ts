import { ROLE, SIDE_FLAGS, type SideRecord } from '../../src/records.gen.ts';

/** A connection as the probes see it (bpf/exchange.h): it emits a record when the direction turns, and at its end. */
export interface Probed {
  /** What the next record says, so far. */
  readonly record: SideRecord;
  read(bytes: number, ns: number): void;
  write(bytes: number, ns: number): void;
  /** The socket is released; both FINs at that moment where `fields` says nothing else. */
  end(ns: number, fields?: Partial<SideRecord>): void;
}

export function probed(start: SideRecord, emit: (record: SideRecord) => void): Probed {
  const record = { ...start };
  let phase: 'quiet' | 'request' | 'answer' = 'quiet';

  function begin(): void {
    if (record.flags & SIDE_FLAGS.EXCHANGE) emit({ ...record });
    record.flags = (record.flags & (SIDE_FLAGS.PREEXISTING | SIDE_FLAGS.PROXY_HEADER)) | SIDE_FLAGS.EXCHANGE;
    record.exchange++;
    record.arrivedNs = record.firstReadNs = record.lastReadNs = record.firstWriteNs = record.lastWriteNs = 0;
    record.bytesRead = record.bytesWritten = record.reads = record.writes = 0;
  }

  function turn(request: boolean): void {
    if (request && phase !== 'request') begin();
    if (!request && phase === 'quiet') {
      begin();
      record.flags |= SIDE_FLAGS.SERVER_FIRST;
    }
    phase = request ? 'request' : 'answer';
  }

  return {
    record,
    read(bytes, ns) {
      turn(record.role === ROLE.DOWNSTREAM);
      record.arrivedNs ||= ns - 1;
      record.firstReadNs ||= ns;
      record.lastReadNs = ns;
      record.bytesRead += bytes;
      record.totalRead += bytes;
      record.reads++;
    },
    write(bytes, ns) {
      turn(record.role === ROLE.UPSTREAM);
      record.firstWriteNs ||= ns;
      record.lastWriteNs = ns;
      record.bytesWritten += bytes;
      record.totalWritten += bytes;
      record.writes++;
    },
    end(ns, fields = {}) {
      const end = { finReceivedNs: ns, finSentNs: ns, closedNs: ns, releasedNs: ns };
      emit({ ...record, ...end, flags: record.flags | SIDE_FLAGS.ENDED, ...fields });
    },
  };
}

/** The proxy sent on one connection what it had received on the other. */
export function pairUp(downstream: Probed, upstream: Probed): void {
  downstream.record.peer = upstream.record.connection;
  upstream.record.peer = downstream.record.connection;
}
