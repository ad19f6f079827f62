import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FRAME_FLAGS, FRAME_TYPE } from '../../../../src/receiver/http2/frame.ts';
import { createStreams, type Streams } from '../../../../src/receiver/http2/streams.ts';
import type { HttpMessageRecord } from '../../../../src/receiver/kernel-record.ts';
import { FRAME_MARKS, FRAMES_FLAGS, MESSAGE_FLAGS, SIDE_FLAGS } from '../../../../src/records.gen.ts';
import { createHpackEncoder, type Field, type HpackEncoder } from '../../../harness/hpack-encoder.ts';
import {
  type Entry,
  entriesOf,
  type FramesFields,
  frame,
  framesInRing,
} from '../../../harness/http2-frames.ts';
import { createRandom } from '../../../harness/random.ts';
import { sideRecord } from '../../../harness/side-record.ts';

const { OVER, RESET, ANSWER_MESSAGE, HEAD_TRUNCATED, ALONE, WRITTEN } = MESSAGE_FLAGS;
const { DATA, HEADERS, RST_STREAM, PUSH_PROMISE, GOAWAY, CONTINUATION } = FRAME_TYPE;
const { END_STREAM, END_HEADERS, PADDED, PRIORITY } = FRAME_FLAGS;

const CANCEL = 8;
const GET: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/a?token=1'],
  [':authority', 'a.test'],
  ['authorization', 'secret'],
  ['x-request-id', 'r-1'],
];
const OK: Field[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];

/** Of each stream the answer is given first; read with the request first. */
function readable(messages: readonly HttpMessageRecord[]): HttpMessageRecord[] {
  const isAnswer = ({ flags }: HttpMessageRecord): number => flags & ANSWER_MESSAGE;
  return [...Map.groupBy(messages, ({ connection, stream }) => `${connection} ${stream}`).values()].flatMap(
    (both) => {
      if (both.length > 1) assert.ok(both[0] && isAnswer(both[0]), 'the answer comes first');
      return both.toSorted((a, b) => isAnswer(a) - isAnswer(b));
    },
  );
}

function createReadable(maxConnections?: number): Streams {
  const streams = createStreams(maxConnections);
  return {
    push: (memory, at) => readable(streams.push(memory, at)),
    leftBy: (side) => readable(streams.leftBy(side)),
    flush: () => readable(streams.flush()),
  };
}

/** One direction of a connection: its encoder, and what the kernel makes of its bytes. */
class Sender {
  readonly encoder: HpackEncoder;
  readonly #streams: Streams;
  readonly #fields: FramesFields;
  #operation = 0;
  #records = 0;

  constructor(streams: Streams, fields: FramesFields = {}) {
    this.#streams = streams;
    this.#fields = { connection: 7, ...fields };
    this.encoder = createHpackEncoder(createRandom(1));
  }

  /** A record that did not fit in the ring. */
  lose(): void {
    this.#operation++;
    this.#records++;
  }

  headers(stream: number, fields: readonly Field[], flags = 0): Buffer {
    return frame(HEADERS, END_HEADERS | flags, stream, this.encoder.block(fields));
  }

  /** DATA of so many gRPC messages, in an operation of its own. */
  messages(stream: number, messages: number, marks = 0, flags = 0): HttpMessageRecord[] {
    const operation = ++this.#operation;
    const entry = { length: 10, stream, type: DATA, flags, kept: new Uint8Array(0), messages };
    const fields = { timeNs: operation * 100, operation, number: ++this.#records, ...this.#fields };
    const both = FRAME_MARKS.BEGINS | FRAME_MARKS.ENDS;
    return [...this.#streams.push(framesInRing(fields, [{ ...entry, marks: both | marks }]), 8)];
  }

  /** Each piece in an operation of its own, at 100 ns, 200 ns and so on. */
  send(...pieces: Uint8Array[]): HttpMessageRecord[] {
    return entriesOf(pieces).flatMap((entries) => {
      const operation = ++this.#operation;
      if (entries.length === 0) return [];
      const number = ++this.#records;
      const times = { timeNs: operation * 100, arrivedNs: operation * 100 - 1, operation, number };
      return [...this.#streams.push(framesInRing({ ...times, ...this.#fields }, entries), 8)];
    });
  }
}

function open(fields: FramesFields = {}) {
  const streams = createReadable();
  const client = new Sender(streams, fields);
  const server = new Sender(streams, { ...fields, flags: (fields.flags ?? 0) | FRAMES_FLAGS.ANSWER });
  return { streams, client, server };
}

const data = (stream: number, bytes: number, flags = 0): Buffer =>
  frame(DATA, flags, stream, Buffer.alloc(bytes));
const reset = (stream: number, code: number): Buffer =>
  frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, code]));

