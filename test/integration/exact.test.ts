import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { hopsOf, malformed, type SeenHop, startHopspan } from '../harness/hopspan.ts';
import { judge, type Verdict } from '../harness/match.ts';
import { stopLeftovers } from '../harness/process.ts';
import { type ProxyOptions, startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import type { ProxyLogEntry } from '../harness/proxy.ts';
import {
  type BackendOptions,
  type ClientLog,
  type ClientOptions,
  runClient,
  startBackend,
} from '../harness/traffic.ts';
import { joinByConnection, portPairs } from '../harness/truth.ts';

after(stopLeftovers);

const PROXIES = { Envoy: startEnvoy, nginx: startNginxStream, HAProxy: startHaproxy };

interface Load {
  readonly client: Omit<ClientOptions, 'port'>;
  readonly backend?: BackendOptions;
  readonly host?: string;
}

interface Outcome {
  readonly verdict: Verdict;
  readonly hops: SeenHop[];
  readonly exchanges: number;
}

/** Drives a load through one proxy and holds what hopspan says against what both ends know. */
async function drive(
  start: typeof startEnvoy | typeof startNginxStream | typeof startHaproxy,
  load: Load,
): Promise<Outcome> {
  const host = load.host ?? '127.0.0.1';
  const backend = await startBackend({ host, ...load.backend });
  const options: ProxyOptions = {
    listeners: [{ host, upstreamHost: host, upstreamPort: backend.port }],
    concurrency: 2,
  };
  const proxy = await start(options);
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
  const client = await runClient({ host, port: proxy.port, ...load.client });
  const log = await backend.log();
  assert.deepEqual(
    client.exchanges.filter(({ outcome }) => outcome !== 'ok'),
    [],
    'the load itself failed',
  );
  await proxy.stop();
  const spans = await hopspan.finish();
  const access = await proxy.accessLog();
  await backend.stop();
  assert.deepEqual(malformed(spans), []);
  const { hops, loose } = hopsOf(spans);
  assert.equal(loose.length, 0, 'no upstream connection is without its hop');
  for (const { hop } of hops) {
    assert.equal(hop.attributes['hopspan.pairing'], 'buffer');
    assert.equal(hop.attributes['hopspan.outcome'], 'ok');
  }
  const truth = joinByConnection(client, log);
  if (proxy.kind !== 'nginx') checkAgainstAccessLog(access, client, hops);
  return { verdict: judge(hops, truth.values()), hops, exchanges: client.exchanges.length };
}

/**
 * The proxy's own word on which of its connections belong together, where the client used no port twice. A busy HAProxy
 * leaves lines out, so the log alone does not tell which those are.
 */
function checkAgainstAccessLog(
  access: readonly ProxyLogEntry[],
  client: ClientLog,
  hops: readonly SeenHop[],
): void {
  const uses = Map.groupBy(client.connections, ({ localPort }) => localPort);
  const pairs = portPairs(access.filter(({ clientPort }) => uses.get(clientPort)?.length === 1));
  assert.ok(pairs.size > 0);
  for (const { hop, upstreams } of hops) {
    const said = pairs.get(Number(hop.attributes['client.port']));
    if (said !== undefined) assert.equal(upstreams[0]?.attributes['network.local.port'], said);
  }
}

const exact = (exchanges: number): Verdict => ({
  right: exchanges,
  wrong: 0,
  unpaired: 0,
  missing: 0,
  surplus: 0,
});

for (const [name, start] of Object.entries(PROXIES)) {
  describe(`every exchange once, every connection rightly paired: ${name}`, () => {
    it('12,000 connections, 4,000 at a time, 3 exchanges each', async () => {
      const client = { connections: 12_000, concurrency: 4_000, exchanges: 3 };
      const { verdict, exchanges } = await drive(start, { client });
      assert.equal(exchanges, 36_000);
      assert.deepEqual(verdict, exact(exchanges));
    });

    it('messages up to 300 kB: several reads and partial writes each', async () => {
      const bytes = { min: 20, max: 300_000 };
      const client = {
        connections: 1_500,
        concurrency: 100,
        exchanges: 2,
        requestBytes: bytes,
        answerBytes: bytes,
      };
      const { verdict, hops, exchanges } = await drive(start, { client });
      assert.deepEqual(verdict, exact(exchanges));
      const phases = hops.flatMap((hop) => [...hop.phases.keys()]);
      assert.ok(phases.includes('request transfer') && phases.includes('answer transfer'));
    });

    it('messages of one byte', async () => {
      const framing = { framing: 'fixed', requestBytes: 1, answerBytes: 1 } as const;
      const client = { ...framing, connections: 1_000, concurrency: 200, exchanges: 4 };
      const { verdict, exchanges } = await drive(start, { client, backend: framing });
      assert.deepEqual(verdict, exact(exchanges));
    });

    it('the server speaks first: its greeting is an exchange without a request', async () => {
      const greeting = { greetingBytes: 70 };
      const client = { ...greeting, connections: 500, concurrency: 100, exchanges: 3 };
      const { verdict, hops, exchanges } = await drive(start, { client, backend: greeting });
      assert.deepEqual(verdict, { ...exact(exchanges), surplus: 500 });
      const greetings = hops.filter(({ hop }) => hop.attributes['hopspan.exchange.server_first']);
      assert.equal(greetings.length, 500);
      for (const { hop } of greetings) {
        assert.equal(hop.attributes['hopspan.exchange.number'], 1);
        assert.equal(hop.attributes['hopspan.bytes.received'], 0);
        assert.equal(hop.attributes['hopspan.bytes.sent'], 70);
      }
    });

    it('SMTP-like talk', async () => {
      const framing = { framing: 'smtp' } as const;
      const client = { ...framing, connections: 200, concurrency: 50 };
      const { verdict, exchanges } = await drive(start, { client, backend: framing });
      assert.deepEqual(verdict, { ...exact(exchanges), surplus: 200 });
    });

    it('pipelined requests: no byte lost, none counted twice', async () => {
      const client = { connections: 200, concurrency: 50, exchanges: 12, pipeline: 4 };
      const { verdict, hops } = await drive(start, { client });
      assert.equal(verdict.wrong + verdict.unpaired + verdict.surplus, 0);
      const total = (attribute: string): number =>
        hops.reduce((sum, { hop }) => sum + Number(hop.attributes[attribute]), 0);
      const upstream = (attribute: string): number =>
        hops.reduce((sum, { upstreams }) => sum + Number(upstreams[0]?.attributes[attribute]), 0);
      assert.equal(total('hopspan.bytes.received'), upstream('hopspan.bytes.sent'));
      assert.equal(total('hopspan.bytes.sent'), upstream('hopspan.bytes.received'));
      assert.ok(total('hopspan.bytes.received') >= 2_400 * 20);
    });

    it('IPv6', async () => {
      const client = { connections: 300, concurrency: 100, exchanges: 2 };
      const { verdict, hops, exchanges } = await drive(start, { client, host: '::1' });
      assert.deepEqual(verdict, exact(exchanges));
      for (const { hop } of hops) {
        assert.equal(hop.attributes['network.type'], 'ipv6');
        assert.equal(hop.attributes['client.address'], '::1');
      }
    });
  });
}

describe('a chain of two Envoys', () => {
  it('is one trace, the second hop under the CLIENT span of the first', async () => {
    const backend = await startBackend();
    const second = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2 });
    const first = await startEnvoy({ listeners: [{ upstreamPort: second.port }], concurrency: 2 });
    const hopspan = await startHopspan({
      targets: [
        `listen_port: ${first.port}, service_name: outer`,
        `listen_port: ${second.port}, service_name: inner`,
      ].map((target) => `{ ${target} }`),
    });
    const client = await runClient({ port: first.port, connections: 2_000, concurrency: 500, exchanges: 3 });
    const log = await backend.log();
    await first.stop();
    await second.stop();
    const spans = await hopspan.finish();
    await backend.stop();
    assert.deepEqual(malformed(spans), []);

    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const { hops } = hopsOf(spans);
    const outer = hops.filter(({ hop }) => hop.service === 'outer');
    const inner = hops.filter(({ hop }) => hop.service === 'inner');
    assert.equal(client.exchanges.length, 6_000);
    assert.equal(outer.length, 6_000);
    assert.equal(inner.length, 6_000);

    /* End to end: the client's port of the outer hop, the backend's port of the inner hop beneath it. */
    const below = new Map(inner.map((hop) => [hop.hop.parentSpanId, hop]));
    assert.equal(below.size, 6_000, 'no two inner hops under one CLIENT span');
    const joined = outer.map((hop) => {
      const clientSpan = hop.upstreams[0];
      const callee = below.get(clientSpan?.spanId ?? '');
      assert.ok(clientSpan && callee, 'every CLIENT span of the outer hop has the inner hop beneath it');
      assert.equal(callee.hop.traceId, hop.hop.traceId);
      assert.equal(callee.hop.attributes['client.port'], clientSpan.attributes['network.local.port']);
      assert.equal(
        callee.hop.attributes['hopspan.connection.id'],
        clientSpan.attributes['hopspan.connection.id'],
      );
      return { ...hop, upstreams: callee.upstreams };
    });
    assert.deepEqual(judge(joined, joinByConnection(client, log).values()), exact(6_000));
    assert.ok(outer.every(({ hop }) => hop.parentSpanId === '' && byId.has(hop.spanId)));
  });
});
