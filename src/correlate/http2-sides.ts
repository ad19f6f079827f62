import type { HttpMessageRecord } from '../receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS, type SideRecord } from '../records.gen.ts';
import { hasEnded, isDownstream, isOver, isReset, type Side } from './side.ts';

/** A stream of which only one half came is given up after so long, for records may have been lost; nanoseconds. */
const FORGET_NS = 3_600_000_000_000;
/** Messages of a connection whose own record has not come, or never will; nanoseconds. */
const UNSURE_NS = 60_000_000_000;
const PRUNE_INTERVAL_NS = 10_000_000_000;
/** Streams of one connection that have begun and are not over; the oldest is given up above it. */
const MAX_STREAMS = 4096;
/** What stays of a connection's first record in the records of its streams. */
const KEPT_FLAGS = SIDE_FLAGS.PREEXISTING | SIDE_FLAGS.PROXY_HEADER | SIDE_FLAGS.BROKEN;

interface Stream {
  request: HttpMessageRecord | undefined;
  answer: HttpMessageRecord | undefined;
}

interface Connection {
  facts: SideRecord | undefined;
  /** By number, the oldest first. */
  readonly streams: Map<number, Stream>;
  /** The number of the newest. */
  begun: number;
  /** It is HTTP/2 no more: its exchanges go on in the same numbers. */
  broken: boolean;
  lastNs: number;
}

/**
 * The streams of HTTP/2 connections, each as one record a side, like the exchanges of other connections. They are given
 * in the order in which they end; their exchange number is the order in which they began, which both ends of a
 * connection and both sides of a relay count alike.
 */
export interface Http2Sides {
  /** Takes the records of HTTP/2 connections; false for others. */
  onSide(record: SideRecord): boolean;
  /** Of one stream, the answer first. */
  onMessage(message: HttpMessageRecord): void;
  advance(nowNs: number): void;
  /** Connections that are remembered. */
  size(): number;
  /** Gives out what at most so many connections hold; true when none is left. */
  flush(limit?: number): boolean;
}

export function createHttp2Sides(emit: (side: Side) => void): Http2Sides {
  const connections = new Map<number, Connection>();
  let nowNs = 0;
  let prunedNs = 0;

  function connectionOf(id: number): Connection {
    let connection = connections.get(id);
    if (!connection) {
      connection = { facts: undefined, streams: new Map(), begun: 0, broken: false, lastNs: nowNs };
      connections.set(id, connection);
    }
    connection.lastNs = nowNs;
    return connection;
  }

  function settle(connection: Connection): void {
    const { facts, streams } = connection;
    if (!facts) return;
    for (const [number, stream] of streams) {
      if (!isDone(stream) && streams.size <= MAX_STREAMS) continue;
      streams.delete(number);
      emit(sideOf(facts, number, stream));
    }
  }

  /** Streams that the connection's end cut off carry it; who ended it, the last record tells. */
  function giveCut({ streams }: Connection, record: SideRecord): void {
    const ended = hasEnded(record) ? SIDE_FLAGS.ENDED | (record.flags & SIDE_FLAGS.UNDELIVERED) : 0;
    for (const [number, stream] of streams) {
      const side = sideOf(record, number, stream);
      emit({ ...side, flags: side.flags | ended, cut: true });
    }
    streams.clear();
  }

  /** The record by which the kernel says that HTTP/2 has ended here holds no exchange, and is no end. */
  function onOther(connection: Connection, record: SideRecord): void {
    if (!connection.broken) giveCut(connection, record);
    connection.broken = true;
    if (record.flags & (SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.ENDED)) {
      emit({ ...record, exchange: record.exchange + connection.begun });
    }
    if (hasEnded(record)) connections.delete(record.connection);
  }

  return {
    onSide(record) {
      const known = connections.get(record.connection);
      if (!(record.flags & SIDE_FLAGS.HTTP2)) {
        if (known?.facts) onOther(known, record);
        else connections.delete(record.connection);
        return known?.facts !== undefined;
      }
      const connection = connectionOf(record.connection);
      connection.facts = record;
      settle(connection);
      if (!hasEnded(record)) return true;
      connections.delete(record.connection);
      giveCut(connection, record);
      emit({ ...record, exchange: connection.begun });
      return true;
    },
    onMessage(message) {
      if (message.number === 0) return; // its request was before our time
      const connection = connectionOf(message.connection);
      const stream = connection.streams.get(message.number) ?? { request: undefined, answer: undefined };
      if (message.flags & MESSAGE_FLAGS.ANSWER_MESSAGE) stream.answer = message;
      else stream.request = message;
      connection.streams.set(message.number, stream);
      connection.begun = Math.max(connection.begun, message.number);
      settle(connection);
    },
    advance(ns) {
      nowNs = ns;
      if (nowNs - prunedNs < PRUNE_INTERVAL_NS) return;
      prunedNs = nowNs;
      for (const [id, { lastNs, facts }] of connections) {
        if (nowNs - lastNs > (facts ? FORGET_NS : UNSURE_NS)) connections.delete(id);
      }
    },
    size: () => connections.size,
    flush(limit = Number.POSITIVE_INFINITY) {
      let count = 0;
      for (const [id, { facts, streams }] of connections) {
        if (count++ === limit) return false;
        connections.delete(id);
        if (!facts) continue;
        for (const [number, stream] of streams) {
          if (stream.request && stream.answer) emit(sideOf(facts, number, stream));
        }
      }
      return true;
    },
  };
}

/** Who resets a stream ends both of its directions (RFC 9113, section 5.4.2). */
function isDone({ request, answer }: Stream): boolean {
  if (!request) return false;
  return isReset(request) || isReset(answer) || (answer !== undefined && isOver(request) && isOver(answer));
}

function sideOf(facts: SideRecord, number: number, { request, answer }: Stream): Side {
  const down = isDownstream(facts);
  const [read, written] = down ? [request, answer] : [answer, request];
  const newest = answer ?? request;
  return {
    ...facts,
    flags:
      (facts.flags & KEPT_FLAGS) |
      SIDE_FLAGS.EXCHANGE |
      (!down && answer && answer.flags & MESSAGE_FLAGS.ALONE ? SIDE_FLAGS.UNCHAINED : 0),
    peer: newest?.peer || facts.peer,
    exchange: number,
    arrivedNs: read?.arrivedNs ?? 0,
    firstReadNs: read?.firstNs ?? 0,
    lastReadNs: read?.lastNs ?? 0,
    firstWriteNs: written?.firstNs ?? 0,
    lastWriteNs: written?.lastNs ?? 0,
    bytesRead: read?.bytes ?? 0,
    bytesWritten: written?.bytes ?? 0,
    reads: read?.operations ?? 0,
    writes: written?.operations ?? 0,
    srttUs: newest?.srttUs ?? facts.srttUs,
    retransmits: newest?.retransmits ?? facts.retransmits,
    outOfOrder: newest?.outOfOrder ?? facts.outOfOrder,
    http: { ...(request ? { request } : {}), ...(answer ? { answer } : {}) },
  };
}