describe('a stream', () => {
  test('gives its two messages when both are over', () => {
    const { client, server, streams } = open({ tid: 5, peer: 9, srttUs: 3 });
    const head = client.headers(1, GET);
    assert.deepEqual(client.send(head, data(1, 10), data(1, 5, END_STREAM)), []);
    const answerHead = server.headers(1, OK);
    const trailers = server.headers(1, [['grpc-status', '5']], END_STREAM);
    const [request, answer, ...more] = server.send(answerHead, data(1, 100), trailers);
    const common = {
      fields: [],
      kind: 103,
      connection: 7,
      peer: 9,
      tid: 5,
      srttUs: 3,
      retransmits: 0,
      outOfOrder: 0,
    };
    assert.deepEqual(request, {
      ...{
        ...common,
        flags: OVER,
        stream: 1,
        number: 1,
        errorCode: 0,
        resetNs: 0,
        ...{ firstTurn: 0, lastTurn: 0 },
        messages: 0,
        firstMessageNs: 0,
        statusCode: 0,
        version: '2',
      },
      ...{
        arrivedNs: 99,
        firstNs: 100,
        lastNs: 300,
        operations: 3,
        bodyBytes: 15,
        bytes: head.length + 9 + 15 + 9,
      },
      ...{ method: 'GET', path: '/a', query: '', authority: 'a.test', headers: { 'x-request-id': 'r-1' } },
    });
    assert.deepEqual(answer, {
      ...{
        ...common,
        flags: OVER | ANSWER_MESSAGE,
        stream: 1,
        number: 1,
        errorCode: 0,
        resetNs: 0,
        ...{ firstTurn: 0, lastTurn: 0 },
        messages: 0,
        firstMessageNs: 0,
        statusCode: 200,
      },
      ...{ arrivedNs: 99, firstNs: 100, lastNs: 300, operations: 3, bodyBytes: 100, version: '2' },
      ...{
        bytes: answerHead.length + 9 + 100 + trailers.length,
        method: '',
        path: '',
        query: '',
        authority: '',
      },
      headers: { 'content-type': 'application/grpc', 'grpc-status': '5' },
    });
    assert.deepEqual([...more, ...streams.flush()], []);
  });
});

const flagsOf = (messages: readonly HttpMessageRecord[]): number[] => messages.map(({ flags }) => flags);

