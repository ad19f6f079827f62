import type { RingMemory } from '../../native/ring.ts';
import {
  FRAME,
  FRAME_MARKS,
  FRAMES_FLAGS,
  FRAMES_RECORD,
  type FramesRecord,
  MESSAGE_FLAGS,
  ROLE,
  readFramesRecord,
  SIDE_FLAGS,
  type SideRecord,
} from '../../records.gen.ts';
import { NO_FIELDS } from '../header-fields.ts';
import type { HeadOptions } from '../http1/head.ts';
import { type HttpMessageRecord, RECEIVER_KIND } from '../kernel-record.ts';
import {
  FRAME_FLAGS,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  type FramePart,
  isHeaderFrame,
  readPart,
} from './frame.ts';
import { createHeaderBlocks, type HeaderBlocks } from './header-blocks.ts';
import type { HeaderBlock } from './hpack.ts';

/** Streams of one connection that are remembered; the oldest is given up for a newer one. */
const MAX_STREAMS = 4096;
const MAX_CONNECTIONS = 131_072;
const ERROR_CODE_BYTES = 4;
/** RFC 9113, section 6.1. */
const PAD_LENGTH_BYTES = 1;
const NO_ERROR = 0;
const NOTHING: readonly HttpMessageRecord[] = [];

/** A message that grows. */
interface Unfinished {
  readonly record: { -readonly [K in keyof HttpMessageRecord]: HttpMessageRecord[K] };
  /** The last operation that took part. */
  operation: number;
  hasHead: boolean;
}

interface Stream {
  readonly id: number;
  readonly number: number;
  request: Unfinished | undefined;
  answer: Unfinished | undefined;
}

/** What goes one way on a connection. */
interface Direction {
  readonly isAnswer: boolean;
  /** The last record's. */
  number: number;
  readonly blocks: HeaderBlocks;
  /** The frame that has begun and is not over as far as is told: type and stream. */
  type: number | undefined;
  stream: number;
  /** The message that its bytes were counted in, all of them with the first. */
  counted: Unfinished | undefined;
  /** What of its payload had not come when the direction had carried `position` bytes. */
  remaining: number;
  position: number;
  /** Its error code as far as it has come, and the bytes of it. */
  code: number;
  codeBytes: number;
  /** Of the header block that is open: its end is its stream's; it is a pushed request. */
  endsStream: boolean;
  isPromise: boolean;
  /** When a GOAWAY announced the connection's end; 0 for never. */
  goawayNs: number;
}

interface Connection {
  readonly id: number;
  readonly requests: Direction;
  readonly answers: Direction;
  readonly streams: Map<number, Stream>;
  /** Requests so far. */
  count: number;
  /** Ids of the first and the last request that was seen; they only grow (RFC 9113, section 5.1.1). */
  first: number;
  last: number;
  isBroken: boolean;
}

/**
 * Requests and answers of HTTP/2 connections from the frames that the kernel tells of. Both messages of a stream are
 * given when both are over, the answer first: the client may still reset the stream when its request has ended.
 */
export interface Streams {
  /** The record at byte `at`; messages of the streams that are over with it. */
  push(memory: RingMemory, at: number): readonly HttpMessageRecord[];
  /** What a connection leaves unfinished when it ends, or is HTTP/2 no more. */
  leftBy(side: SideRecord): readonly HttpMessageRecord[];
  /** What all connections have begun and not finished. */
  flush(): readonly HttpMessageRecord[];
}

/**
 * At most `maxConnections` are remembered; the oldest is given up for a newer one. With a fingerprinter the fields of
 * heads are kept, too.
 */
