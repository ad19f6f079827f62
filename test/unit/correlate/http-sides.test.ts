import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createHttpSides, type HttpSides, shareHeads } from '../../../src/correlate/http-sides.ts';
import type { Side } from '../../../src/correlate/side.ts';
import type { HttpMessageRecord } from '../../../src/receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

const { OVER, ANSWER_MESSAGE, RELAYED, UNPARSED } = MESSAGE_FLAGS;
const { HTTP1, ENDED, EXCHANGE, SERVER_FIRST, UNDELIVERED } = SIDE_FLAGS;
const SECOND = 1_000_000_000;

const request = (number: number, ns: number, fields: Partial<HttpMessageRecord> = {}): HttpMessageRecord =>
  makeHttpMessage({
    ...{ number, path: `/${number}`, arrivedNs: ns - 1, firstNs: ns, lastNs: ns + 1, bytes: 100 },
    ...fields,
  });
const answer = (number: number, ns: number, fields: Partial<HttpMessageRecord> = {}): HttpMessageRecord =>
  request(number, ns, {
    flags: OVER | ANSWER_MESSAGE,
    path: '',
    method: '',
    statusCode: 200,
    bytes: 50,
    ...fields,
  });

function collect() {
  const sides: Side[] = [];
  const http = createHttpSides((side) => void sides.push(side));
  const facts = (fields: Partial<SideRecord> = {}) =>
    http.onSide(downstreamRecord({ flags: HTTP1, ...fields }));
  const brief = () =>
    sides.map(({ exchange, http: it }) => [exchange, it?.request?.path, it?.answer?.statusCode]);
  return { sides, http, facts, brief };
}

describe('exchanges of one connection', () => {
  test('are requests and answers by their order, though many are on their way', () => {
    const { http, facts, brief, sides } = collect();
    facts();
    for (const number of [1, 2, 3]) http.onMessage(request(number, 100 * number));
    for (const number of [1, 2, 3])
      http.onMessage(answer(number, 400 + number, { statusCode: 200 + number }));
    http.flush();
    assert.deepEqual(brief(), [
      [1, '/1', 201],
      [2, '/2', 202],
      [3, '/3', 203],
    ]);
    const [, second] = sides;
    assert.equal(second?.arrivedNs, 199);
    assert.equal(second?.firstReadNs, 200);
    assert.equal(second?.firstWriteNs, 402);
    assert.equal(second?.totalRead, 200);
    assert.equal(second?.totalWritten, 100);
    assert.equal(second?.flags, EXCHANGE);
  });

  test('go on in the numbers of what a connection that was joined amid an answer had of it', () => {
    const { http, facts, sides } = collect();
    const joined = SIDE_FLAGS.PREEXISTING;
    http.onSide(downstreamRecord({ flags: joined | EXCHANGE | SERVER_FIRST, exchange: 1, bytesWritten: 50 }));
    facts({ flags: HTTP1 | joined });
    http.onMessage(request(1, 100));
    http.onMessage(answer(1, 200));
    http.flush();
    assert.deepEqual(
      sides.map(({ exchange, http: it }) => [exchange, it?.request?.path]),
      [
        [1, undefined],
        [2, '/1'],
      ],
    );
  });

  test('wait until it is sure that it is HTTP', () => {
    const { http, facts, brief } = collect();
    http.onMessage(request(1, 100));
    http.onMessage(answer(1, 200));
    http.advance(10 * SECOND);
    assert.deepEqual(brief(), []);
    facts();
    http.advance(10 * SECOND);
    assert.deepEqual(brief(), [[1, '/1', 200]]);
  });

  test('an interim answer belongs to the final one', () => {
    const { http, facts, sides } = collect();
    facts();
    http.onMessage(answer(1, 150, { statusCode: 100, bytes: 25 }));
    http.onMessage(request(1, 100, { lastNs: 180 }));
    http.onMessage(answer(2, 200));
    http.flush();
    assert.equal(sides.length, 1);
    assert.equal(sides[0]?.firstWriteNs, 150);
    assert.equal(sides[0]?.bytesWritten, 75);
    assert.equal(sides[0]?.http?.answer?.statusCode, 200);
  });

  test('the upstream side reads answers and writes requests', () => {
    const sides: Side[] = [];
    const http = createHttpSides((side) => void sides.push(side));
    http.onSide(upstreamRecord({ flags: HTTP1, peer: 1 }));
    http.onMessage(request(1, 100, { connection: 2, peer: 0 }));
    http.onMessage(answer(1, 200, { connection: 2, peer: 1 }));
    http.flush();
    assert.equal(sides[0]?.firstWriteNs, 100);
    assert.equal(sides[0]?.firstReadNs, 200);
    assert.equal(sides[0]?.bytesRead, 50);
    assert.equal(sides[0]?.peer, 1);
  });
});