describe('a reset', () => {
  test('by the client: its request has it, and the answer comes as far as it went', () => {
    const { client, server, streams } = open();
    client.send(client.headers(1, GET, END_STREAM));
    server.send(server.headers(1, OK));
    const messages = client.send(reset(1, CANCEL));
    assert.deepEqual(flagsOf(messages), [OVER | RESET, ANSWER_MESSAGE]);
    assert.deepEqual(
      messages.map(({ errorCode }) => errorCode),
      [CANCEL, 0],
    );
    assert.equal(messages[0]?.lastNs, 100); // of the request that was whole
    assert.deepEqual(server.send(data(1, 5, END_STREAM), server.headers(1, OK, END_STREAM)), []);
    assert.deepEqual(streams.flush(), []);
  });

  test('by the client, amid the request', () => {
    const { client } = open();
    client.send(client.headers(1, GET));
    const [request, ...more] = client.send(reset(1, CANCEL));
    assert.deepEqual([request?.flags, request?.errorCode, request?.lastNs], [RESET, CANCEL, 200]);
    assert.deepEqual(more, []);
  });

  test('by the server: its answer has it, be it that there is none', () => {
    for (const isAnswered of [true, false]) {
      const { client, server } = open();
      client.send(client.headers(1, GET));
      if (isAnswered) server.send(server.headers(1, OK));
      const [request, answer] = server.send(reset(1, 2));
      assert.deepEqual(flagsOf([request, answer] as HttpMessageRecord[]), [0, ANSWER_MESSAGE | RESET]);
      assert.deepEqual([answer?.errorCode, answer?.statusCode], [2, isAnswered ? 200 : 0]);
    }
  });

  test('by the server without an error, after a whole answer: both are over, and not whole the request that had not ended', () => {
    const { client, server } = open();
    client.send(client.headers(1, GET));
    assert.deepEqual(server.send(server.headers(1, OK, END_STREAM)), []);
    const messages = server.send(reset(1, 0));
    assert.deepEqual(flagsOf(messages), [OVER | MESSAGE_FLAGS.UNWANTED, OVER | ANSWER_MESSAGE]);
  });

  test('its code may come in pieces', () => {
    const { client } = open();
    const bytes = Buffer.concat([client.headers(1, GET), reset(1, CANCEL)]);
    const [request] = client.send(bytes.subarray(0, -3), bytes.subarray(-3, -1), bytes.subarray(-1));
    assert.equal(request?.errorCode, CANCEL);
  });
});

test('what comes late, on a stream that is over, is nothing', () => {
  const { client, server, streams } = open();
  client.send(client.headers(3, GET, END_STREAM));
  server.send(server.headers(3, OK, END_STREAM));
  for (const stream of [1, 2, 3]) {
    assert.deepEqual(client.send(client.headers(stream, GET), data(stream, 5), reset(stream, CANCEL)), []);
  }
  for (const stream of [2, 3, 5]) {
    assert.deepEqual(server.send(server.headers(stream, OK, END_STREAM), reset(stream, CANCEL)), []);
  }
  assert.deepEqual(streams.flush(), []);
});

describe('header blocks', () => {
  const whole = (pieces: (client: Sender) => Buffer[]): HttpMessageRecord | undefined => {
    const { client, server } = open();
    client.send(...pieces(client));
    const [request] = [...client.send(reset(1, 0)), ...server.send()];
    return request;
  };

  test('padding, priority and continuations are no part of it', () => {
    const request = whole(({ encoder }) => {
      const block = encoder.block(GET);
      const priority = Buffer.alloc(5);
      const payload = [Buffer.from([7]), priority, block.subarray(0, 3), Buffer.alloc(7, 0x82)];
      return [
        frame(HEADERS, PADDED | PRIORITY, 1, Buffer.concat(payload)),
        frame(CONTINUATION, 0, 1, block.subarray(3, 20)),
        frame(CONTINUATION, END_HEADERS, 1, block.subarray(20)),
      ];
    });
    assert.deepEqual(
      [request?.path, request?.headers, request?.flags],
      ['/a', { 'x-request-id': 'r-1' }, RESET],
    );
  });

  test('the same with every octet in an operation of its own', () => {
    const { client, server } = open();
    const bytes = client.headers(1, GET, END_STREAM);
    client.send(...Array.from(bytes, (octet) => Uint8Array.of(octet)));
    const [request] = server.send(server.headers(1, OK, END_STREAM));
    assert.deepEqual([request?.path, request?.bytes], ['/a', bytes.length]);
    assert.deepEqual([request?.firstNs, request?.lastNs], [900, bytes.length * 100]);
    assert.equal(request?.operations, bytes.length - 8); // the frame is known when its header is there
  });

  test('padding that is longer than the frame is no block, and fails nothing', () => {
    const request = whole(({ encoder }) => [
      frame(HEADERS, END_HEADERS | PADDED, 1, Buffer.concat([Buffer.from([255]), encoder.block(GET)])),
    ]);
    assert.equal((request?.flags ?? 0) & HEAD_TRUNCATED, HEAD_TRUNCATED);
  });

  test('of a cut one the beginning is read; what comes later does not refer to what was cut', () => {
    const { client, server } = open();
    const long: Field = ['cookie', 'c'.repeat(30_000)];
    client.send(client.headers(1, [...GET, long, ['user-agent', 'u']], END_STREAM));
    const [first] = server.send(server.headers(1, OK, END_STREAM));
    assert.deepEqual([first?.path, first?.headers['user-agent']], ['/a', undefined]);
    assert.equal((first?.flags ?? 0) & HEAD_TRUNCATED, HEAD_TRUNCATED);
    const added = client.encoder.field(['x-request-id', 'r-2'], 'added');
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, added));
    const known = client.encoder.field(['x-request-id', 'r-2'], 'indexed');
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, known));
    const headers = [3, 5].map((stream) => server.send(server.headers(stream, OK, END_STREAM))[0]?.headers);
    assert.deepEqual(headers, [{ 'x-request-id': 'r-2' }, { 'x-request-id': 'r-2' }]);
  });

  test('a pushed request is decoded, and given to nobody', () => {
    const { client, server, streams } = open();
    client.send(client.headers(1, GET, END_STREAM));
    const pushed = server.encoder.field(['x-request-id', 'pushed'], 'added');
    server.send(
      frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), pushed])),
      server.headers(2, OK),
      data(2, 10, END_STREAM),
    );
    const same = server.encoder.field(['x-request-id', 'pushed'], 'indexed');
    const [, answer] = server.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, same));
    assert.deepEqual(answer?.headers, { 'x-request-id': 'pushed' });
    assert.deepEqual(streams.flush(), []);
  });

  test('after an interim answer the final one counts', () => {
    const { client, server } = open();
    client.send(client.headers(1, GET, END_STREAM));
    server.send(server.headers(1, [[':status', '103']]));
    const [, answer] = server.send(server.headers(1, OK), data(1, 1, END_STREAM));
    assert.deepEqual([answer?.statusCode, answer?.firstNs], [200, 100]);
    assert.deepEqual(answer?.headers, { 'content-type': 'application/grpc' });
  });
});