export function createStreams(maxConnections = MAX_CONNECTIONS, options?: HeadOptions): Streams {
  const connections = new Map<number, Connection>();
  const part: FramePart = {
    ...{ length: 0, stream: 0, type: 0, flags: 0, marks: 0, padding: 0, messages: 0, start: 0, end: 0 },
  };
  let given: HttpMessageRecord[] = [];

  function connectionOf(id: number): Connection {
    const known = connections.get(id);
    if (known) return known;
    const connection = createConnection(id, options);
    if (connections.size >= maxConnections) {
      for (const oldest of connections.values()) {
        giveAll(oldest);
        connections.delete(oldest.id);
        break;
      }
    }
    connections.set(id, connection);
    return connection;
  }

  function giveAll(connection: Connection): void {
    for (const stream of connection.streams.values()) give(connection, stream);
  }

  function give(connection: Connection, stream: Stream): void {
    connection.streams.delete(stream.id);
    for (const direction of [connection.requests, connection.answers]) {
      if (direction.stream === stream.id) shorten(direction, direction.position);
    }
    if (stream.answer) given.push(stream.answer.record);
    if (stream.request) given.push(stream.request.record);
  }

  function onPart(connection: Connection, direction: Direction, record: FramesRecord, u8: Uint8Array): void {
    const { blocks } = direction;
    const begins = (part.marks & FRAME_MARKS.BEGINS) !== 0;
    const ends = (part.marks & FRAME_MARKS.ENDS) !== 0;
    const continues = part.type === FRAME_TYPE.CONTINUATION;
    if (begins) {
      direction.counted = undefined;
      const inBlock = continues ? part.stream : undefined;
      /* The end of a DATA frame is told only where it is the stream's. */
      const isUnfinished = direction.type !== undefined && direction.type !== FRAME_TYPE.DATA;
      if (isUnfinished || blocks.open !== inBlock) lose(connection, direction);
      /* The beginning of its block is not known, nor to which message it belongs. */
      if (continues && blocks.open === undefined) return;
      direction.stream = part.stream;
      direction.code = 0;
      direction.codeBytes = 0;
    } else if (direction.type !== part.type || direction.stream !== part.stream) {
      lose(connection, direction);
      return;
    }
    direction.type = ends ? undefined : part.type;

    if (part.type === FRAME_TYPE.DATA) onData(connection, direction, record);
    else if (isHeaderFrame(part)) onHeaders(connection, direction, record, u8);
    else if (part.type === FRAME_TYPE.RST_STREAM) {
      for (let at = part.start; at < part.end && direction.codeBytes < ERROR_CODE_BYTES; at++) {
        direction.code = ((direction.code << 8) | (u8[at] as number)) >>> 0;
        direction.codeBytes++;
      }
      if (ends) onReset(connection, direction, record);
    } else if (part.type === FRAME_TYPE.GOAWAY && begins) direction.goawayNs ||= record.timeNs;
  }

  function onData(connection: Connection, direction: Direction, record: FramesRecord): void {
    const stream = connection.streams.get(part.stream);
    const message = messageOf(stream, direction);
    if (!stream || !message || isOver(message)) return;
    count(direction, message, record);
    if (part.marks & FRAME_MARKS.BEGINS) message.record.bodyBytes += part.length;
    if (part.marks & FRAME_MARKS.ENDS && part.flags & FRAME_FLAGS.PADDED) {
      message.record.bodyBytes -= Math.min(part.length, PAD_LENGTH_BYTES + part.padding);
    }
    if (part.marks & FRAME_MARKS.UNCOUNTED) message.record.flags |= MESSAGE_FLAGS.UNCOUNTED;
    if (part.messages > 0) message.record.firstMessageNs ||= record.timeNs;
    message.record.messages += part.messages;
    const isLast = part.marks & FRAME_MARKS.ENDS && part.flags & FRAME_FLAGS.END_STREAM;
    if (isLast) endMessage(connection, stream, message);
  }

  function onHeaders(
    connection: Connection,
    direction: Direction,
    record: FramesRecord,
    u8: Uint8Array,
  ): void {
    if (part.type !== FRAME_TYPE.CONTINUATION) {
      direction.endsStream = (part.flags & FRAME_FLAGS.END_STREAM) !== 0;
      direction.isPromise = part.type === FRAME_TYPE.PUSH_PROMISE;
    }
    if (part.type === FRAME_TYPE.HEADERS && part.marks & FRAME_MARKS.BEGINS) {
      beginMessage(connection, direction, record);
    }
    const block = direction.blocks.push(u8, part); // whatever it is of: later ones refer to it
    const stream = direction.isPromise ? undefined : connection.streams.get(part.stream);
    const message = messageOf(stream, direction);
    if (!stream || !message || isOver(message)) return;
    count(direction, message, record);
    if (!block) return;
    readHead(message, block);
    if (direction.endsStream) endMessage(connection, stream, message);
  }

  /** A stream is begun by its request; an answer without one is one of a stream that was there before we were. */
  function beginMessage(connection: Connection, direction: Direction, record: FramesRecord): void {
    const id = part.stream;
    const isClients = id % 2 === 1; // others are pushed
    const stream = connection.streams.get(id);
    if (stream) {
      if (direction.isAnswer) stream.answer ??= createMessage(record, id, stream.number);
      return;
    }
    if (!isClients || (direction.isAnswer ? id >= connection.first : id <= connection.last)) return;
    if (connection.streams.size >= MAX_STREAMS) {
      for (const oldest of connection.streams.values()) {
        give(connection, oldest);
        break;
      }
    }
    if (direction.isAnswer) {
      const answer = createMessage(record, id, 0);
      connection.streams.set(id, { id, number: 0, request: undefined, answer });
      return;
    }
    connection.first = Math.min(connection.first, id);
    connection.last = id;
    const number = ++connection.count;
    const request = createMessage(record, id, number);
    connection.streams.set(id, { id, number, request, answer: undefined });
  }

  function endMessage(connection: Connection, stream: Stream, message: Unfinished): void {
    message.record.flags |= MESSAGE_FLAGS.OVER;
    const { request, answer } = stream;
    if ((!request || isOver(request)) && answer && isOver(answer)) give(connection, stream);
  }

  /** RST_STREAM, section 6.4: nothing follows on the stream, in either direction. */
  function onReset(connection: Connection, direction: Direction, record: FramesRecord): void {
    const stream = connection.streams.get(part.stream);
    if (!stream) return;
    const { request, answer } = stream;
    if (direction.isAnswer && request && answer && isOver(answer) && direction.code === NO_ERROR) {
      /* The server has no use for the rest of the request, section 8.1. */
      if (!isOver(request)) request.record.flags |= MESSAGE_FLAGS.OVER | MESSAGE_FLAGS.UNWANTED;
    } else {
      if (direction.isAnswer) stream.answer ??= createMessage(record, stream.id, stream.number);
      const reset = messageOf(stream, direction);
      if (reset) {
        reset.record.flags |= MESSAGE_FLAGS.RESET;
        reset.record.errorCode = direction.code;
        reset.record.resetNs = record.timeNs;
        if (!isOver(reset)) takePart(reset, record);
      }
    }
    give(connection, stream);
  }

  /** What a part of a frame adds to its message; all bytes with the first, for it may be the only one that is told. */
  function count(direction: Direction, message: Unfinished, record: FramesRecord): void {
    takePart(message, record);
    if (!(part.marks & FRAME_MARKS.BEGINS)) return;
    message.record.bytes += FRAME_HEADER_BYTES + part.length;
    direction.counted = message;
  }

  function takePart(message: Unfinished, state: FramesRecord): void {
    const { operation } = state;
    const isNew = operation > message.operation;
    /* Operations amid a frame carried nothing else, and are not told of. */
    const passed = part.marks & FRAME_MARKS.BEGINS ? 1 : operation - message.operation;
    if (isNew) message.record.operations += passed;
    message.operation = operation;
    message.record.peer = state.peer;
    message.record.srttUs = state.srttUs;
    message.record.retransmits = state.retransmits;
    message.record.outOfOrder = state.outOfOrder;
    if (state.flags & FRAMES_FLAGS.ALONE) message.record.flags |= MESSAGE_FLAGS.ALONE;
    message.record.lastNs = state.timeNs;
  }

  function taken(): readonly HttpMessageRecord[] {
    if (given.length === 0) return NOTHING;
    const messages = given;
    given = [];
    return messages;
  }

  return {
    push(memory, at) {
      const { u8 } = memory;
      const record = readFramesRecord(memory, at);
      const connection = connectionOf(record.connection);
      const direction = record.flags & FRAMES_FLAGS.ANSWER ? connection.answers : connection.requests;
      const isNext = record.number === direction.number + 1;
      const isJoined = direction.number === 0 && record.flags & FRAMES_FLAGS.JOINED;
      if (!isNext || isJoined) lose(connection, direction);
      if (!isNext) loseCounts(connection, direction);
      direction.number = record.number;
      direction.position = record.position;
      direction.remaining = 0;
      if (connection.isBroken) return taken();
      const end = Math.min(at + FRAMES_RECORD.size + record.framesBytes, u8.length);
      for (let next = at + FRAMES_RECORD.size; next + FRAME.size <= end; next = part.end) {
        readPart(u8, next, part);
        if (part.end > end) break;
        onPart(connection, direction, record, u8);
      }
      connection.isBroken = (record.flags & FRAMES_FLAGS.BROKEN) !== 0;
      direction.remaining = record.remaining;
      return taken();
    },
    leftBy(side) {
      const ended = side.flags & SIDE_FLAGS.ENDED || !(side.flags & SIDE_FLAGS.HTTP2);
      const connection = ended ? connections.get(side.connection) : undefined;
      if (!connection) return NOTHING;
      connections.delete(side.connection);
      abandon(connection);
      const [read, written] =
        side.role === ROLE.DOWNSTREAM
          ? [connection.requests, connection.answers]
          : [connection.answers, connection.requests];
      shorten(read, side.totalRead);
      shorten(written, side.totalWritten);
      giveAll(connection);
      return taken();
    },
    flush() {
      for (const connection of connections.values()) giveAll(connection);
      connections.clear();
      return taken();
    },
  };
}

