import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants, createServer } from 'node:http2';
import { duplexPair, Transform } from 'node:stream';
import { test } from 'node:test';
import { createStreams } from '../../../../src/receiver/http2/streams.ts';
import type { HttpMessageRecord } from '../../../../src/receiver/kernel-record.ts';
import { FRAMES_FLAGS, MESSAGE_FLAGS, SIDE_FLAGS } from '../../../../src/records.gen.ts';
import { entriesOf, framesInRing } from '../../../harness/http2-frames.ts';
import { sideRecord } from '../../../harness/side-record.ts';

const REQUESTS = 300;
const PREFACE_BYTES = 24;
const { OVER, RESET, ANSWER_MESSAGE } = MESSAGE_FLAGS;

/** Passes bytes on, and keeps them by the piece. */
function createTap(): { tap: Transform; pieces: Buffer[] } {
  const pieces: Buffer[] = [];
  const tap = new Transform({
    transform(bytes: Buffer, _encoding, done) {
      pieces.push(Buffer.from(bytes));
      done(null, bytes);
    },
  });
  return { tap, pieces };
}

/** Every third request has a body, every seventh is cancelled, every fifth is answered with trailers. */
async function request(session: ClientHttp2Session, n: number): Promise<void> {
  const stream = session.request(
    {
      ':method': n % 3 ? 'GET' : 'POST',
      ':path': `/${n}?secret`,
      'x-request-id': `id-${n}`,
      cookie: 'secret',
    },
    { endStream: n % 3 !== 0 },
  );
  stream.on('error', () => {});
  if (n % 3 === 0) stream.end(Buffer.alloc(n));
  if (n % 7 === 0) stream.once('response', () => stream.close(constants.NGHTTP2_CANCEL));
  else stream.resume();
  await once(stream, 'close');
}

test("every request and answer of Node's own client and server", async () => {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const n = Number(/\d+/.exec(headers[':path'] ?? '')?.[0]);
    const answer = { ':status': 210 + (n % 50), 'content-type': `t/${n}` };
    stream.resume();
    stream.respond(answer, { waitForTrailers: n % 5 === 0 });
    if (n % 7 === 0) return;
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': `${n}` }));
    stream.end(Buffer.alloc(3 * n));
  });
  const [clientEnd, wire] = duplexPair();
  const [otherWire, serverEnd] = duplexPair();
  const [up, down] = [createTap(), createTap()];
  wire.pipe(up.tap).pipe(otherWire).pipe(down.tap).pipe(wire);
  server.emit('connection', serverEnd);
  const session = connect('http://a.test:81', { createConnection: () => clientEnd });
  for (let n = 1; n <= REQUESTS; n += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, k) => request(session, n + k)));
  }
  session.destroy();

  const streams = createStreams();
  const given: HttpMessageRecord[] = [];
  const read = (pieces: readonly Buffer[], flags: number): void => {
    const records = entriesOf(pieces).filter((entries) => entries.length > 0);
    for (const [index, entries] of records.entries()) {
      const fields = { connection: 1, number: index + 1, operation: index + 1, flags };
      given.push(...streams.push(framesInRing(fields, entries), 8));
    }
  };
  const [first = Buffer.alloc(0), ...rest] = up.pieces;
  read([first.subarray(PREFACE_BYTES), ...rest], 0);
  read(down.pieces, FRAMES_FLAGS.ANSWER);
  given.push(...streams.leftBy(sideRecord({ connection: 1, flags: SIDE_FLAGS.HTTP2 | SIDE_FLAGS.ENDED })));

  const [requests, answers] = [0, ANSWER_MESSAGE].map((kind) =>
    given.filter(({ flags }) => (flags & ANSWER_MESSAGE) === kind),
  );
  assert.ok(requests && answers);
  assert.equal(requests.length, REQUESTS);
  const answerOf = new Map(answers.map((answer) => [answer.stream, answer]));
  for (const { method, path, authority, headers, bodyBytes, flags, stream } of requests) {
    const n = Number(path.slice(1));
    assert.deepEqual(
      { method, path, authority, headers, bodyBytes },
      {
        ...{ method: n % 3 ? 'GET' : 'POST', path: `/${n}`, authority: 'a.test:81' },
        ...{ headers: { 'x-request-id': `id-${n}` }, bodyBytes: n % 3 ? 0 : n },
      },
    );
    /* Read all before its answer, a cancelled stream is over when that comes. */
    assert.equal(flags, n % 7 ? OVER : OVER | RESET);
    if (n % 7 === 0) continue;
    const answer = answerOf.get(stream);
    assert.equal(answer?.statusCode, 210 + (n % 50));
    assert.equal(answer?.bodyBytes, 3 * n);
    assert.equal(answer?.flags, OVER | ANSWER_MESSAGE);
    assert.equal(answer?.headers['grpc-status'], n % 5 ? undefined : `${n}`);
  }
});
