import { FRAME_FLAGS, FRAME_TYPE } from '../../src/receiver/http2/frame.ts';
import { createHpackEncoder, type Field, type HpackEncoder } from './hpack-encoder.ts';
import { brokenStream } from './http-mutations.ts';
import { frame } from './http2-frames.ts';

const { DATA, HEADERS, RST_STREAM, PUSH_PROMISE, GOAWAY, CONTINUATION } = FRAME_TYPE;
const { END_HEADERS, END_STREAM, PADDED } = FRAME_FLAGS;
const SETTINGS = 4;
const PING = 6;
const WINDOW_UPDATE = 8;

/** RFC 9113, section 3.4. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

type Random = () => number;
export type Way = 'requests' | 'answers';

const below = (random: Random, most: number): number => Math.floor(random() * most);
const pick = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)] as T;
const noise = (random: Random, bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, () => below(random, 256)));

function fieldsOf(random: Random, way: Way): Field[] {
  return way === 'requests'
    ? [
        [':method', 'POST'],
        [':path', `/s.S/M?q=${below(random, 1e6)}`],
        [':authority', 'a.test'],
        ['content-type', pick(random, ['application/grpc', 'text/plain'])],
        ['x-request-id', `id-${below(random, 100)}`],
      ]
    : [
        [':status', pick(random, ['200', '204', '103', '500'])],
        ['content-type', pick(random, ['application/grpc', 'text/plain'])],
      ];
}

/** What no peer in its senses sends, and what only looks like it. */
const TREATS: Readonly<Record<string, (random: Random, encoder: HpackEncoder, stream: number) => Buffer>> = {
  noise: (random) => noise(random, 1 + below(random, 300)),
  'any frame': (random, _, stream) =>
    frame(below(random, 14), below(random, 256), below(random, 4) * stream, noise(random, below(random, 80))),
  'impossible length': (random, _, stream) => {
    const header = frame(
      pick(random, [DATA, HEADERS, SETTINGS, CONTINUATION, 200]),
      5,
      stream,
      noise(random, 0),
    );
    header.writeUIntBE(pick(random, [0xffffff, 0xfffff, 0x4001, 1]), 0, 3);
    return header;
  },
  'block without end': (random, encoder, stream) =>
    Buffer.concat([
      frame(HEADERS, 0, stream, encoder.block([['x-a', 'b']])),
      ...Array.from({ length: below(random, 30) }, () => frame(CONTINUATION, 0, stream, noise(random, 9))),
    ]),
  'flood of CONTINUATION': (random, _, stream) =>
    Buffer.concat([
      frame(HEADERS, 0, stream, Buffer.alloc(0)),
      ...Array.from({ length: 100 + below(random, 400) }, () =>
        frame(CONTINUATION, 0, stream, Buffer.alloc(0)),
      ),
    ]),
  'HPACK bomb': (random, encoder, stream) => {
    const large: Field = ['x-request-id', 'y'.repeat(3900)];
    const entry = encoder.field(large, 'added');
    return frame(
      HEADERS,
      END_HEADERS | END_STREAM,
      stream,
      Buffer.concat([entry, Buffer.alloc(1000 + below(random, 9000), 0x80 | 62)]),
    );
  },
  'table without end': (random, _, stream) =>
    frame(HEADERS, END_HEADERS, stream, Buffer.concat([Buffer.from('3fffffff7f', 'hex'), noise(random, 30)])),
  'integer without end': (_, __, stream) =>
    frame(HEADERS, END_HEADERS, stream, Buffer.concat([Buffer.from([0xff]), Buffer.alloc(200, 0xff)])),
  'padding longer than its frame': (random, _, stream) =>
    frame(pick(random, [DATA, HEADERS, PUSH_PROMISE]), PADDED | END_HEADERS, stream, Buffer.alloc(4, 0xff)),
  'DATA of nobody': (random) => frame(DATA, 0, 1e6 + 1, noise(random, 20)),
  'messages without end': (random, _, stream) =>
    frame(DATA, 0, stream, Buffer.alloc(5 * below(random, 1000))),
  reset: (random, _, stream) => frame(RST_STREAM, 0, stream, noise(random, 4)),
  'stream 0': (random) => frame(pick(random, [DATA, HEADERS]), END_HEADERS, 0, noise(random, 4)),
  'flood of others': (random, _, stream) =>
    Buffer.concat(
      Array.from({ length: below(random, 100) }, () =>
        pick(random, [
          frame(PING, 0, 0, Buffer.alloc(8)),
          frame(SETTINGS, 0, 0, Buffer.alloc(6)),
          frame(WINDOW_UPDATE, 0, stream, Buffer.alloc(4)),
          frame(GOAWAY, 0, 0, Buffer.alloc(8)),
        ]),
      ),
    ),
  preface: () => PREFACE,
  'HTTP/1': (random) => brokenStream(random, 'requests'),
};

