import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEADERS as LISTED } from '../../../../src/receiver/http1/head.ts';
import { FRAME_FLAGS, FRAME_TYPE } from '../../../../src/receiver/http2/frame.ts';
import { createStreams, type Streams } from '../../../../src/receiver/http2/streams.ts';
import type { HttpMessageRecord } from '../../../../src/receiver/kernel-record.ts';
import { FRAMES_FLAGS, SIDE_FLAGS } from '../../../../src/records.gen.ts';
import { createHpackEncoder, type Field, type HpackEncoder } from '../../../harness/hpack-encoder.ts';
import {
  bytesOf,
  entriesOf,
  type FramesFields,
  frame,
  framesInRing,
  framesOfBytes,
} from '../../../harness/http2-frames.ts';
import { createRandom } from '../../../harness/random.ts';
import { sideRecord } from '../../../harness/side-record.ts';

const SPLIT_CASES = 500;
const HOSTILE_CASES = 12_000;
const CONNECTIONS = 20;
const MAX_FRAME_BYTES = 300;
const { DATA, HEADERS, RST_STREAM, CONTINUATION, GOAWAY, PUSH_PROMISE } = FRAME_TYPE;
const { END_HEADERS, END_STREAM, PADDED, PRIORITY } = FRAME_FLAGS;

type Random = () => number;
const below = (random: Random, most: number): number => Math.floor(random() * most);
const noise = (random: Random, bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, () => below(random, 256)));

/** A header block in one frame or more, padded and prioritised by chance. */
function headers(
  random: Random,
  encoder: HpackEncoder,
  stream: number,
  fields: readonly Field[],
  end: number,
): Buffer {
  const block = encoder.block(fields);
  const cuts = [
    0,
    ...Array.from({ length: below(random, 3) }, () => below(random, block.length)),
    block.length,
  ];
  cuts.sort((a, b) => a - b);
  const frames = cuts.slice(1).map((cut, n, all) => {
    const fragment = block.subarray(cuts[n], cut);
    const endHeaders = n === all.length - 1 ? END_HEADERS : 0;
    if (n > 0) return frame(CONTINUATION, endHeaders, stream, fragment);
    const padding = random() < 0.3 ? below(random, 20) : undefined;
    const hasPriority = random() < 0.3;
    const payload = Buffer.concat([
      Buffer.from(padding === undefined ? [] : [padding]),
      Buffer.alloc(hasPriority ? 5 : 0, 0x99),
      fragment,
      Buffer.alloc(padding ?? 0),
    ]);
    const flags = endHeaders | end | (padding === undefined ? 0 : PADDED) | (hasPriority ? PRIORITY : 0);
    return frame(HEADERS, flags, stream, payload);
  });
  return Buffer.concat(frames);
}

interface Exchange {
  readonly requests: Buffer[];
  readonly answers: Buffer[];
}

/** Messages of one stream: a head, by chance bodies, trailers, other frames between them. */
function message(random: Random, encoder: HpackEncoder, stream: number, head: Field[]): Buffer[] {
  const shape = below(random, 4);
  const heads = headers(random, encoder, stream, head, shape === 0 ? END_STREAM : 0);
  const others =
    random() < 0.3 ? [frame(8, 0, stream, Buffer.alloc(4)), frame(GOAWAY, 0, 0, Buffer.alloc(12))] : [];
  if (shape === 0) return [heads, ...others];
  const body = frame(DATA, shape === 1 ? END_STREAM : 0, stream, noise(random, below(random, 200)));
  if (shape === 1) return [heads, ...others, body];
  if (shape === 2)
    return [heads, body, ...others, headers(random, encoder, stream, [['grpc-status', '0']], END_STREAM)];
  return [heads, body, frame(DATA, END_STREAM, stream, Buffer.alloc(0))];
}

function traffic(random: Random, streams: number): Exchange {
  const client = createHpackEncoder(random);
  const server = createHpackEncoder(random);
  const requests: Buffer[] = [];
  const answers: Buffer[] = [];
  for (let n = 0; n < streams; n++) {
    const stream = 2 * n + 1;
    const head: Field[] = [
      [':method', 'GET'],
      [':path', `/${n}?q=secret`],
      [':authority', 'a.test'],
      ['cookie', 'secret'],
      ['x-request-id', `id-${below(random, 1e6)}`],
    ];
    requests.push(...message(random, client, stream, head));
    if (random() < 0.1) {
      const promise = Buffer.concat([Buffer.from([0, 0, 0, 2]), server.block(head)]);
      answers.push(frame(PUSH_PROMISE, END_HEADERS, stream, promise));
    }
    answers.push(
      ...message(random, server, stream, [
        [':status', '200'],
        ['content-type', 'a/b'],
      ]),
    );
  }
  return { requests, answers };
}