const isOver = ({ record }: Unfinished): boolean => (record.flags & MESSAGE_FLAGS.OVER) !== 0;

const messageOf = (stream: Stream | undefined, { isAnswer }: Direction): Unfinished | undefined =>
  isAnswer ? stream?.answer : stream?.request;

/** Header blocks of this direction are missing, or the end of a frame is. */
function lose(connection: Connection, direction: Direction): void {
  const { blocks } = direction;
  const open = direction.isPromise ? undefined : blocks.open;
  const message = open === undefined ? undefined : messageOf(connection.streams.get(open), direction);
  if (message) {
    message.hasHead = true;
    message.record.flags |= MESSAGE_FLAGS.HEAD_TRUNCATED;
  }
  blocks.forget();
  direction.type = undefined;
}

/** What was told of DATA may be missing, too. */
function loseCounts({ streams }: Connection, direction: Direction): void {
  for (const stream of streams.values()) {
    const message = messageOf(stream, direction);
    if (message) message.record.flags |= MESSAGE_FLAGS.UNCOUNTED;
  }
}

/** A frame counts with its first byte: takes away what of it has not come when the direction has carried so many bytes. */
function shorten(direction: Direction, carriedBytes: number): void {
  const missing = direction.remaining - (carriedBytes - direction.position);
  direction.remaining = 0;
  const message = direction.counted;
  if (!message || missing <= 0) return;
  message.record.bytes -= missing;
  if (direction.type === FRAME_TYPE.DATA) message.record.bodyBytes -= missing;
}

