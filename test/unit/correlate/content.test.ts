import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createContentPairs } from '../../../src/correlate/content.ts';
import type { Side } from '../../../src/correlate/side.ts';
import type { HttpMessageRecord } from '../../../src/receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { createRandom } from '../../harness/random.ts';
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

function http({ id = 'a', from, to, request, answer }: Parts) {
  const headers: Record<string, string> = id ? { traceparent: id } : {};
  return {
    request: makeHttpMessage({ headers, firstNs: from, lastNs: from, bodyBytes: 0, ...request }),
    answer: makeHttpMessage({
      ...{ flags: OVER | ANSWER_MESSAGE, method: '', statusCode: 200, bodyBytes: 5 },
      ...{ firstNs: to, lastNs: to, ...answer },
    }),
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
/** The connection ended in place of an answer. */
const unanswered = (side: Side, ns: number, fields: Partial<SideRecord> = {}): Side => ({
  ...side,
  flags: side.flags | SIDE_FLAGS.ENDED,
  ...{ finReceivedNs: ns, finSentNs: ns + 1, closedNs: ns + 2, releasedNs: ns + 3, ...fields },
  ...(side.http?.request ? { http: { request: side.http.request } } : {}),
});

function run(sides: readonly Side[]) {
  const pairs: number[][] = [];
  const apart: [number, boolean][] = [];
  const content = createContentPairs({
    pair: ({ side }, { upstream, tries, mirrors }) =>
      void pairs.push([side, upstream, ...tries, ...mirrors].map(({ connection }) => connection)),
    apart: ({ side }, ambiguous) => void apart.push([side.connection, ambiguous]),
  });
  const taken = sides.map((side) => content.add({ side, setUp: false }));
  for (let second = 1; second < 200; second++) content.advance(second * SECOND);
  assert.equal(content.size(), 0);
  return { pairs: pairs.toSorted(), apart: apart.toSorted(([a], [b]) => a - b), taken };
}

test('halves with the same id are one, whichever comes first', () => {
  const sides = [down({ connection: 1, from: 10, to: 50 }), up({ connection: 2, from: 20, to: 40 })];
  assert.deepEqual(run(sides).pairs, [[1, 2]]);
  assert.deepEqual(run(sides.toReversed()).pairs, [[1, 2]]);
});

test('a half without a whole request or an answer is not taken', () => {
  const from = { connection: 1, from: 10, to: 50 };
  const sides = [
    down({ ...from, answer: { flags: ANSWER_MESSAGE } }),
    down({ ...from, request: { flags: 0 } }),
    down({ ...from, request: { method: '' } }),
    down({ ...from, record: { flags: 0 } }),
  ];
  assert.deepEqual(run(sides).taken, [false, false, false, false]);
});

for (const id of ['a', '']) {
  describe(id ? 'halves with an id stay apart' : 'halves without an id stay apart', () => {
    const request = { id, connection: 1, from: 10, to: 50 };
    const inside = { id, connection: 2, from: 20, to: 40 };
    const headers: Record<string, string> = id ? { traceparent: id } : {};
    const cases: [string, Side[], boolean][] = [
      ['another id', [down(request), up({ ...inside, id: '00-other trace' })], id === ''],
      ['another method', [down(request), up({ ...inside, request: { headers, method: 'PUT' } })], false],
      ['another process', [down(request), up({ ...inside, record: { tgid: 7 } })], false],
      ['another thread', [down(request), up({ ...inside, request: { headers, tid: 7 } })], false],
      ['another status', [down(request), up({ ...inside, answer: { statusCode: 503 } })], true],
      ['sent on before it was read', [down(request), up({ ...inside, from: 5 })], false],
      ['answered after it was passed back', [down(request), up({ ...inside, to: 60 })], true],
      ['two that fit', [down(request), up(inside), up({ ...inside, connection: 3 })], true],
      [
        'two that fit in turn, though nobody tries again after a good answer',
        [down(request), up({ ...inside, to: 25 }), up({ ...inside, connection: 3, from: 30 })],
        true,
      ],
      ['two clients', [down(request), down({ ...request, connection: 4 }), up(inside)], true],
      [
        'two of each',
        [down(request), down({ ...request, connection: 4 }), up(inside), up({ ...inside, connection: 3 })],
        true,
      ],
    ];
    for (const [name, sides, ambiguous] of cases) {
      if (id && /id|thread/.test(name)) continue;
      if (!id && name === 'another id') continue;
      test(name, () => {
        const { pairs, apart } = run(sides);
        assert.deepEqual(pairs, []);
        assert.deepEqual(
          apart.map(([connection]) => connection),
          sides.map(({ connection }) => connection).toSorted(),
        );
        assert.equal(apart.find(([connection]) => connection === 1)?.[1], ambiguous);
      });
    }
  });
}

describe('ids', () => {
  const request = { connection: 1, from: 10, to: 50 };
  const inside = { connection: 2, from: 20, to: 40 };
  const requestId = (value: string) => ({ request: { headers: { 'x-request-id': value } } });

  test('pair across a path that the proxy has rewritten', () => {
    const rewritten = up({ ...inside, request: { headers: { traceparent: 'a' }, path: '/v2/x' } });
    assert.deepEqual(run([down(request), rewritten]).pairs, [[1, 2]]);
  });

  test('of two traces are no pair, whatever else agrees', () => {
    const one = down({ ...request, id: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` });
    const other = up({ ...inside, id: `00-${'3'.repeat(32)}-${'2'.repeat(16)}-01` });
    assert.deepEqual(run([one, other]).pairs, []);
    assert.deepEqual(
      run([down({ ...request, ...requestId('a') }), up({ ...inside, ...requestId('b') })]).pairs,
      [],
    );
  });

  test('of one trace are a pair though the proxy has put in a span of its own', () => {
    const one = down({ ...request, id: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` });
    const other = up({ ...inside, id: `00-${'1'.repeat(32)}-${'3'.repeat(16)}-01` });
    assert.deepEqual(run([one, other]).pairs, [[1, 2]]);
  });

  test('that the proxy makes are no hindrance', () => {
    assert.deepEqual(run([down({ ...request, id: '' }), up({ ...inside, ...requestId('b') })]).pairs, [
      [1, 2],
    ]);
  });

  test('come first: the other upstream half is left to the other client', () => {
    const sides = [
      down(request),
      down({ ...request, id: '', connection: 3 }),
      up(inside),
      up({ ...inside, id: '', connection: 4 }),
    ];
    assert.deepEqual(run(sides).pairs, [
      [1, 2],
      [3, 4],
    ]);
  });
});

describe('without an id', () => {
  const of = (connection: number, from: number, to: number, more: Partial<Parts> = {}): Parts => ({
    ...{ id: '', connection, from, to, ...more },
  });

  test('times tell a request from the next one', () => {
    const sides = [down(of(1, 10, 50)), up(of(2, 11, 40)), down(of(3, 12, 60)), up(of(4, 13, 45))];
    assert.deepEqual(run(sides).pairs, [
      [1, 2],
      [3, 4],
    ]);
  });

  test('lengths, agents and authorities tell requests from each other', () => {
    const differences: Partial<HttpMessageRecord>[] = [
      { headers: { 'user-agent': 'one' } },
      { bodyBytes: 7 },
      { authority: 'one' },
    ];
    for (const difference of differences) {
      const other = { request: { headers: { 'user-agent': 'other' }, authority: 'other' } };
      const one = { request: { ...other.request, ...difference } };
      const sides = [
        ...[down(of(1, 10, 50, one)), down(of(3, 10, 50, other))],
        ...[up(of(4, 20, 40, other)), up(of(2, 20, 40, one))],
      ];
      assert.deepEqual(run(sides).pairs, [
        [1, 2],
        [3, 4],
      ]);
    }
    const long = { answer: { bodyBytes: 9 } };
    const sides = [
      down(of(1, 10, 50, long)),
      down(of(3, 10, 50)),
      up(of(4, 20, 40)),
      up(of(2, 20, 40, long)),
    ];
    assert.deepEqual(run(sides).pairs, [
      [1, 2],
      [3, 4],
    ]);
  });

  test('an answer that the proxy compressed is the only one of its request', () => {
    assert.deepEqual(run([down(of(1, 10, 50, { answer: { bodyBytes: 3 } })), up(of(2, 20, 40))]).pairs, [
      [1, 2],
    ]);
  });

  test('a slow upstream request is waited for, a competitor whose own is still to come as well', () => {
    const pairs: number[][] = [];
    const apart: number[] = [];
    const content = createContentPairs({
      pair: ({ side }, { upstream }) => void pairs.push([side.connection, upstream.connection]),
      apart: ({ side }) => void apart.push(side.connection),
    });
    content.add({ side: down(of(1, 10, 50)), setUp: false });
    content.add({ side: up(of(2, 20, 40)), setUp: false });
    content.add({ side: down(of(3, 10, SECOND)), setUp: false });
    content.advance(1.4 * SECOND);
    assert.deepEqual(pairs, [], 'the request may be that of the other client');
    content.add({ side: up(of(4, 20, 0.9 * SECOND)), setUp: false });
    for (let at = 1.5; at < 4; at += 0.1) content.advance(at * SECOND);
    assert.deepEqual(pairs.toSorted(), [
      [1, 2],
      [3, 4],
    ]);
    assert.deepEqual(apart, []);
  });

  test('a client so slow that its upstream half was given up may have had one', () => {
    const apart: [number, boolean][] = [];
    const content = createContentPairs({
      pair: () => assert.fail(),
      apart: ({ side }, ambiguous) => void apart.push([side.connection, ambiguous]),
    });
    const add = (side: Side) => content.add({ side, setUp: false });
    const end = (ns: number) => ({ answer: { lastNs: ns } });
    content.advance(SECOND);
    add(down(of(9, 1, 2)));
    for (let second = 2; second < 5; second++) content.advance(second * SECOND);
    assert.deepEqual(apart.splice(0), [[9, false]]);
    add(up(of(2, 20, 40)));
    for (let second = 5; second < 40; second++) content.advance(second * SECOND);
    assert.deepEqual(apart.splice(0), [[2, false]]);
    add({ ...down(of(1, 10, 50, end(40 * SECOND))), lastWriteNs: 40 * SECOND });
    add({ ...down(of(3, 10, 50, end(40 * SECOND))), lastWriteNs: 40 * SECOND });
    for (let second = 40; second < 120; second++) content.advance(second * SECOND);
    assert.deepEqual(apart, [
      [1, true],
      [3, true],
    ]);
    assert.equal(content.size(), 0);
  });

  test('upstream halves of a process whose clients cannot be read wait less', () => {
    const apart: number[] = [];
    const content = createContentPairs({
      pair: () => {},
      apart: ({ side }) => void apart.push(side.connection),
    });
    content.advance(SECOND);
    content.add({ side: up(of(2, 20, 40)), setUp: false });
    content.advance(5 * SECOND);
    assert.deepEqual(apart, []);
    content.advance(7 * SECOND);
    assert.deepEqual(apart, [2]);
  });

  test('a process whose threads hand requests to each other is not held to one thread', () => {
    const thread = (request: number, answer: number) => ({
      request: { tid: request },
      answer: { tid: answer },
    });
    const sides = [...[down(of(1, 10, 50, thread(1, 2))), up(of(2, 20, 40, thread(2, 1)))]];
    assert.deepEqual(run(sides).pairs, [[1, 2]]);
  });
});

for (const id of ['a', '']) {
  describe(`${id ? 'with' : 'without'} an id: a proxy`, () => {
    const request = { id, connection: 1, from: 10, to: 90 };
    const headers: Record<string, string> = id ? { traceparent: id } : {};
    const failing = up({ id, connection: 2, from: 20, to: 30, answer: { statusCode: 503 } });
    const reset = unanswered(up({ id, connection: 3, from: 40, to: 0, record: { exchange: 2 } }), 50);

    test('that tries again has led to several upstream requests', () => {
      const last = up({ id, connection: 4, from: 60, to: 70 });
      assert.deepEqual(run([down(request), last, reset, failing]).pairs, [[1, 4, 2, 3]]);
    });

    test('that tries in vain passes on the last answer', () => {
      const last = up({ id, connection: 4, from: 60, to: 70, answer: { statusCode: 503 } });
      const answered = down({ ...request, answer: { statusCode: 503 } });
      assert.deepEqual(run([answered, last, reset, failing]).pairs, [[1, 4, 2, 3]]);
    });

    test('that got no answer makes one', () => {
      const answered = down({ ...request, answer: { statusCode: 502, bodyBytes: 100 } });
      assert.deepEqual(run([answered, reset]).pairs, [[1, 3]]);
    });

    test('that mirrors has sent a copy', () => {
      const server = { headers, authority: 'a:80' };
      const sides = [
        down({ ...request, request: server }),
        up({ id, connection: 4, from: 60, to: 70, request: server }),
        up({ id, connection: 5, from: 60, to: 80, request: { ...server, authority: 'a-shadow:80' } }),
      ];
      assert.deepEqual(run(sides).pairs, [[1, 4, 5]]);
    });

    test('whose client has left may have no answer', () => {
      const left = unanswered(down(request), 60, { finSentNs: 61 });
      const given = unanswered(up({ id, connection: 2, from: 20, to: 0 }), 62, { finReceivedNs: 0 });
      assert.deepEqual(run([left, given]).pairs, [[1, 2]]);
    });

    test('that answers by itself is not ambiguous', () => {
      assert.deepEqual(run([down(request)]).apart, [[1, false]]);
    });
  });
}

test('a downstream half waits a moment, an upstream one for a slow client', () => {
  const pairs: number[] = [];
  const apart: number[] = [];
  const content = createContentPairs({
    pair: ({ side }) => void pairs.push(side.connection),
    apart: ({ side }) => void apart.push(side.connection),
  });
  content.add({ side: down({ connection: 9, from: 1, to: 2, id: 'b' }), setUp: false });
  content.advance(2 * SECOND);
  assert.deepEqual(apart.splice(0), [9]);
  content.add({ side: up({ connection: 2, from: 20, to: 40 }), setUp: false });
  content.advance(20 * SECOND);
  assert.deepEqual(apart, []);
  content.add({ side: down({ connection: 1, from: 10, to: 20 * SECOND }), setUp: false });
  content.advance(21 * SECOND);
  assert.deepEqual(pairs, []);
  content.advance(22 * SECOND);
  assert.deepEqual(pairs, [1]);
});

test('an id that all requests carry is no id', () => {
  const count = 1000;
  const sides = Array.from({ length: count }, (_, n) => [
    down({ connection: 2 * n, from: n * 10, to: n * 10 + 500, request: { path: `/${n}` } }),
    up({ connection: 2 * n + 1, from: n * 10 + 100, to: n * 10 + 400, request: { path: `/${n}` } }),
  ]).flat();
  const { pairs } = run(sides);
  assert.equal(pairs.length, count);
  assert.ok(pairs.every(([one = 0, other]) => other === one + 1));
});

test('what is the same all the time pairs nobody wrongly, and holds nobody up', () => {
  let given = 0;
  const told: [number, number][] = [];
  const content = createContentPairs({
    pair: ({ side }, { upstream }) => {
      given += 2;
      told.push([side.connection, upstream.connection]);
    },
    apart: () => void given++,
  });
  const random = createRandom(3);
  const events: { at: number; side: Side }[] = [];
  for (let n = 0; n < 5000; n++) {
    const from = n * 2_000_000 + Math.floor(random() * 4_000_000);
    const to = from + 20_000_000 + Math.floor(random() * 60_000_000);
    const parts = { id: '', connection: 2 * n };
    const later = from + Math.floor(random() * 100_000);
    const before = to - Math.floor(random() * 100_000);
    events.push({ at: to, side: down({ ...parts, from, to }) });
    events.push({ at: to, side: up({ ...parts, connection: 2 * n + 1, from: later, to: before }) });
  }
  events.sort((a, b) => a.at - b.at);
  let nowNs = 0;
  let most = 0;
  for (const { at, side } of events) {
    for (; nowNs < at; nowNs += 50_000_000) content.advance(nowNs);
    content.add({ side, setUp: false });
    most = Math.max(most, content.size());
  }
  for (let n = 0; n < 100; n++) content.advance(nowNs + n * SECOND);
  assert.equal(given, 10_000);
  assert.ok(told.length > 2000, `${told.length} pairs`);
  assert.deepEqual(
    told.filter(([one, other]) => other !== one + 1),
    [],
  );
  assert.ok(most < 5000, `${most} waited`);
});

test('what waits is bounded', () => {
  let given = 0;
  const content = createContentPairs({ pair: () => {}, apart: () => void given++ });
  const fill = (path: (n: number) => string): void => {
    for (let n = 0; n < 50_000; n++) {
      content.add({
        side: up({ connection: n, id: String(n), from: 1, to: 2, request: { path: path(n) } }),
        setUp: false,
      });
      if (n % 1000 === 0) content.advance(n);
    }
  };
  fill((n) => `/${n}`);
  fill(() => '/');
  assert.ok(content.size() <= 120_000, `${content.size()}`);
  assert.equal(content.flush(10), false);
  while (!content.flush(1000));
  assert.equal(given, 100_000);
});