describe('joined in mid-life', () => {
  const flags = FRAMES_FLAGS.JOINED;

  test('an answer without its request is given, data alone is not', () => {
    const { client, server, streams } = open();
    const joined = new Sender(streams, { flags: flags | FRAMES_FLAGS.ANSWER });
    joined.send(data(1, 10, END_STREAM));
    const messages = server.send(server.headers(3, OK), data(3, 1, END_STREAM));
    assert.deepEqual(
      messages.map(({ stream, number, statusCode }) => [stream, number, statusCode]),
      [[3, 0, 200]],
    );
    client.send(client.headers(5, GET, END_STREAM));
    const [request] = server.send(server.headers(5, OK, END_STREAM));
    assert.equal(request?.number, 1);
  });

  test('fields that refer to what was not seen are left out', () => {
    const { client, streams, server } = open();
    client.encoder.field(['x-request-id', 'before'], 'added');
    const before = client.encoder.field(['x-request-id', 'before'], 'indexed');
    const joined = new Sender(streams, { flags });
    joined.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat([before, Buffer.from([0x82])])));
    const [request] = server.send(server.headers(1, OK, END_STREAM));
    assert.deepEqual([request?.method, request?.headers, request?.flags], ['GET', {}, OVER | HEAD_TRUNCATED]);
  });

  test('again, when records were lost: a frame that was open is forgotten', () => {
    const { client, streams, server } = open();
    const block = client.encoder.block(GET);
    client.send(frame(HEADERS, 0, 1, block.subarray(0, 5)), data(1, 100).subarray(0, 20));
    const joined = new Sender(streams, { flags });
    joined.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, Buffer.from([0x82])));
    const [request] = server.send(server.headers(3, OK, END_STREAM));
    assert.deepEqual([request?.method, request?.number], ['GET', 2]);
    assert.deepEqual(flagsOf(streams.flush()), [HEAD_TRUNCATED | MESSAGE_FLAGS.UNCOUNTED]);
  });
});

