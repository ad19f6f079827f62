import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KernelRecord } from '../../src/receiver/kernel-record.ts';
import { KIND } from '../../src/records.gen.ts';
import type { HopSpan } from '../../src/spans/hop-span.ts';
import { type FixtureTruth, fixtureNames, fixturePaths, readTruth } from '../harness/fixtures.ts';
import { hopsOf, malformed, type SeenHop } from '../harness/hopspan.ts';
import { judge, type Verdict } from '../harness/match.ts';
import { asFileSpan, readAll, spansOf } from '../harness/recordings.ts';
import { type ConnectionTruth, joinByConnection, portPairs } from '../harness/truth.ts';

interface Replayed {
  readonly records: readonly KernelRecord[];
  readonly spans: readonly HopSpan[];
  readonly hops: readonly SeenHop[];
  readonly loose: number;
  readonly truth: FixtureTruth;
  readonly connections: ReadonlyMap<number, ConnectionTruth>;
}

async function replayed(name: string): Promise<Replayed> {
  const { records, error } = await readAll(fixturePaths(name).recording);
  assert.equal(error, undefined);
  const spans = await spansOf(records);
  const { hops, loose } = hopsOf(spans.map(asFileSpan));
  const truth = readTruth(name);
  const { exchanges, connections } = truth.backend;
  return {
    ...{ records, spans, hops, truth, loose: loose.length },
    connections: joinByConnection(truth.client, exchanges, connections),
  };
}

const exact = (exchanges: number, greetings = 0): Verdict => ({
  right: exchanges,
  wrong: 0,
  unpaired: 0,
  missing: 0,
  surplus: greetings,
});

/** Every hop's values of one attribute, once each. */
function valuesOf(hops: readonly SeenHop[], attribute: string): unknown[] {
  return [...new Set(hops.map(({ hop }) => hop.attributes[attribute]))];
}

function portOf({ hop }: SeenHop): number {
  return Number(hop.attributes['client.port']);
}

/** The pairs that the proxy's own log names, against those of the hops. */
function assertPairsOfLog(hops: readonly SeenHop[], log: Parameters<typeof portPairs>[0]): void {
  const pairs = portPairs(log);
  for (const seen of hops) {
    assert.equal(seen.upstreams[0]?.attributes['network.local.port'], pairs.get(portOf(seen)));
  }
}

describe('every recording', () => {
  test('there are some', () => assert.ok(fixtureNames().length >= 11));

  for (const name of fixtureNames()) {
    test(`${name}: children inside their parents, ids used once, no negative duration`, async () => {
      const { spans, hops, loose } = await replayed(name);
      assert.ok(spans.length > 0);
      assert.deepEqual(malformed(spans.map(asFileSpan)), []);
      assert.equal(loose, 0);
      for (const { phases } of hops) for (const { durationMs } of phases.values()) assert.ok(durationMs >= 0);
    });

    test(`${name}: the same spans with the same ids each time`, async () => {
      const { records, spans } = await replayed(name);
      assert.deepEqual(await spansOf(records), spans);
    });
  }
});

/** Fixtures in which every exchange succeeds through one proxy. */
const WHOLE = {
  'envoy-echo': { greetings: 0 },
  'nginx-echo': { greetings: 0 },
  'haproxy-echo': { greetings: 0 },
  'envoy-server-first': { greetings: 10 },
  'envoy-half-close': { greetings: 0 },
  'envoy-one-byte': { greetings: 0 },
  'envoy-large': { greetings: 0 },
};

