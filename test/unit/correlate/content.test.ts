import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createContentPairs } from '../../../src/correlate/content.ts';
import type { Side } from '../../../src/correlate/side.ts';
import type { HttpMessageRecord } from '../../../src/receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

const { OVER, ANSWER_MESSAGE } = MESSAGE_FLAGS;
const SECOND = 1_000_000_000;

interface Parts {
  readonly id?: string;
  readonly from: number;
  readonly to: number;
  readonly connection: number;
  readonly request?: Partial<HttpMessageRecord>;
  readonly answer?: Partial<HttpMessageRecord>;
  readonly record?: Partial<SideRecord>;
}

function http({ id = 'a', request, answer }: Parts) {
  return {
    request: makeHttpMessage({ headers: { traceparent: id }, ...request }),
    answer: makeHttpMessage({ flags: OVER | ANSWER_MESSAGE, method: '', statusCode: 200, ...answer }),
  };
}

const down = (parts: Parts): Side => ({
  ...downstreamRecord({ flags: SIDE_FLAGS.EXCHANGE, connection: parts.connection, ...parts.record }),
  ...{ firstReadNs: parts.from, firstWriteNs: parts.to, lastWriteNs: parts.to, http: http(parts) },
});
const up = (parts: Parts): Side => ({
  ...upstreamRecord({ flags: SIDE_FLAGS.EXCHANGE, connection: parts.connection, ...parts.record }),
  ...{ firstWriteNs: parts.from, firstReadNs: parts.to, lastReadNs: parts.to, http: http(parts) },
});

function run(sides: readonly Side[]) {
  const pairs: [number, number][] = [];
  const apart: [number, boolean][] = [];
  const content = createContentPairs({
    pair: ({ side }, upstream) => void pairs.push([side.connection, upstream.connection]),
    apart: ({ side }, ambiguous) => void apart.push([side.connection, ambiguous]),
  });
  const taken = sides.map((side) => content.add({ side, setUp: false }));
  content.advance(40 * SECOND);
  content.advance(200 * SECOND);
  assert.equal(content.size(), 0);
  return { pairs, apart: apart.toSorted(([a], [b]) => a - b), taken };
}

test('halves with the same id are one, whichever comes first', () => {
  const sides = [down({ connection: 1, from: 10, to: 50 }), up({ connection: 2, from: 20, to: 40 })];
  assert.deepEqual(run(sides).pairs, [[1, 2]]);
  assert.deepEqual(run(sides.toReversed()).pairs, [[1, 2]]);
});

test('a half without an id, a whole answer or a request is not taken', () => {
  const from = { connection: 1, from: 10, to: 50 };
  const sides = [
    down({ ...from, request: { headers: {} } }),
    down({ ...from, answer: { flags: ANSWER_MESSAGE } }),
    down({ ...from, request: { method: '' } }),
    down({ ...from, record: { flags: 0 } }),
  ];
  assert.deepEqual(run(sides).taken, [false, false, false, false]);
});

describe('the halves stay apart', () => {
  const request = { connection: 1, from: 10, to: 50 };
  const inside = { connection: 2, from: 20, to: 40 };
  const cases: [string, Side[], boolean][] = [
    ['another id', [down(request), up({ ...inside, id: 'b' })], false],
    [
      'another method',
      [down(request), up({ ...inside, request: { headers: { traceparent: 'a' }, method: 'PUT' } })],
      false,
    ],
    [
      'another path',
      [down(request), up({ ...inside, request: { headers: { traceparent: 'a' }, path: '/x' } })],
      false,
    ],
    ['another process', [down(request), up({ ...inside, record: { tgid: 7 } })], false],
    ['another status', [down(request), up({ ...inside, answer: { statusCode: 503 } })], false],
    ['sent on before it was read', [down(request), up({ ...inside, from: 5 })], false],
    ['answered after it was passed back', [down(request), up({ ...inside, to: 60 })], false],
    ['two that fit', [down(request), up(inside), up({ ...inside, connection: 3 })], true],
    ['two clients with one id', [down(request), down({ ...request, connection: 4 }), up(inside)], true],
  ];
  for (const [name, sides, ambiguous] of cases) {
    test(name, () => {
      const { pairs, apart } = run(sides);
      assert.deepEqual(pairs, []);
      assert.deepEqual(apart, sides.map(({ connection }) => [connection, ambiguous]).toSorted());
    });
  }
});

test('a downstream half waits a moment, an upstream one for a slow client', () => {
  const pairs: number[] = [];
  const apart: number[] = [];
  const content = createContentPairs({
    pair: ({ side }) => void pairs.push(side.connection),
    apart: ({ side }) => void apart.push(side.connection),
  });
  content.add({ side: up({ connection: 2, from: 20, to: 40 }), setUp: false });
  content.advance(20 * SECOND);
  assert.deepEqual(apart, []);
  content.add({ side: down({ connection: 1, from: 10, to: 20 * SECOND }), setUp: false });
  content.advance(21 * SECOND);
  assert.deepEqual(pairs, []);
  content.advance(22 * SECOND);
  assert.deepEqual(pairs, [1]);
});

test('an id that all requests carry pairs nobody, and holds nobody up', () => {
  let [paired, apart] = [0, 0];
  const content = createContentPairs({ pair: () => void paired++, apart: () => void apart++ });
  for (let n = 0; n < 10_000; n++) {
    content.advance(n * 1000);
    content.add({ side: down({ connection: 2 * n, from: n * 1000, to: n * 1000 + 500 }), setUp: false });
    content.add({
      side: up({ connection: 2 * n + 1, from: n * 1000 + 100, to: n * 1000 + 400 }),
      setUp: false,
    });
  }
  assert.equal(paired, 0);
  assert.equal(apart, 20_000);
  assert.ok(content.size() <= 1);
});

test('what waits is bounded', () => {
  let given = 0;
  const content = createContentPairs({ pair: () => {}, apart: () => void given++ });
  for (let n = 0; n < 50_000; n++) {
    content.add({ side: up({ connection: n, id: String(n), from: 1, to: 2 }), setUp: false });
  }
  assert.ok(content.size() <= 20_000);
  assert.equal(given + content.size(), 50_000);
  assert.equal(content.flush(10), false);
  assert.equal(content.flush(Number.POSITIVE_INFINITY), true);
  assert.equal(given, 50_000);
});
