import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createChain } from '../../../src/correlate/chain.ts';
import type { Hop } from '../../../src/correlate/hop.ts';
import { SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { makeClock } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const SECOND = 1_000_000_000;
const REQUEST = 100;
const ANSWER = 30;

interface Place {
  /** Its place in a row of proxies, from 0. */
  readonly proxy: number;
  /** From 1; each is as long as the one before. */
  readonly exchange: number;
}

const downstreamOf = (proxy: number): number => 10 * proxy + 1;
const upstreamOf = (proxy: number): number => 10 * proxy + 2;

/** A hop in a row of proxies: proxy n+1 sees on its downstream connection what proxy n has on its upstream one. */
function hopAt({ proxy, exchange }: Place, clockNs = 0, fields: Partial<Hop> = {}): Hop {
  const base = { tgid: 100 + proxy, exchange };
  const asked = { bytes: REQUEST, total: REQUEST * exchange };
  const answered = { bytes: ANSWER, total: ANSWER * exchange };
  const ns = 1000 * exchange + 10 * proxy;
  return hopOf({
    downstream: downstreamRecord({
      ...{ ...base, connection: downstreamOf(proxy), chained: proxy > 0 ? upstreamOf(proxy - 1) : 0 },
      ...{ bytesRead: asked.bytes, totalRead: asked.total },
      ...{ bytesWritten: answered.bytes, totalWritten: answered.total },
      ...{ arrivedNs: ns, firstReadNs: ns + 1, lastReadNs: ns + 1 },
      ...{ firstWriteNs: ns + 900 - 20 * proxy, lastWriteNs: ns + 900 - 20 * proxy },
    }),
    upstream: upstreamRecord({
      ...{ ...base, connection: upstreamOf(proxy) },
      ...{ bytesWritten: asked.bytes, totalWritten: asked.total },
      ...{ bytesRead: answered.bytes, totalRead: answered.total },
      ...{ firstWriteNs: ns + 2, lastWriteNs: ns + 2, arrivedNs: ns + 880 - 20 * proxy },
      ...{ firstReadNs: ns + 895 - 20 * proxy, lastReadNs: ns + 895 - 20 * proxy },
    }),
    clock: makeClock(clockNs),
    ...fields,
  });
}

function collect() {
  const hops: Hop[] = [];
  return { hops, chain: createChain((hop) => void hops.push(hop)) };
}

const nameOf = (hop: Hop): string => `${hop.key.connection}#${hop.key.exchange}`;

/** Each hop with its parent and its trace's root. */
function tree(hops: readonly Hop[]): Record<string, string> {
  return Object.fromEntries(
    hops
      .map((hop): [string, string] => {
        const { parent, trace } = hop;
        const under = parent ? `${parent.connection}#${parent.exchange}` : '-';
        return [nameOf(hop), `${under} in ${trace.connection}#${trace.exchange}`];
      })
      .toSorted(),
  );
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  );
}

const ROW: readonly Place[] = [
  { proxy: 0, exchange: 1 },
  { proxy: 1, exchange: 1 },
  { proxy: 2, exchange: 1 },
];
const ONE_TRACE = { '1#1': '- in 1#1', '11#1': '2#1 in 1#1', '21#1': '12#1 in 1#1' };

describe('a row of proxies', () => {
  test('three hops are one trace, whichever is complete first', () => {
    for (const order of permutations(ROW)) {
      const { hops, chain } = collect();
      for (const place of order) chain.add(hopAt(place));
      assert.deepEqual(tree(hops), ONE_TRACE);
    }
  });

  test('each exchange of a connection goes to the trace of its own caller', () => {
    const places = [1, 2].flatMap((exchange) => [0, 1].map((proxy) => ({ proxy, exchange })));
    for (const order of permutations(places)) {
      const { hops, chain } = collect();
      for (const place of order) chain.add(hopAt(place));
      assert.deepEqual(tree(hops), {
        '1#1': '- in 1#1',
        '1#2': '- in 1#2',
        '11#1': '2#1 in 1#1',
        '11#2': '2#2 in 1#2',
      });
    }
  });

  test('callers are given on before what they called', () => {
    for (const order of permutations(ROW)) {
      const { hops, chain } = collect();
      for (const place of order) chain.add(hopAt(place));
      assert.deepEqual(hops.map(nameOf), ['1#1', '11#1', '21#1']);
    }
  });

  test('a hop that nobody watched calls is a root at once', () => {
    const { hops, chain } = collect();
    chain.add(hopAt({ proxy: 0, exchange: 1 }));
    assert.equal(hops.length, 1);
  });

  test("a connection's own span is no part of an exchange's trace", () => {
    const { hops, chain } = collect();
    chain.add(hopAt({ proxy: 1, exchange: 1 }, 0, { kind: 'connection' }));
    assert.deepEqual(tree(hops), { '11#1': '- in 11#1' });
    assert.equal(chain.size(), 0);
  });
});