describe('where a record is lost', () => {
  test('amid a header block, the block is known to be incomplete', () => {
    const { client, streams, server } = open();
    const fields = GET.map((field) => client.encoder.field(field, 'not added'));
    const bytes = frame(HEADERS, END_HEADERS, 1, Buffer.concat(fields));
    const pathStart = 9 + Buffer.concat(fields.slice(0, 2)).length;
    const pathEnd = 9 + Buffer.concat(fields.slice(0, 3)).length;
    const [first, , last] = entriesOf([
      bytes.subarray(0, pathStart),
      bytes.subarray(pathStart, pathEnd),
      bytes.subarray(pathEnd),
    ]);
    for (const [index, entries] of [first, last].entries()) {
      streams.push(framesInRing({ connection: 7, number: index + 1 }, entries ?? []), 8);
    }
    client.lose();
    client.lose();
    client.send(client.headers(3, GET, END_STREAM));
    const [next] = server.send(server.headers(3, OK, END_STREAM));
    const [request] = streams.flush();
    assert.equal((request?.flags ?? 0) & HEAD_TRUNCATED, HEAD_TRUNCATED);
    assert.equal(next?.path, '/a');
  });

  test('header blocks may have been in it: what came before is unknown', () => {
    const { client, server, streams } = open();
    const id: Field = ['x-request-id', 'before'];
    client.send(frame(HEADERS, END_HEADERS, 1, client.encoder.field(id, 'added')));
    client.encoder.field(['x-request-id', 'lost'], 'added');
    client.lose();
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, Buffer.from([0xbe])));
    const [request] = server.send(server.headers(5, OK, END_STREAM));
    assert.deepEqual([request?.flags, request?.headers], [OVER | HEAD_TRUNCATED, {}]);
    assert.deepEqual(streams.flush()[0]?.headers, { 'x-request-id': 'before' });
  });

  test('with the end of one frame and the beginning of the next', () => {
    const { streams } = open();
    const headers = { length: 100, stream: 1, type: HEADERS, flags: END_HEADERS };
    const { BEGINS, ENDS } = FRAME_MARKS;
    const push = (number: number, entry: Entry) =>
      streams.push(framesInRing({ connection: 7, number }, [entry]), 8);
    push(1, { ...headers, marks: BEGINS, kept: Buffer.from([0x82]) });
    push(2, { ...headers, type: CONTINUATION, length: 99, marks: ENDS, kept: Buffer.alloc(99, 0x84) });
    const [request] = streams.flush();
    assert.deepEqual([request?.flags, request?.path], [HEAD_TRUNCATED, '']);
  });
});

