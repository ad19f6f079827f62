import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { makeCertificate } from '../harness/certificate.ts';
import { hopsOf, malformed, type RunningHopspan, startHopspan } from '../harness/hopspan.ts';
import { startHttpBackend } from '../harness/http-backend.ts';
import { type HttpClientOptions, type HttpSent, runHttpClient } from '../harness/http-client.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import { judgeTls, type TlsVerdict } from '../harness/tls-match.ts';

after(stopLeftovers);
const certificate = makeCertificate(after);
const REQUESTS = 5000;
/** Ids of requests that are not counted, from here on. */
const FIRST_EARLY_ID = 100_000;

interface Path {
  readonly down: boolean;
  readonly up: boolean;
  /** Shares of the exchanges. */
  readonly right: number;
  readonly wrong: number;
}

const PATHS: Record<string, Path> = {
  'TLS ends at the proxy': { down: true, up: false, right: 0.99, wrong: 0.0001 },
  'TLS begins at the proxy': { down: false, up: true, right: 0.99, wrong: 0.0001 },
  'TLS on both sides': { down: true, up: true, right: 0.98, wrong: 0.0005 },
};

interface Load {
  readonly down: boolean;
  readonly up: boolean;
  readonly seed: number;
  /** Bodies have lengths in place of chunks, which a proxy makes anew. */
  readonly chunked?: false;
  readonly maxBodyBytes?: number;
  readonly maxAnswerBytes?: number;
}

/** Sends 5,000 requests through Envoy, 100 at once, and holds what hopspan made of them against what was sent. */
async function verdictOf({ down, up, seed, ...bodies }: Load): Promise<TlsVerdict> {
  const backend = await startHttpBackend({ ...(up ? { tls: certificate } : {}), ...bodies, seed });
  const proxy = await startEnvoy({
    listeners: [{ upstreamPort: backend.port }],
    ...{ concurrency: 2, http: {}, upstreamTls: up },
    ...(down ? { downstreamTls: certificate } : {}),
  });
  const hopspan = await startHopspan({
    targets: [`listen_port: ${proxy.port}`],
    receiver: { phase_floor: '1h' },
  });
  const client = { port: proxy.port, tls: down, seed, ...bodies };
  const early = await untilPaired(hopspan, client);
  const counted = await runHttpClient({ ...client, connections: 500, concurrency: 100, requests: 10 });
  await proxy.stop();
  const spans = await hopspan.finish();
  await backend.stop();
  assert.deepEqual(malformed(spans), []);
  const verdict = judgeTls(spans, [...early, ...counted], backend.arrivals, (id) => id < FIRST_EARLY_ID);
  assert.equal(verdict.right + verdict.wrong + verdict.ambiguous + verdict.none, counted.length);
  return verdict;
}

/** Turns are counted from a process's first TLS connection on: single requests until one was paired by them. */
async function untilPaired(
  hopspan: RunningHopspan,
  client: Pick<HttpClientOptions, 'port' | 'tls' | 'traceparent' | 'chunked'>,
): Promise<HttpSent[]> {
  const sent: HttpSent[] = [];
  await until('the first pair', async () => {
    const one = { connections: 1, concurrency: 1, requests: 1, firstId: FIRST_EARLY_ID + sent.length };
    sent.push(...(await runHttpClient({ ...client, ...one })));
    return (await hopspan.spans()).some(({ attributes }) => attributes['hopspan.pairing'] === 'length');
  });
  return sent;
}

for (const [name, { down, up, ...wanted }] of Object.entries(PATHS)) {
  describe(`${name}, Envoy, 100 at once`, () => {
    for (const seed of [1, 2, 3]) {
      it(`bodies of any length, seed ${seed}`, async (test) => {
        const verdict = await verdictOf({ down, up, seed, chunked: false });
        test.diagnostic(JSON.stringify(verdict));
        assert.ok(verdict.right >= wanted.right * REQUESTS);
        assert.ok(verdict.wrong <= wanted.wrong * REQUESTS);
      });
    }
  });
}