describe('borders that the two proxies draw differently', () => {
  /** The callee's exchange at these places of the byte streams. */
  const callee = (request: [number, number], answer: [number, number]): Hop =>
    hopOf({
      downstream: downstreamRecord({
        ...{ connection: 11, exchange: 7, chained: 2 },
        ...{ bytesRead: request[1] - request[0], totalRead: request[1] },
        ...{ bytesWritten: answer[1] - answer[0], totalWritten: answer[1] },
      }),
    });
  const cases: [string, Hop, string][] = [
    ['its second of three requests in one', callee([130, 160], [ANSWER, ANSWER + 5]), '2#2'],
    ['the request after more of the answer before', callee([200, 300], [2 * ANSWER, 3 * ANSWER]), '2#3'],
    ['more of an answer, without a request', callee([200, 200], [ANSWER + 10, 2 * ANSWER]), '2#2'],
  ];
  for (const [what, hop, parent] of cases) {
    test(`${what}: the exchange that carried its first byte`, () => {
      const { hops, chain } = collect();
      for (const exchange of [1, 2, 3]) chain.add(hopAt({ proxy: 0, exchange }));
      chain.add(hop);
      assert.equal(tree(hops)['11#7']?.split(' ')[0], parent);
    });
  }

  test('a place that no exchange covers has no caller', () => {
    const { hops, chain } = collect();
    chain.add(hopAt({ proxy: 0, exchange: 1 }));
    chain.add(callee([500, 600], [500, 600]));
    chain.flush();
    assert.equal(tree(hops)['11#7'], '- in 11#7');
  });
});

describe("the caller's times bound the callee's", () => {
  const caller = hopAt({ proxy: 0, exchange: 1 });
  const u = caller.upstream as SideRecord;

  test('a byte is not there before it was written, nor read before it was sent', () => {
    const early = hopAt({ proxy: 1, exchange: 1 });
    const d = early.downstream as SideRecord;
    const { hops, chain } = collect();
    chain.add(caller);
    chain.add({
      ...early,
      downstream: {
        ...{
          ...d,
          arrivedNs: u.firstWriteNs - 5,
          firstReadNs: u.firstWriteNs - 3,
          lastReadNs: u.firstWriteNs - 3,
        },
        ...{ firstWriteNs: u.lastReadNs - 1, lastWriteNs: u.lastReadNs + 9 },
      },
    });
    const seen = hops[1]?.downstream;
    assert.deepEqual(
      [seen?.arrivedNs, seen?.firstReadNs, seen?.lastReadNs, seen?.firstWriteNs, seen?.lastWriteNs],
      [u.firstWriteNs, u.firstWriteNs, u.firstWriteNs, u.lastReadNs - 1, u.lastReadNs],
    );
  });

  test('times in order stay as they are, and what did not happen still did not', () => {
    const { hops, chain } = collect();
    const callee = hopAt({ proxy: 1, exchange: 1 });
    const silent = { ...callee.downstream, arrivedNs: 0, firstReadNs: 0, firstWriteNs: 0, lastWriteNs: 0 };
    chain.add(caller);
    chain.add(callee);
    chain.add({ ...callee, downstream: silent as SideRecord });
    assert.equal(hops[1]?.downstream, callee.downstream);
    assert.deepEqual([hops[2]?.downstream?.arrivedNs, hops[2]?.downstream?.firstWriteNs], [0, 0]);
  });

  test('an answer that its caller has not read to the end bounds nothing', () => {
    const callee = hopAt({ proxy: 1, exchange: 1 });
    const late = { ...callee.downstream, totalWritten: ANSWER + 70, lastWriteNs: u.lastReadNs + 5000 };
    const { hops, chain } = collect();
    chain.add(caller);
    chain.add({ ...callee, downstream: late as SideRecord });
    assert.equal(hops[1]?.downstream?.lastWriteNs, u.lastReadNs + 5000);
  });
});

