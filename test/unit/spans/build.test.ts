import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Hop } from '../../../src/correlate/hop.ts';
import { SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { createSpanBuilder } from '../../../src/spans/build.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeHost, makeProxy } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const EXCHANGE = { flags: SIDE_FLAGS.EXCHANGE, exchange: 1 };
const ECONNREFUSED = 111;
const host = makeHost();
const proxy = makeProxy();

/** An exchange from 1000 to 2000 nanoseconds. */
function exchange(parts: Partial<Hop> = {}): Hop {
  return hopOf({
    downstream: downstreamRecord({
      ...{ ...EXCHANGE, establishedNs: 1000, acceptedNs: 1100, arrivedNs: 1050, firstReadNs: 1200 },
      ...{ lastReadNs: 1200, firstWriteNs: 1900, lastWriteNs: 2000, writes: 2 },
    }),
    upstream: upstreamRecord({
      ...{ ...EXCHANGE, synNs: 1300, establishedNs: 1400, firstWriteNs: 1500, lastWriteNs: 1500, writes: 1 },
      ...{ arrivedNs: 1700, firstReadNs: 1800, lastReadNs: 1850 },
    }),
    ...{ proxy, host, ...parts },
  });
}

const options = { phaseFloorNs: 0, resourceAttributes: {} };

/** Spans as `name kind < parent's name`. */
function tree(spans: readonly HopSpan[]): string[] {
  const names = new Map(spans.map(({ spanId, name }) => [spanId, name]));
  return spans.map(({ name, kind, parentSpanId }) => {
    const parent = parentSpanId === undefined ? '-' : (names.get(parentSpanId) ?? 'elsewhere');
    return `${name} ${kind} < ${parent}`;
  });
}

const hopName = 'tcp proxy :8000';
const upstreamName = 'tcp upstream :9000';

describe('the spans of an exchange', () => {
  test('are the tree of docs/spans.md', () => {
    assert.deepEqual(tree(createSpanBuilder(options)(exchange())), [
      `${hopName} SERVER < -`,
      `${upstreamName} CLIENT < ${hopName}`,
      `accept wait INTERNAL < ${hopName}`,
      `connect INTERNAL < ${upstreamName}`,
      `read wait INTERNAL < ${hopName}`,
      `forward INTERNAL < ${hopName}`,
      `upstream wait INTERNAL < ${upstreamName}`,
      `answer read wait INTERNAL < ${upstreamName}`,
      `answer forward INTERNAL < ${hopName}`,
      `answer transfer INTERNAL < ${hopName}`,
    ]);
  });

  test('phases below the floor have no span, but their time on the hop', () => {
    const spans = createSpanBuilder({ ...options, phaseFloorNs: 150 })(exchange());
    assert.deepEqual(tree(spans).slice(2), [`upstream wait INTERNAL < ${upstreamName}`]);
    assert.equal(spans[0]?.attributes['hopspan.accept_wait.duration'], 100e-9);
  });

  test('all of one process share its resource, and all of one exchange its trace', () => {
    const build = createSpanBuilder(options);
    const spans = [...build(exchange()), ...build(exchange())];
    assert.equal(new Set(spans.map(({ resource }) => resource)).size, 1);
    assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
  });

  test('a half alone is one tree', () => {
    const build = createSpanBuilder(options);
    const { downstream, upstream } = exchange() as { downstream: SideRecord; upstream: SideRecord };
    const own = { connection: upstream.connection, exchange: 1 };
    assert.equal(tree(build(hopOf({ downstream, proxy, host })))[0], `${hopName} SERVER < -`);
    const alone = tree(build(hopOf({ upstream, key: own, trace: own, proxy, host })));
    assert.equal(alone[0], `${upstreamName} CLIENT < -`);
    assert.ok(alone.slice(1).every((span) => span.endsWith(`< ${upstreamName}`)));
  });

  test("a hop that another called hangs under that one's upstream span", () => {
    const build = createSpanBuilder(options);
    const caller = exchange();
    const key = { connection: 11, exchange: 1 };
    const { downstream } = exchange();
    const callee = exchange({
      key,
      downstream: { ...downstream, connection: 11 } as SideRecord,
      trace: caller.key,
      parent: { connection: 2, exchange: 1 },
    });
    const [, upstream] = build(caller);
    const [root] = build(callee);
    assert.equal(root?.parentSpanId, upstream?.spanId);
    assert.equal(root?.traceId, upstream?.traceId);
  });
});

describe('attempts in vain', () => {
  const attempt = (connection: number): SideRecord =>
    upstreamRecord({
      ...{ connection, synNs: 1210, establishedNs: 0, closedNs: 1250, releasedNs: 1250 },
      ...{ error: ECONNREFUSED, flags: SIDE_FLAGS.ENDED },
    });

  test('are CLIENT spans of their own, each with its connect, before the one that served', () => {
    const spans = createSpanBuilder(options)(exchange({ attempts: [attempt(5), attempt(6)] }));
    assert.deepEqual(tree(spans).slice(0, 6), [
      `${hopName} SERVER < -`,
      `${upstreamName} CLIENT < ${hopName}`,
      `connect INTERNAL < ${upstreamName}`,
      `${upstreamName} CLIENT < ${hopName}`,
      `connect INTERNAL < ${upstreamName}`,
      `${upstreamName} CLIENT < ${hopName}`,
    ]);
    assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length);
    assert.equal(spans[0]?.attributes['hopspan.attempts'], 3);
    assert.equal(spans[0]?.error, undefined);
    assert.match(spans[1]?.error ?? '', /refused/);
  });
});

describe("a connection's own spans", () => {
  test('are a trace of their own, linked to the last exchange, under other ids', () => {
    const build = createSpanBuilder(options);
    const last = build(exchange());
    const own = build(exchange({ kind: 'connection', end: true }));
    assert.equal(own[0]?.name, 'tcp connection :8000');
    assert.deepEqual(
      own[0]?.links.map(({ traceId, spanId }) => [traceId, spanId]),
      [[last[0]?.traceId, last[0]?.spanId]],
    );
    assert.equal(
      own.slice(1).some(({ links }) => links.length > 0),
      false,
    );
    assert.notEqual(own[0]?.traceId, last[0]?.traceId);
    const ids = [...last, ...own].map(({ spanId }) => spanId);
    assert.equal(new Set(ids).size, ids.length);
  });
});

describe('ids', () => {
  test('are the same whenever the same records are replayed, and other ones in another run', () => {
    const ids = (of: Hop): string[] => createSpanBuilder(options)(of).map(({ spanId }) => spanId);
    assert.deepEqual(ids(exchange()), ids(exchange()));
    const other = ids(exchange({ host: makeHost({ seed: 'f'.repeat(32) }) }));
    assert.equal(
      ids(exchange()).some((id) => other.includes(id)),
      false,
    );
  });
});