describe('the last exchange', () => {
  test('carries the end that comes soon', () => {
    const { http, facts, sides } = collect();
    facts();
    http.onMessage(request(1, 100));
    http.onMessage(answer(1, 200));
    http.advance(SECOND / 2);
    assert.equal(sides.length, 0, 'it waits');
    facts({ flags: HTTP1 | ENDED, finReceivedNs: 300, totalRead: 100, totalWritten: 50 });
    assert.equal(sides.length, 1);
    assert.equal(sides[0]?.flags, EXCHANGE | ENDED);
    assert.equal(sides[0]?.finReceivedNs, 300);
    assert.equal(sides[0]?.http?.request?.path, '/1');
  });

  test('does not wait for longer than a second', () => {
    const { http, facts, sides } = collect();
    facts();
    http.onMessage(request(1, 100));
    http.onMessage(answer(1, 200));
    http.advance(2 * SECOND);
    assert.equal(sides.length, 1);
    facts({ flags: HTTP1 | ENDED, finReceivedNs: 3 * SECOND, totalRead: 100, totalWritten: 50 });
    assert.equal(sides.length, 2);
    assert.equal((sides[1]?.flags ?? 0) & EXCHANGE, 0);
  });

  test('is cut where no answer came, and so are those before it', () => {
    const { http, facts, sides, brief } = collect();
    facts();
    for (const number of [1, 2, 3]) http.onMessage(request(number, 100 * number));
    http.onMessage(answer(1, 400));
    facts({ flags: HTTP1 | ENDED, finReceivedNs: 500, totalRead: 300, totalWritten: 50 });
    assert.deepEqual(brief(), [
      [1, '/1', 200],
      [2, '/2', undefined],
      [3, '/3', undefined],
    ]);
    assert.deepEqual(
      sides.map(({ cut, flags }) => [cut ?? false, (flags & ENDED) !== 0]),
      [
        [false, false],
        [true, false],
        [false, true],
      ],
    );
  });

  test('an answer that ends with its connection takes what is left of the bytes', () => {
    const { http, facts, sides } = collect();
    facts();
    http.onMessage(request(1, 100));
    http.onMessage(answer(1, 200, { flags: ANSWER_MESSAGE, bytes: 50 }));
    assert.equal(sides.length, 0);
    facts({ flags: HTTP1 | ENDED, finSentNs: 900, lastWriteNs: 800, totalRead: 100, totalWritten: 5000 });
    assert.equal(sides[0]?.bytesWritten, 5000);
    assert.equal(sides[0]?.lastWriteNs, 800);
  });
});

test('what follows HTTP goes on in its numbers', () => {
  const { http, facts, sides } = collect();
  facts();
  http.onMessage(request(1, 100));
  http.onMessage(answer(1, 200, { statusCode: 101 }));
  http.onMessage(answer(2, 210));
  http.onSide(downstreamRecord({ flags: 0, exchange: 1 }));
  http.onSide(downstreamRecord({ flags: EXCHANGE, exchange: 2, bytesRead: 7 }));
  http.onSide(downstreamRecord({ flags: EXCHANGE | ENDED, exchange: 3, bytesRead: 8 }));
  assert.deepEqual(
    sides.map(({ exchange, flags, bytesRead }) => [exchange, flags, bytesRead]),
    [
      [1, EXCHANGE, 100],
      [2, EXCHANGE | SERVER_FIRST, 0],
      [3, EXCHANGE, 7],
      [4, EXCHANGE | ENDED, 8],
    ],
  );
});

test('records of other connections pass as they are', () => {
  const { http, sides } = collect();
  const record = downstreamRecord({ flags: EXCHANGE });
  http.onSide(record);
  assert.deepEqual(sides, [record]);
});

