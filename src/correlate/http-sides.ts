import type { HttpMessageRecord } from '../receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS, type SideRecord } from '../records.gen.ts';
import {
  answerTotal,
  hasEnded,
  isDownstream,
  isInterim,
  isOver,
  isPreexisting,
  lastByteNs,
  MANY_THREADS,
  requestTotal,
  type Side,
} from './side.ts';

/** An exchange waits so long for its connection's end, or the next exchange; nanoseconds. */
const HOLD_NS = 1_000_000_000;
/** Answers that nobody asked for, as many as wait for a request; the kernel follows no more requests at once either. */
const MAX_ANSWERS = 64;
/** A connection that turned out to be no HTTP/1, or whose records were lost, is forgotten after so long; nanoseconds. */
const UNSURE_NS = 60_000_000_000;
/** One that was joined amid an exchange, and has not shown yet what it speaks. */
const JOINED_NS = 1_800_000_000_000;
const FORGET_NS = 86_400_000_000_000;
const PRUNE_INTERVAL_NS = 10_000_000_000;
/** What stays of a connection's first record in the records of its exchanges. */
const KEPT_FLAGS = SIDE_FLAGS.PREEXISTING | SIDE_FLAGS.PROXY_HEADER;

interface Connection {
  /** The newest record of the connection itself; undefined until it is sure that it speaks HTTP/1. */
  facts: SideRecord | undefined;
  readonly requests: HttpMessageRecord[];
  readonly answers: HttpMessageRecord[];
  /** Bytes of whole exchanges so far. */
  requestBytes: number;
  answerBytes: number;
  /** Of answers before the final one (100 Continue), which go with it. */
  interim: HttpMessageRecord | undefined;
  exchanges: number;
  held: Side | undefined;
  /** When a record of it came last. */
  lastNs: number;
  /** Set when it is HTTP/1 no more: what is added to the kernel's exchange numbers. */
  offset: number | undefined;
  /** After CONNECT or an upgrade what is no HTTP was to be expected. */
  isTunnel: boolean;
  isUnparsed: boolean;
}

/**
 * The exchanges of HTTP/1 connections, each as one record a side, like those that the kernel makes of other
 * connections: a request and its answer by their order on the connection (RFC 9112, section 9.3.2). Records of other
 * connections pass.
 */
export interface HttpSides {
  onSide(record: SideRecord): void;
  onMessage(message: HttpMessageRecord): void;
  /** Gives on what need not wait any more. */
  advance(nowNs: number): void;
  /** Connections that are remembered. */
  size(): number;
  /** Gives out what at most so many connections hold, for the end of the stream; true when none is left. */
  flush(limit?: number): boolean;
}