/** What one end says in a few streams, with a few treats, never empty; the preface is nearly always there. */
export function brokenHttp2Stream(random: Random, way: Way): Buffer {
  const encoder = createHpackEncoder(random);
  const parts: Buffer[] = [frame(SETTINGS, 0, 0, Buffer.alloc(12))];
  for (let stream = 1, n = 1 + below(random, 5); n > 0; n--, stream += 2) {
    parts.push(frame(HEADERS, END_HEADERS, stream, encoder.block(fieldsOf(random, way))));
    const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 40]), Buffer.alloc(40, 'x')]);
    if (random() < 0.5) parts.push(frame(DATA, 0, stream, message.subarray(0, below(random, 46))));
    if (random() < 0.5) parts.push(frame(DATA, END_STREAM, stream, Buffer.concat([message, message])));
  }
  for (let n = below(random, 3); n > 0; n--) {
    const treat = pick(random, Object.values(TREATS))(random, encoder, 1 + 2 * below(random, 5));
    parts.splice(below(random, parts.length + 1), 0, treat);
  }
  const begin = random();
  if (way === 'requests' && begin < 0.9) parts.unshift(PREFACE);
  if (begin > 0.83 && begin < 0.9) parts.unshift(brokenStream(random, way)); // HTTP/1 first, or garbage
  return mutated(random, Buffer.concat(parts));
}

/** By chance with bytes that are others, bytes that are missing, or without an end. */
function mutated(random: Random, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes);
  for (let n = Math.max(0, below(random, 6) - 3); n > 0; n--) {
    const at = below(random, result.length);
    const end = Math.min(result.length, at + below(random, 12));
    switch (below(random, 4)) {
      case 0:
        result[at] = below(random, 256);
        break;
      case 1:
        result = Buffer.concat([result.subarray(0, at), result.subarray(end)]);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, end), result.subarray(at)]);
        break;
      default:
        result = result.subarray(0, Math.max(1, at));
    }
  }
  return result.length > 0 ? result : Buffer.from('P');
}

/**
 * Bytes behind the first frame that RFC 9113, section 6, does not allow, read frame by frame: they belong to no stream.
 * Undefined where there is none; all of them where it is no HTTP/2 to begin with.
 */
export function bytesBehindFrames(bytes: Buffer, way: Way): number | undefined {
  let at = way === 'requests' ? bytes.indexOf(PREFACE) : 0;
  /* Empty lines and PROXY protocol headers may stand before the preface. */
  if (at < 0 || !/^[\r\n]*(PROXY [^\n]*\n[\r\n]*)*$/.test(bytes.toString('latin1', 0, at)))
    return bytes.length;
  if (way === 'requests') at += PREFACE.length;
  for (; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const length = bytes.readUIntBE(at, 3);
    const type = bytes[at + 3] as number;
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    if (!isAllowed(type, length, stream)) return bytes.length - at - 9;
  }
  return undefined;
}

function isAllowed(type: number, length: number, stream: number): boolean {
  if (type === DATA || type === HEADERS || type === CONTINUATION || type === 2) return stream !== 0;
  if (type === RST_STREAM) return stream !== 0 && length === 4;
  if (type === PUSH_PROMISE) return stream !== 0 && length >= 4;
  if (type === SETTINGS) return stream === 0 && length % 6 === 0;
  if (type === PING) return stream === 0 && length === 8;
  if (type === GOAWAY) return stream === 0 && length >= 8;
  return type !== WINDOW_UPDATE || length === 4;
}