describe('a connection', () => {
  test('that ends, or is HTTP/2 no more, leaves what was begun', () => {
    for (const flags of [SIDE_FLAGS.HTTP2 | SIDE_FLAGS.ENDED, SIDE_FLAGS.EXCHANGE]) {
      const { client, server, streams } = open();
      client.send(client.headers(1, GET, END_STREAM), client.headers(3, GET));
      server.send(server.headers(1, OK), data(1, 100).subarray(0, 50));
      assert.deepEqual(streams.leftBy(sideRecord({ connection: 7, flags: SIDE_FLAGS.HTTP2 })), []);
      const left = streams.leftBy(sideRecord({ connection: 7, flags }));
      assert.deepEqual(flagsOf(left), [OVER, ANSWER_MESSAGE, 0]);
      assert.deepEqual(streams.flush(), []);
    }
  });

  test('that ends amid a frame counts what has come of it, be it of a message or not', () => {
    const part = (stream: number): Buffer => data(stream, 100).subarray(0, 29);
    const { client, streams } = open({ position: 500, remaining: 80 });
    client.send(Buffer.concat([client.headers(1, GET, END_STREAM), client.headers(3, GET)]), part(3));
    const end = { connection: 7, flags: SIDE_FLAGS.HTTP2 | SIDE_FLAGS.ENDED, totalRead: 530 };
    const [, second] = streams.leftBy(sideRecord(end));
    assert.equal(second?.bodyBytes, 50);
    const over = open({ position: 500, remaining: 80 });
    over.client.send(over.client.headers(1, GET, END_STREAM), part(1));
    const [only] = over.streams.leftBy(sideRecord(end));
    assert.ok((only?.bytes ?? 0) > 0);
  });

  test('that is broken is read no further', () => {
    const { client, streams } = open();
    client.send(client.headers(1, GET));
    new Sender(streams, { flags: FRAMES_FLAGS.BROKEN }).send(client.headers(3, GET));
    client.send(client.headers(5, GET));
    assert.deepEqual(
      streams.flush().map(({ stream }) => stream),
      [1, 3],
    );
  });

  test('holds so many streams, and gives up the oldest', () => {
    const { client, streams } = open();
    const given = [];
    for (let stream = 1; stream <= 2 * 5000; stream += 2)
      given.push(...client.send(client.headers(stream, GET)));
    assert.deepEqual([given.length, given[0]?.stream, streams.flush().length], [5000 - 4096, 1, 4096]);
  });

  test('of which there are too many is forgotten, and when it comes again, joined in mid-life', () => {
    const streams = createReadable(2);
    const client = new Sender(streams);
    client.send(frame(HEADERS, END_HEADERS, 1, client.encoder.field(['x-request-id', 'r'], 'added')));
    const given = [8, 9].flatMap((connection) => {
      const other = new Sender(streams, { connection });
      return other.send(other.headers(1, GET));
    });
    assert.deepEqual(given[0]?.headers, { 'x-request-id': 'r' });
    client.send(frame(HEADERS, END_HEADERS, 3, client.encoder.field(['x-request-id', 'r'], 'indexed')));
    const again = streams.flush().find(({ connection }) => connection === 7);
    assert.deepEqual([again?.headers, again?.flags], [{}, HEAD_TRUNCATED]);
  });

  test('tells of the side it is on', () => {
    const { client, server } = open({ flags: FRAMES_FLAGS.WRITTEN | FRAMES_FLAGS.ALONE });
    client.send(client.headers(1, GET, END_STREAM), frame(GOAWAY, 0, 0, Buffer.alloc(20)));
    const messages = server.send(server.headers(1, OK, END_STREAM));
    assert.deepEqual(flagsOf(messages), [WRITTEN | ALONE | OVER, WRITTEN | ALONE | OVER | ANSWER_MESSAGE]);
  });
});

test('operations amid a frame count, though nothing is told of them', () => {
  const { client, server } = open();
  const body = data(1, 100, END_STREAM);
  client.send(client.headers(1, GET), body.subarray(0, 20), body.subarray(20, 50), body.subarray(50));
  const [request] = server.send(server.headers(1, OK, END_STREAM));
  assert.deepEqual([request?.operations, request?.bodyBytes], [4, 100]);
});

describe('gRPC messages', () => {
  /** What is said of the request of a stream of three frames, the second of which `say` tells. */
  function requestOf(say: (client: Sender) => void): HttpMessageRecord | undefined {
    const { client, server } = open();
    client.send(client.headers(1, GET));
    client.messages(1, 0);
    say(client);
    client.messages(1, 40_000, 0, END_STREAM);
    return server.send(server.headers(1, OK, END_STREAM))[0];
  }

  test('are counted, and the first has its time', () => {
    const request = requestOf((client) => client.messages(1, 40_000));
    assert.deepEqual([request?.messages, request?.firstMessageNs], [80_000, 300]);
    assert.equal(request?.flags, OVER);
  });

  test('are not, where the body is made of something else, or something was lost', () => {
    const { UNCOUNTED } = MESSAGE_FLAGS;
    const other = requestOf((client) => client.messages(1, 1, FRAME_MARKS.UNCOUNTED));
    assert.equal(other?.flags, OVER | UNCOUNTED);
    assert.equal(requestOf((client) => client.lose())?.flags, OVER | UNCOUNTED);
  });
});

test('padding is no part of a body', () => {
  const { client, server } = open();
  const padded = frame(DATA, PADDED | END_STREAM, 1, Buffer.concat([Buffer.from([3]), Buffer.alloc(10 + 3)]));
  client.send(client.headers(1, GET), padded.subarray(0, 9), padded.subarray(9));
  const [request] = server.send(server.headers(1, OK, END_STREAM));
  assert.equal(request?.bodyBytes, 10);
});