export function createHttpSides(emit: (side: Side) => void): HttpSides {
  const connections = new Map<number, Connection>();
  /** Connections with an exchange that waits, the longest wait first. */
  const holding = new Map<number, Connection>();
  let nowNs = 0;
  let prunedNs = 0;

  function connectionOf(id: number): Connection {
    let connection = connections.get(id);
    if (!connection) {
      connection = {
        facts: undefined,
        requests: [],
        answers: [],
        requestBytes: 0,
        answerBytes: 0,
        interim: undefined,
        exchanges: 0,
        held: undefined,
        lastNs: nowNs,
        offset: undefined,
        isTunnel: false,
        isUnparsed: false,
      };
      connections.set(id, connection);
    }
    connection.lastNs = nowNs;
    return connection;
  }

  function release(id: number, connection: Connection): void {
    const { held } = connection;
    if (!held) return;
    connection.held = undefined;
    holding.delete(id);
    emit(held);
  }

  function hold(id: number, connection: Connection, side: Side): void {
    release(id, connection);
    connection.held = side;
    holding.set(id, connection);
  }

  /** The next exchange whose request and answer are both over; `force` takes what there is of the two. */
  function next(connection: Connection, facts: SideRecord, force: boolean): Side | undefined {
    if (force && connection.interim && connection.answers.length === 0) {
      connection.answers.push(connection.interim); // the final one never came
      connection.interim = undefined;
    }
    const [request] = connection.requests;
    const [answer] = connection.answers;
    const whole = request && answer && isOver(request) && isOver(answer);
    if (!whole && (!force || (!request && !answer))) return undefined;
    connection.requests.shift();
    connection.answers.shift();
    const interimBytes = connection.interim?.bytes ?? 0;
    const requestBytes = bytesOf(request, requestTotal(facts) - connection.requestBytes);
    const answerBytes =
      interimBytes + bytesOf(answer, answerTotal(facts) - connection.answerBytes - interimBytes);
    const firstAnswer = connection.interim ?? answer;
    connection.interim = undefined;
    connection.requestBytes += requestBytes;
    connection.answerBytes += answerBytes;
    connection.exchanges++;
    const down = isDownstream(facts);
    const [read, written] = down ? [request, answer] : [answer, request];
    const firstRead = down ? request : firstAnswer;
    const firstWritten = down ? firstAnswer : request;
    const newest = answer ?? request ?? facts;
    return {
      ...facts,
      flags:
        (facts.flags & KEPT_FLAGS) |
        SIDE_FLAGS.EXCHANGE |
        (request ? 0 : SIDE_FLAGS.SERVER_FIRST) |
        (!down && answer && answer.flags & MESSAGE_FLAGS.ALONE ? SIDE_FLAGS.UNCHAINED : 0),
      /* What it was at the end: a pair may be found late, and may turn out to be none. */
      peer: newest.peer || (force ? facts.peer : 0),
      exchange: connection.exchanges,
      arrivedNs: firstRead?.arrivedNs ?? 0,
      firstReadNs: firstRead?.firstNs ?? 0,
      lastReadNs: read ? lastNs(read, facts.lastReadNs) : 0,
      firstWriteNs: firstWritten?.firstNs ?? 0,
      lastWriteNs: written ? lastNs(written, facts.lastWriteNs) : 0,
      bytesRead: down ? requestBytes : answerBytes,
      bytesWritten: down ? answerBytes : requestBytes,
      totalRead: down ? connection.requestBytes : connection.answerBytes,
      totalWritten: down ? connection.answerBytes : connection.requestBytes,
      reads: read?.operations ?? 0,
      writes: written?.operations ?? 0,
      srttUs: newest.srttUs,
      retransmits: newest.retransmits,
      outOfOrder: newest.outOfOrder,
      ...turnsOf(firstRead, read, firstWritten, written),
      http: { ...(request ? { request } : {}), ...(answer ? { answer } : {}) },
      ...([request, answer].some(isUnparsed) ? { unparsed: true } : {}),
    };
  }

  function settle(id: number, connection: Connection): void {
    if (!connection.facts) return;
    for (;;) {
      const crowded = connection.answers.length > MAX_ANSWERS && connection.requests.length === 0;
      const side = next(connection, connection.facts, crowded);
      if (!side) return;
      hold(id, connection, side);
    }
  }

  /** The last exchange carries the connection's end; those before it that were cut off are marked. */
  function onEnd(id: number, connection: Connection, record: SideRecord): void {
    connections.delete(id);
    holding.delete(id);
    const sides = connection.held ? [connection.held] : [];
    for (let side = next(connection, record, true); side; side = next(connection, record, true)) {
      sides.push({ ...side, cut: true });
    }
    const last = withRest(sides.pop(), connection, record);
    for (const side of sides) emit(side);
    const flags = SIDE_FLAGS.ENDED | (record.flags & SIDE_FLAGS.UNDELIVERED);
    if (last) emit({ ...record, ...exchangeOf(last), peer: last.peer, flags: last.flags | flags });
    else emit({ ...record, exchange: connection.exchanges });
  }

  function prune(): void {
    prunedNs = nowNs;
    for (const [id, { lastNs, facts, exchanges }] of connections) {
      const keepNs = facts ? FORGET_NS : exchanges > 0 ? JOINED_NS : UNSURE_NS;
      if (nowNs - lastNs > keepNs) connections.delete(id);
    }
  }

  /** A connection that never was HTTP/1, or is no more: its exchanges go on in the same numbers. */
  function onOther(record: SideRecord): void {
    const id = record.connection;
    const connection = connections.get(id);
    if (!connection?.facts) {
      /* One that was joined amid a message may go on as HTTP, and these exchanges have had their numbers. */
      if (isPreexisting(record) && !hasEnded(record)) connectionOf(id).exchanges = record.exchange;
      else if (!connection?.isUnparsed || hasEnded(record)) connections.delete(id);
      emit(connection?.isUnparsed ? { ...record, unparsed: true } : record);
      return;
    }
    if (connection.offset === undefined) {
      if (!connection.isTunnel) connection.isUnparsed = true;
      release(id, connection);
      for (let side = next(connection, record, true); side; side = next(connection, record, true)) emit(side);
      connection.offset = connection.exchanges - record.exchange;
    }
    if (hasEnded(record)) connections.delete(id);
    /* The record by which the kernel says that HTTP has ended here holds no exchange, and is no end. */
    if (record.flags & (SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.ENDED)) {
      const exchange = record.exchange + connection.offset;
      emit({ ...record, exchange, ...(connection.isUnparsed ? { unparsed: true } : {}) });
    }
  }

  return {
    onSide(record) {
      if (!(record.flags & SIDE_FLAGS.HTTP1)) {
        onOther(record);
        return;
      }
      const known = connectionOf(record.connection);
      known.facts = record;
      settle(record.connection, known);
      if (hasEnded(record)) onEnd(record.connection, known, record);
    },
    onMessage(message) {
      const connection = connectionOf(message.connection);
      if (message.flags & MESSAGE_FLAGS.UNPARSED) connection.isUnparsed = true;
      if (message.statusCode === 101 || message.method === 'CONNECT') connection.isTunnel = true;
      if (!(message.flags & MESSAGE_FLAGS.ANSWER_MESSAGE)) connection.requests.push(message);
      else if (isInterim(message)) connection.interim = joined(connection.interim, message);
      else connection.answers.push(message);
      settle(message.connection, connection);
    },
    size: () => connections.size,
    advance(ns) {
      nowNs = ns;
      if (nowNs - prunedNs > PRUNE_INTERVAL_NS) prune();
      for (const [id, connection] of holding) {
        if (connection.held && nowNs - lastByteNs(connection.held) > HOLD_NS) release(id, connection);
      }
    },
    flush(limit = Number.POSITIVE_INFINITY) {
      let count = 0;
      for (const [id, connection] of connections) {
        if (count++ === limit) return false;
        connections.delete(id);
        release(id, connection);
        const { facts } = connection;
        const [request] = connection.requests;
        const [answer] = connection.answers;
        if (!facts || !request || !answer) continue;
        const side = next(connection, facts, true);
        if (side) emit(side);
      }
      return true;
    },
  };
}