for (const [name, { greetings }] of Object.entries(WHOLE)) {
  describe(name, async () => {
    const { hops, truth, connections } = await replayed(name);

    test('every exchange once, every pair right, by both ends and by the access log', () => {
      const exchanges = truth.client.exchanges.length;
      assert.deepEqual(judge(hops, connections.values()), exact(exchanges, greetings));
      assert.equal(hops.length, exchanges + greetings);
      const [proxy] = truth.proxies;
      if (proxy && proxy.kind !== 'nginx') assertPairsOfLog(hops, proxy.accessLog);
    });

    test('all ok, paired by buffer, by the right proxy', () => {
      assert.deepEqual(valuesOf(hops, 'hopspan.outcome'), ['ok']);
      assert.deepEqual(valuesOf(hops, 'hopspan.pairing'), ['buffer']);
      assert.deepEqual(valuesOf(hops, 'server.port'), [truth.proxies[0]?.port]);
      assert.deepEqual([...new Set(hops.map(({ hop }) => hop.service))], ['edge']);
    });

    test('as many bytes as the client counted, on both sides', () => {
      const byPort = Map.groupBy(hops, portOf);
      for (const { clientPort, exchanges } of connections.values()) {
        const own = (byPort.get(clientPort) ?? []).toSorted(
          (a, b) =>
            Number(a.hop.attributes['hopspan.exchange.number']) -
            Number(b.hop.attributes['hopspan.exchange.number']),
        );
        if (greetings > 0) assert.equal(own.shift()?.hop.attributes['hopspan.exchange.server_first'], true);
        const seen = own.map(({ hop, upstreams: [upstream] }) => [
          hop.attributes['hopspan.bytes.received'],
          hop.attributes['hopspan.bytes.sent'],
          upstream?.attributes['hopspan.bytes.sent'],
          upstream?.attributes['hopspan.bytes.received'],
        ]);
        const counted = exchanges.map(({ client: { requestBytes: up, answerBytes: down } }) => [
          ...[up, down, up, down],
        ]);
        assert.deepEqual(seen, counted);
      }
    });
  });
}

describe('envoy-chain', async () => {
  const { hops, truth, connections } = await replayed('envoy-chain');
  const outer = hops.filter(({ hop }) => hop.service === 'outer');
  const inner = hops.filter(({ hop }) => hop.service === 'inner');

  test('one trace for each exchange, the second hop under the CLIENT span of the first', () => {
    const below = new Map(inner.map((seen) => [seen.hop.parentSpanId, seen]));
    const joined = outer.map((seen) => {
      const callee = below.get(seen.upstreams[0]?.spanId ?? '');
      assert.equal(callee?.hop.traceId, seen.hop.traceId);
      return { ...seen, upstreams: callee?.upstreams ?? [] };
    });
    const exchanges = truth.client.exchanges.length;
    assert.deepEqual(judge(joined, connections.values()), exact(exchanges));
    assert.equal(inner.length, exchanges);
    assert.equal(new Set(hops.map(({ hop }) => hop.traceId)).size, exchanges);
  });

  test('each proxy names the pairs of its own log', () => {
    for (const { service, accessLog } of truth.proxies) {
      assertPairsOfLog(service === 'outer' ? outer : inner, accessLog);
    }
  });
});

describe('what goes wrong', () => {
  test('envoy-refused: each connection is one hop, with the attempt that was refused', async () => {
    const { hops, truth } = await replayed('envoy-refused');
    assert.equal(hops.length, truth.client.connections.length);
    assert.deepEqual(valuesOf(hops, 'hopspan.outcome'), ['upstream_refused']);
    assert.ok(truth.proxies[0]?.accessLog.every(({ flags }) => flags.includes('UF')));
    for (const seen of hops) {
      assert.equal(seen.upstreams.length, 1);
      assert.notEqual(seen.hop.error, '');
      assert.ok(truth.client.connections.some(({ localPort }) => localPort === portOf(seen)));
    }
  });

  test('envoy-client-abort: an error that the client made', async () => {
    const { hops, truth, connections } = await replayed('envoy-client-abort');
    assert.deepEqual(judge(hops, connections.values()), exact(truth.client.exchanges.length));
    assert.deepEqual(valuesOf(hops, 'hopspan.outcome'), ['client_aborted']);
    assert.deepEqual(valuesOf(hops, 'hopspan.close.by'), ['client']);
    assert.deepEqual(valuesOf(hops, 'hopspan.close.how'), ['reset']);
  });

  test('envoy-upstream-reset: half an answer, then a reset', async () => {
    const { hops, truth, connections } = await replayed('envoy-upstream-reset');
    assert.deepEqual(judge(hops, connections.values()), exact(truth.client.exchanges.length));
    assert.deepEqual(valuesOf(hops, 'hopspan.outcome'), ['upstream_reset']);
    assert.deepEqual(valuesOf(hops, 'hopspan.bytes.sent'), [2500]);
  });
});

test('a side lost from a recording costs its own hop, and nobody is paired wrongly', async () => {
  const { records, connections } = await replayed('envoy-echo');
  for (let lost = 0; lost < records.length; lost++) {
    if (records[lost]?.kind !== KIND.SIDE) continue;
    const rest = records.filter((_, index) => index !== lost);
    const spans = (await spansOf(rest)).map(asFileSpan);
    assert.equal(judge(hopsOf(spans).hops, connections.values()).wrong, 0);
    assert.deepEqual(malformed(spans), []);
  }
});