describe('a caller that does not come', () => {
  test('is waited for, and then the hop is a root', () => {
    const { hops, chain } = collect();
    chain.add(hopAt({ proxy: 1, exchange: 1 }, SECOND));
    chain.advance(6 * SECOND);
    assert.deepEqual(hops, []);
    chain.advance(6 * SECOND + 1);
    assert.deepEqual(tree(hops), { '11#1': '- in 11#1' });
  });

  test('takes nothing from those further down, whichever was complete first', () => {
    const expected = { '11#1': '- in 11#1', '21#1': '12#1 in 11#1', '31#1': '22#1 in 11#1' };
    for (const order of permutations([1, 2, 3])) {
      for (const end of ['advance', 'flush'] as const) {
        const { hops, chain } = collect();
        for (const [index, proxy] of order.entries()) {
          chain.add(hopAt({ proxy, exchange: 1 }, SECOND + index));
        }
        if (end === 'flush') chain.flush();
        else for (const ns of [6, 6.5, 8, 20]) chain.advance(ns * SECOND);
        assert.deepEqual(tree(hops), expected, `${order.join()} ${end}`);
      }
    }
  });

  test('connections that call each other in a circle do not wait for ever', () => {
    for (const end of ['advance', 'flush'] as const) {
      const { hops, chain } = collect();
      const circle = (connection: number, chained: number, upstream: number): Hop =>
        hopOf({
          downstream: downstreamRecord({ connection, chained, exchange: 1, bytesRead: 5, totalRead: 5 }),
          upstream: upstreamRecord({ connection: upstream, exchange: 1 }),
        });
      chain.add(circle(1, 4, 2));
      chain.add(circle(3, 2, 4));
      if (end === 'flush') chain.flush();
      else chain.advance(60 * SECOND);
      assert.equal(hops.length, 2);
    }
  });
});

describe('what is kept', () => {
  test('goes when its time is over', () => {
    const { chain } = collect();
    for (const exchange of [1, 2, 3]) chain.add(hopAt({ proxy: 0, exchange }, SECOND));
    chain.add(hopAt({ proxy: 5, exchange: 1 }, SECOND));
    assert.ok(chain.size() > 0);
    chain.advance(20 * SECOND);
    assert.ok(chain.size() > 0);
    chain.advance(320 * SECOND);
    assert.equal(chain.size(), 0);
  });

  test('is bounded, and what is in use stays', () => {
    const { hops, chain } = collect();
    const template = hopOf({ upstream: upstreamRecord({ exchange: 1, bytesWritten: 1 }) });
    for (let n = 1; n <= 200_000; n++) {
      const connection = n % 1000 === 0 ? 1 : n;
      chain.add({
        ...template,
        upstream: { ...template.upstream, connection, totalWritten: n } as SideRecord,
      });
    }
    assert.ok(chain.size() <= 131_072, `${chain.size()} kept`);
    const first = { bytesRead: 1, totalRead: 1000 };
    chain.add(hopOf({ downstream: downstreamRecord({ ...first, connection: 300_000, chained: 1 }) }));
    assert.equal(hops.at(-1)?.parent?.connection, 1);
  });

  test('an exchange with no watched proxy at its other end is not remembered', () => {
    const { chain, hops } = collect();
    const hop = hopAt({ proxy: 0, exchange: 1 });
    const upstream = upstreamRecord({ ...hop.upstream, flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.UNCHAINED });
    chain.add({ ...hop, upstream });
    assert.equal(hops.length, 1);
    assert.equal(chain.size(), 0);
  });
});