type Turns = Pick<
  SideRecord,
  'firstReadTurn' | 'lastReadTurn' | 'firstWriteTurn' | 'lastWriteTurn' | 'opTid'
>;
type Message = HttpMessageRecord | undefined;

function turnsOf(firstRead: Message, lastRead: Message, firstWritten: Message, lastWritten: Message): Turns {
  const tids = new Set([lastRead, lastWritten].flatMap((message) => message?.tid ?? []));
  const [opTid = 0] = tids;
  return {
    firstReadTurn: firstRead?.firstTurn ?? 0,
    lastReadTurn: lastRead?.lastTurn ?? 0,
    firstWriteTurn: firstWritten?.firstTurn ?? 0,
    lastWriteTurn: lastWritten?.lastTurn ?? 0,
    opTid: tids.size > 1 ? MANY_THREADS : opTid,
  };
}

const isUnparsed = (message: HttpMessageRecord | undefined): boolean =>
  message !== undefined && (message.flags & MESSAGE_FLAGS.UNPARSED) !== 0;

/** An unfinished message is all that its connection carried after the ones before. */
function bytesOf(message: HttpMessageRecord | undefined, leftBytes: number): number {
  if (!message) return 0;
  return isOver(message) ? message.bytes : Math.max(message.bytes, leftBytes);
}