/** The bytes in pieces of any size. */
function pieces(random: Random, bytes: Buffer): Buffer[] {
  const size = 1 + below(random, random() < 0.5 ? 30 : MAX_FRAME_BYTES);
  const all: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + below(random, size);
    all.push(bytes.subarray(at, end));
    at = end;
  }
  return all;
}

function push(streams: Streams, sent: readonly Buffer[], fields: FramesFields): HttpMessageRecord[] {
  let number = 0;
  return entriesOf(sent).flatMap((entries, operation) => {
    if (entries.length === 0) return [];
    const own = { ...fields, number: ++number, operation: operation + 1, timeNs: operation };
    return [...streams.push(framesInRing(own, entries), 8)];
  });
}

/** The messages that a connection carries, without what depends on how it is cut. */
function messagesOf(streams: Streams, connection: number, { requests, answers }: Exchange): object[] {
  const messages = [
    ...push(streams, requests, { connection }),
    ...push(streams, answers, { connection, flags: FRAMES_FLAGS.ANSWER }),
    ...streams.leftBy(sideRecord({ connection, flags: SIDE_FLAGS.HTTP2 | SIDE_FLAGS.ENDED })),
  ];
  /* Of others come those that were given up for this one. */
  const own = messages.filter((message) => message.connection === connection);
  return own.map(({ operations: _, firstNs: __, lastNs: ___, ...message }) => message);
}

test('however frames are cut into operations, messages are the same', () => {
  for (let seed = 1; seed <= SPLIT_CASES; seed++) {
    const random = createRandom(seed);
    const exchange = traffic(random, 1 + below(random, 8));
    const expected = messagesOf(createStreams(), 1, exchange);
    assert.ok(!JSON.stringify(expected).includes('secret'));
    const cut = {
      requests: pieces(random, Buffer.concat(exchange.requests)),
      answers: pieces(random, Buffer.concat(exchange.answers)),
    };
    assert.deepEqual(messagesOf(createStreams(), 1, cut), expected, `seed ${seed}`);
  }
});

/** Bytes on the wire, or of what the kernel says of them, that somebody broke. */
function broken(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let n = below(random, 5); n > 0; n--) {
    const at = below(random, copy.length);
    copy[at] = random() < 0.5 ? below(random, 256) : (copy[at] as number) ^ (1 << below(random, 8));
  }
  if (random() < 0.3) copy.copyWithin(below(random, copy.length), below(random, copy.length));
  return random() < 0.3 ? copy.subarray(below(random, copy.length)) : copy;
}

test('any frames: nothing fails, nothing that is not listed is kept, other connections stay right', () => {
  const random = createRandom(7);
  const streams = createStreams(CONNECTIONS);
  const good = traffic(random, 5);
  const expected = messagesOf(createStreams(), 1e6, good);
  for (let n = 0; n < HOSTILE_CASES; n++) {
    const connection = 1 + below(random, 2 * CONNECTIONS);
    const { requests, answers } = traffic(random, 1 + below(random, 2));
    const isAnswer = random() < 0.5;
    const wire = Buffer.concat([
      ...(isAnswer ? answers : requests),
      frame(RST_STREAM, 0, 1, noise(random, 4)),
    ]);
    const flags = (isAnswer ? FRAMES_FLAGS.ANSWER : 0) | (random() < 0.1 ? FRAMES_FLAGS.JOINED : 0);
    const given: HttpMessageRecord[] = [];
    const operations = entriesOf(pieces(random, broken(random, wire)));
    let number = 0;
    for (const [operation, entries] of operations.entries()) {
      if (entries.length === 0) continue;
      if (random() < 0.95) number++; // or else it is one that came before
      if (random() < 0.05) continue;
      const fields = { connection, flags, number, operation, timeNs: n };
      const bytes = bytesOf(entries);
      const framesBytes = random() < 0.1 ? below(random, 2 ** 32) : bytes.length;
      const inRing = framesOfBytes(fields, random() < 0.1 ? broken(random, bytes) : bytes, framesBytes);
      given.push(...streams.push(inRing, 8));
    }
    if (random() < 0.05) given.push(...streams.flush());
    for (const { headers } of given) assert.ok(Object.keys(headers).every((name) => LISTED.has(name)));
    assert.ok(given.length < 1000);
    if (n % 20 === 0) assert.deepEqual(messagesOf(streams, 1e6, good), expected, `case ${n}`);
  }
});
