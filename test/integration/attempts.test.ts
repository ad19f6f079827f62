import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { type FileSpan, hopsOf, malformed, type SeenHop, startHopspan } from '../harness/hopspan.ts';
import { freePort } from '../harness/ports.ts';
import { imposeStop, stopLeftovers } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import { type Client, fillAcceptQueue, runClient, startBackend, startClient } from '../harness/traffic.ts';

const LISTENERS = 12;

after(stopLeftovers);

/** Each listener has an upstream address of its own, so that an attempt tells by its peer for whom it was made. */
async function drive(
  start: typeof startEnvoy | typeof startNginxStream | typeof startHaproxy,
  connections: number,
  options: { readonly maxConnectAttempts?: number; readonly retries?: number } = {},
): Promise<{ hops: SeenHop[]; loose: FileSpan[]; upstreamOf: (hop: SeenHop) => string }> {
  const upstreamPort = await freePort();
  const upstream = (at: number): string => `127.0.1.${at + 1}`;
  const listeners = Array.from({ length: LISTENERS }, (_, at) => ({
    upstreamHost: upstream(at),
    upstreamPort,
  }));
  const proxy = await start({ ...options, listeners });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
  /* All wait in the accept queues while the proxy stands still, so that it takes them in one go. */
  const clients: Client[] = [];
  await imposeStop(proxy.pids(), 0, async () => {
    for (const { port } of proxy.listeners)
      clients.push(
        await startClient({ port, requestBytes: 100, answerBytes: 100, holdAfter: 0, connections }),
      );
    await Promise.all(clients.map((client) => client.held));
  });
  await Promise.all(clients.map((client) => client.go()));
  await Promise.all(clients.map((client) => client.done));
  await proxy.accessLog(LISTENERS * connections);
  await proxy.stop();
  const spans = await hopspan.finish();
  assert.deepEqual(malformed(spans), []);
  const ports = proxy.listeners.map(({ port }) => port);
  const { hops, loose } = hopsOf(spans);
  assert.equal(hops.length, LISTENERS * connections);
  return {
    hops,
    loose,
    upstreamOf: ({ hop }) => upstream(ports.indexOf(Number(hop.attributes['server.port']))),
  };
}

/** No hop names an attempt of another, and none says more than is known. */
function checkWiring({ hops, loose, upstreamOf }: Awaited<ReturnType<typeof drive>>): void {
  for (const seen of hops) {
    for (const { attributes } of seen.upstreams) {
      assert.equal(
        attributes['network.peer.address'],
        upstreamOf(seen),
        String(attributes['hopspan.pairing']),
      );
      assert.equal(attributes['hopspan.outcome'], 'upstream_refused');
      assert.ok(Number(attributes['network.local.port']) > 0);
    }
    const { attributes } = seen.hop;
    const outcome = attributes['hopspan.outcome'];
    if (outcome !== 'upstream_refused') {
      assert.equal(outcome, 'proxy_reset');
      assert.equal(attributes['hopspan.pairing.ambiguous'], true);
    }
  }
  for (const { attributes } of loose) {
    assert.equal(attributes['hopspan.pairing.ambiguous'], true);
    assert.equal(attributes['hopspan.outcome'], 'upstream_refused');
  }
}

const attemptsIn = (hops: readonly SeenHop[]): number =>
  hops.reduce((sum, { upstreams }) => sum + upstreams.length, 0);

describe('attempts at an upstream that refuses', () => {
  it('one connection at a time: three CLIENT spans under each hop', async () => {
    const upstreamPort = await freePort();
    const proxy = await startEnvoy({ listeners: [{ upstreamPort }], maxConnectAttempts: 3 });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
    await runClient({ port: proxy.port, connections: 20, concurrency: 1 });
    await proxy.accessLog(20);
    await proxy.stop();
    const spans = await hopspan.finish();
    assert.deepEqual(malformed(spans), []);
    const { hops, loose } = hopsOf(spans);
    assert.equal(hops.length, 20);
    assert.equal(loose.length, 0);
    for (const { hop, upstreams } of hops) {
      assert.equal(hop.attributes['hopspan.outcome'], 'upstream_refused');
      assert.equal(hop.attributes['hopspan.pairing'], 'connect');
      assert.equal(hop.attributes['hopspan.attempts'], 3);
      assert.equal(upstreams.length, 3);
      for (const { attributes } of upstreams) assert.equal(attributes['hopspan.outcome'], 'upstream_refused');
      assert.equal(new Set(upstreams.map(({ attributes }) => attributes['network.local.port'])).size, 3);
    }
  });

  it('Envoy, 96 at once, three attempts each: none under the hop of another', async () => {
    const run = await drive(startEnvoy, 8, { maxConnectAttempts: 3 });
    checkWiring(run);
    /* Connections that wait at Envoy's pool together may share a try. */
    const tries = attemptsIn(run.hops) + run.loose.length;
    assert.ok(tries <= 3 * run.hops.length && tries > 2 * run.hops.length, `${tries} tries`);
  });

  it('Envoy, an attempt that fails takes along all that wait at its pool: none of them tried no upstream', async () => {
    const backend = await startBackend({ backlog: 1 });
    let filler: Awaited<ReturnType<typeof fillAcceptQueue>> | undefined;
    await imposeStop(backend.pid, 0, async () => {
      filler = await fillAcceptQueue(backend.port, 1);
      const proxy = await startEnvoy({
        listeners: [{ upstreamPort: backend.port }],
        connectTimeoutMs: 300,
      });
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      await runClient({ port: proxy.port, connections: 60, concurrency: 6 });
      await proxy.accessLog(60);
      await proxy.stop();
      const { hops } = hopsOf(await hopspan.finish());
      assert.equal(hops.length, 60);
      for (const { hop, upstreams } of hops) {
        assert.equal(hop.attributes['hopspan.outcome'], 'upstream_connect_timeout');
        assert.equal(hop.attributes['hopspan.pairing.ambiguous'] ?? false, upstreams.length === 0);
      }
    });
    filler?.release();
    await backend.stop();
  });

  it('nginx, 96 at once: one attempt under each hop', async () => {
    const run = await drive(startNginxStream, 8);
    checkWiring(run);
    assert.equal(attemptsIn(run.hops), run.hops.length);
  });

  it('HAProxy, 96 at once, two attempts each: none under the hop of another, none lost', async () => {
    const run = await drive(startHaproxy, 8, { retries: 1 });
    checkWiring(run);
    assert.equal(attemptsIn(run.hops) + run.loose.length, 2 * run.hops.length);
  });
});