/** An unfinished message went on until the connection's last operation in its direction. */
function lastNs(message: HttpMessageRecord, connectionLastNs: number): number {
  return isOver(message) ? message.lastNs : Math.max(message.lastNs, connectionLastNs);
}

function joined(first: HttpMessageRecord | undefined, then: HttpMessageRecord): HttpMessageRecord {
  return first ? { ...first, bytes: first.bytes + then.bytes } : then;
}

/** Empty lines that no message followed go with the last exchange. */
function withRest(side: Side | undefined, connection: Connection, record: SideRecord): Side | undefined {
  if (!side) return undefined;
  const requestBytes = Math.max(0, requestTotal(record) - connection.requestBytes);
  const answerBytes = Math.max(0, answerTotal(record) - connection.answerBytes);
  if (requestBytes + answerBytes === 0) return side;
  const [read, written] = isDownstream(record) ? [requestBytes, answerBytes] : [answerBytes, requestBytes];
  return {
    ...side,
    bytesRead: side.bytesRead + read,
    bytesWritten: side.bytesWritten + written,
    totalRead: side.totalRead + read,
    totalWritten: side.totalWritten + written,
  };
}

/** What a record says of its exchange, and not of its connection. */
function exchangeOf(side: Side): Partial<Side> {
  return {
    exchange: side.exchange,
    arrivedNs: side.arrivedNs,
    firstReadNs: side.firstReadNs,
    lastReadNs: side.lastReadNs,
    firstWriteNs: side.firstWriteNs,
    lastWriteNs: side.lastWriteNs,
    firstReadTurn: side.firstReadTurn,
    lastReadTurn: side.lastReadTurn,
    firstWriteTurn: side.firstWriteTurn,
    lastWriteTurn: side.lastWriteTurn,
    opTid: side.opTid,
    bytesRead: side.bytesRead,
    bytesWritten: side.bytesWritten,
    totalRead: side.totalRead,
    totalWritten: side.totalWritten,
    reads: side.reads,
    writes: side.writes,
    ...(side.http ? { http: side.http } : {}),
    ...(side.unparsed ? { unparsed: true } : {}),
  };
}

/** Two sides of which TLS hides one: what the other one shows of request and answer is true of both. */
export function lendHeads(downstream: Side, upstream: Side): [Side, Side] {
  const { http: down } = downstream;
  const { http: up } = upstream;
  return [
    up && !down ? { ...downstream, http: up } : downstream,
    down && !up ? { ...upstream, http: down } : upstream,
  ];
}

/** The two sides of an exchange that was relayed byte for byte: heads are read once, and stand on both sides. */
export function shareHeads(side: Side, other: Side | undefined): Side {
  const { request, answer } = side.http ?? {};
  const { request: otherRequest, answer: otherAnswer } = other?.http ?? {};
  if (!isRelayed(request) && !isRelayed(answer)) return side;
  return {
    ...side,
    http: {
      ...(request ? { request: withHead(request, otherRequest) } : {}),
      ...(answer ? { answer: withHead(answer, otherAnswer) } : {}),
    },
  };
}

const isRelayed = (message: HttpMessageRecord | undefined): boolean =>
  message !== undefined && (message.flags & MESSAGE_FLAGS.RELAYED) !== 0;

function withHead(message: HttpMessageRecord, other: HttpMessageRecord | undefined): HttpMessageRecord {
  if (!other || !isRelayed(message)) return message;
  const { method, path, authority, version, headers } = other;
  return { ...message, method, path, authority, version, headers };
}

/** False where the two sides of a pair carry different requests: it is none, but a proxy that shares its connections. */
export function isSameRequest(downstream: Side, upstream: Side): boolean {
  const [a, b] = [downstream.http?.request, upstream.http?.request];
  if (!a || !b || !isOver(a) || !isOver(b)) return true;
  const shifted = (downstream.flags | upstream.flags) & SIDE_FLAGS.PROXY_HEADER;
  if (a.bytes !== b.bytes && !shifted) return false;
  return isRelayed(b) || (a.method === b.method && a.path === b.path);
}