test('a head that one side read stands on both', () => {
  const read: Side = {
    ...downstreamRecord(),
    http: {
      request: request(1, 1),
      answer: answer(1, 1, { flags: OVER | RELAYED | ANSWER_MESSAGE, version: '' }),
    },
  };
  const written: Side = {
    ...upstreamRecord(),
    http: {
      request: request(1, 2, { flags: OVER | RELAYED, path: '', method: '' }),
      answer: answer(1, 2, { version: '1.0' }),
    },
  };
  assert.equal(shareHeads(written, read).http?.request?.path, '/1');
  assert.equal(shareHeads(written, read).http?.request?.firstNs, 2);
  assert.equal(shareHeads(read, written).http?.answer?.version, '1.0');
  assert.deepEqual(shareHeads(read, undefined), read);
});

test('what was not delivered is told of the last exchange', () => {
  const { http, facts, sides } = collect();
  facts();
  http.onMessage(request(1, 100));
  http.onMessage(answer(1, 200));
  http.onMessage(request(2, 300));
  http.onMessage(answer(2, 400));
  facts({ flags: HTTP1 | ENDED | UNDELIVERED });
  assert.deepEqual(
    sides.map(({ exchange, flags }) => [exchange, flags]),
    [
      [1, EXCHANGE],
      [2, EXCHANGE | ENDED | UNDELIVERED],
    ],
  );
});

describe('what began as HTTP and went on as something else', () => {
  const marks = (sides: readonly Side[]) => sides.map(({ exchange, unparsed }) => [exchange, unparsed]);
  const bytes = (http: HttpSides): void => {
    http.onSide(downstreamRecord({ flags: 0, exchange: 0 }));
    http.onSide(downstreamRecord({ flags: EXCHANGE | ENDED, exchange: 1, bytesRead: 8 }));
  };

  test('is marked from there on', () => {
    const { http, facts, sides } = collect();
    facts();
    http.onMessage(request(1, 100));
    http.onMessage(answer(1, 200));
    bytes(http);
    assert.deepEqual(marks(sides), [
      [1, undefined],
      [2, true],
    ]);
  });

  test('is marked where the message was broken', () => {
    const { http, facts, sides } = collect();
    facts();
    http.onMessage(request(1, 100));
    http.onMessage(answer(1, 200, { flags: OVER | ANSWER_MESSAGE | UNPARSED }));
    bytes(http);
    assert.deepEqual(marks(sides), [
      [1, true],
      [2, true],
    ]);
  });

  test('is marked though it never was sure to be HTTP', () => {
    const { http, sides } = collect();
    http.onMessage(request(1, 100, { flags: OVER | UNPARSED }));
    http.onSide(downstreamRecord({ flags: EXCHANGE, exchange: 1 }));
    http.onSide(downstreamRecord({ flags: EXCHANGE | ENDED, exchange: 2 }));
    assert.deepEqual(marks(sides), [
      [1, true],
      [2, true],
    ]);
    assert.equal(http.size(), 0);
  });

  test('is not marked after an upgrade or CONNECT', () => {
    for (const [asked, given] of [
      [{}, { statusCode: 101 }],
      [{ method: 'CONNECT' }, {}],
    ]) {
      const { http, facts, sides } = collect();
      facts();
      http.onMessage(request(1, 100, asked));
      http.onMessage(answer(1, 200, given));
      bytes(http);
      assert.deepEqual(marks(sides), [
        [1, undefined],
        [2, undefined],
      ]);
    }
  });
});

describe('what is kept', () => {
  test('answers that nobody asked for are told, not gathered', () => {
    const { http, facts, sides } = collect();
    facts();
    for (let number = 1; number <= 1000; number++) http.onMessage(answer(number, number));
    assert.ok(sides.length > 900);
    assert.ok(sides.every(({ flags }) => flags & SERVER_FIRST));
  });

  test('a connection is forgotten with its end, and soon where it never was HTTP', () => {
    const { http, facts } = collect();
    facts();
    http.onMessage(request(1, 100, { connection: 9 }));
    assert.equal(http.size(), 2);
    http.advance(100 * SECOND);
    assert.equal(http.size(), 1);
    facts({ flags: HTTP1 | ENDED });
    assert.equal(http.size(), 0);
  });
});