/** Streams that are open when a connection ends of which the client took leave, by GOAWAY, were given up by it. */
function abandon({ streams, requests }: Connection): void {
  if (!requests.goawayNs) return;
  for (const { request } of streams.values()) {
    if (!request) continue;
    request.record.flags |= MESSAGE_FLAGS.RESET;
    request.record.resetNs = requests.goawayNs;
  }
}

function readHead(message: Unfinished, block: HeaderBlock): void {
  const { record } = message;
  const isAnswer = (record.flags & MESSAGE_FLAGS.ANSWER_MESSAGE) !== 0;
  if (message.hasHead && !(isAnswer && isInterim(record.statusCode))) {
    const status = block.headers['grpc-status']; // of trailers the only one of use
    if (status !== undefined) record.headers = { 'grpc-status': status, ...record.headers };
    return;
  }
  message.hasHead = true;
  record.headers = block.headers;
  record.fields = block.fields;
  if (block.incomplete) record.flags |= MESSAGE_FLAGS.HEAD_TRUNCATED;
  if (isAnswer) {
    record.statusCode = block.statusCode;
    return;
  }
  record.method = block.method;
  record.path = block.path;
  record.query = block.query;
  record.authority = block.authority;
}

const isInterim = (statusCode: number): boolean => statusCode >= 100 && statusCode < 200;

function createConnection(id: number, options?: HeadOptions): Connection {
  return {
    id,
    requests: createDirection(false, options),
    answers: createDirection(true, options),
    streams: new Map(),
    count: 0,
    first: Number.POSITIVE_INFINITY,
    last: 0,
    isBroken: false,
  };
}

function createDirection(isAnswer: boolean, options?: HeadOptions): Direction {
  return {
    isAnswer,
    number: 0,
    blocks: createHeaderBlocks(options),
    type: undefined,
    stream: 0,
    code: 0,
    codeBytes: 0,
    counted: undefined,
    remaining: 0,
    position: 0,
    endsStream: false,
    isPromise: false,
    goawayNs: 0,
  };
}

function createMessage(record: FramesRecord, stream: number, number: number): Unfinished {
  const { flags, connection, peer, tid, arrivedNs, timeNs, srttUs, retransmits, outOfOrder } = record;
  return {
    operation: record.operation,
    hasHead: false,
    record: {
      kind: RECEIVER_KIND.HTTP_MESSAGE,
      flags:
        (flags & FRAMES_FLAGS.ANSWER ? MESSAGE_FLAGS.ANSWER_MESSAGE : 0) |
        (flags & FRAMES_FLAGS.WRITTEN ? MESSAGE_FLAGS.WRITTEN : 0),
      connection,
      peer,
      arrivedNs,
      firstNs: timeNs,
      lastNs: timeNs,
      bytes: 0,
      bodyBytes: 0,
      number,
      operations: 1,
      firstTurn: 0,
      lastTurn: 0,
      srttUs,
      retransmits,
      outOfOrder,
      statusCode: 0,
      tid,
      stream,
      errorCode: 0,
      resetNs: 0,
      messages: 0,
      firstMessageNs: 0,
      method: '',
      path: '',
      query: '',
      authority: '',
      version: '2',
      headers: {},
      fields: NO_FIELDS,
    },
  };
}