for (const [name, bodies] of Object.entries({
  'chunks that it makes anew': {},
  'chunks, in large bodies': { maxBodyBytes: 100_000, maxAnswerBytes: 200_000 },
})) {
  it(`TLS ends at the proxy, Envoy, 100 at once: ${name}`, async (test) => {
    const verdict = await verdictOf({ down: true, up: false, seed: 4, ...bodies });
    test.diagnostic(JSON.stringify(verdict));
    assert.ok(verdict.right >= 0.98 * REQUESTS);
    assert.equal(verdict.wrong, 0);
  });
}

for (const [name, start] of Object.entries({
  nginx: startNginxStream,
  HAProxy: startHaproxy,
  Envoy: startEnvoy,
})) {
  it(`TLS ends at ${name}: hops have the names and the traces of their upstream requests`, async () => {
    const backend = await startHttpBackend();
    const proxy = await start({
      listeners: [{ upstreamPort: backend.port }],
      ...{ concurrency: 2, http: {}, downstreamTls: certificate },
    });
    const hopspan = await startHopspan({
      targets: [`listen_port: ${proxy.port}`],
      receiver: { phase_floor: '1h' },
    });
    const client = { port: proxy.port, tls: true, traceparent: true };
    const sent = await untilPaired(hopspan, client);
    const counted = await runHttpClient({ ...client, connections: 200, concurrency: 50, requests: 5 });
    await proxy.stop();
    const spans = await hopspan.finish();
    await backend.stop();
    const callers = new Set([...sent, ...counted].map(({ traceparent }) => traceparent.slice(36, 52)));
    assert.deepEqual(malformed(spans, callers), []);
    const byId = new Map(counted.map((request) => [`/${request.id}/x`, request]));
    const hops = hopsOf(spans).hops.flatMap(({ hop }) => {
      const request = byId.get(String(hop.attributes['url.path']));
      return request ? [{ hop, request }] : [];
    });
    assert.ok(hops.length >= 0.95 * counted.length, `${hops.length} of ${counted.length}`);
    for (const { hop, request } of hops) {
      assert.equal(hop.attributes['hopspan.pairing'], 'length');
      assert.equal(hop.attributes['network.peer.port'], request.localPort);
      assert.equal(hop.attributes['url.scheme'], 'https');
      assert.equal(hop.attributes['tls.client.server_name'], 'service.test');
      assert.match(String(hop.attributes['tls.protocol.version']), /^1\.[23]$/);
      assert.equal(hop.parentSpanId, request.traceparent.slice(36, 52));
    }
  });
}

for (const [name, start] of Object.entries({
  nginx: startNginxStream,
  HAProxy: startHaproxy,
  Envoy: startEnvoy,
})) {
  it(`TLS through ${name} as a relay of bytes: paired by memory, and named by its ClientHello`, async () => {
    const backend = await startHttpBackend({ tls: certificate });
    const proxy = await start({ listeners: [{ upstreamPort: backend.port }], concurrency: 2 });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
    const load = { connections: 200, concurrency: 50, requests: 3, tls: true };
    const sent = await runHttpClient({ port: proxy.port, ...load });
    await proxy.stop();
    const spans = await hopspan.finish();
    await backend.stop();
    assert.deepEqual(malformed(spans), []);
    const { hops, loose } = hopsOf(spans);
    assert.deepEqual(loose, []);
    const arrivals = Map.groupBy(backend.arrivals, ({ remotePort }) => remotePort);
    const ofClient = Map.groupBy(sent, ({ localPort }) => localPort);
    for (const { hop, upstreams } of hops) {
      const [upstream] = upstreams;
      assert.ok(upstream);
      assert.equal(hop.attributes['hopspan.pairing'], 'buffer');
      for (const { attributes } of [hop, upstream]) {
        assert.equal(attributes['tls.client.server_name'], 'service.test');
        assert.equal(attributes['tls.protocol.version'], '1.3');
      }
      const ids = (requests: readonly { id: number }[] = []): number[] => requests.map(({ id }) => id).sort();
      assert.deepEqual(
        ids(arrivals.get(Number(upstream.attributes['network.local.port']))),
        ids(ofClient.get(Number(hop.attributes['network.peer.port']))),
      );
    }
    assert.ok(hops.length >= sent.length, 'a hop for every request, and for handshakes');
  });
}
