import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { judge } from '../harness/match.ts';
import { freePort } from '../harness/ports.ts';
import { imposeStop, stopLeftovers, until } from '../harness/process.ts';
import { type ProxyOptions, type RunningProxy, startEnvoy, startHaproxy } from '../harness/proxies.ts';
import {
  type Backend,
  type BackendOptions,
  type Client,
  runClient,
  startBackend,
  startClient,
} from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

after(stopLeftovers);

describe('what does not fit is counted and said, and what is told is right', () => {
  let backend: Backend;
  let envoy: RunningProxy;

  async function start(options: BackendOptions = {}): Promise<void> {
    backend = await startBackend(options);
    envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  }
  afterEach(async () => {
    await envoy.stop();
    await backend.stop();
  });

  /** The counts of one cause in the order in which they were said. */
  function counts(stderr: string, cause: string): number[] {
    return [...stderr.matchAll(new RegExp(`warning: .* ${cause}=(\\d+)`, 'g'))].map(([, count]) =>
      Number(count),
    );
  }

  test('the ring is full because hopspan does not get to run', async () => {
    await start();
    const hopspan = await startHopspan({
      targets: [`pid: ${envoy.pid}`],
      receiver: { ring_buffer_bytes: 65_536 },
    });
    const load = { port: envoy.port, connections: 500, concurrency: 100, exchanges: 3 };
    const logs: Awaited<ReturnType<typeof runClient>>[] = [];
    await imposeStop(hopspan.child.pid, 0, async () => {
      logs.push(await runClient(load));
    });
    await hopspan.child.line(/warning: exchanges are lost.* ringFull=\d+/);
    /* Then all is well again. */
    logs.push(await runClient({ ...load, connections: 20, concurrency: 2, firstConnId: 500 }));
    const spans = await hopspan.finish(/ringFull/);
    const said = counts(hopspan.child.stderr(), 'ringFull');
    assert.equal(said.length, 2, 'while it runs, and at the end');
    assert.ok((said[1] ?? 0) >= (said[0] ?? 0));

    assert.deepEqual(malformed(spans), []);
    const { hops } = hopsOf(spans);
    const [lossy, whole] = logs;
    assert.ok(lossy && whole);
    const client = {
      ...lossy,
      exchanges: [...lossy.exchanges, ...whole.exchanges],
      connections: [...lossy.connections, ...whole.connections],
    };
    const truth = [...joinByConnection(client, await backend.log()).values()];
    assert.equal(judge(hops, truth).wrong, 0);
    const ports = new Set(lossy.connections.map(({ localPort }) => localPort));
    const later = truth.filter(({ connId, clientPort }) => connId >= 500 && !ports.has(clientPort));
    const ofLater = new Set(later.map(({ clientPort }) => clientPort));
    assert.ok(later.length > 0);
    assert.deepEqual(
      judge(
        hops.filter(({ hop }) => ofLater.has(Number(hop.attributes['client.port']))),
        later,
      ),
      { right: later.length * 3, wrong: 0, unpaired: 0, missing: 0, surplus: 0 },
    );
    /* Both sides of an exchange are a record, and each connection's end brings one with its last exchange. */
    const told = hops.length - later.length * 3;
    assert.ok(told > 0 && told < 1500);
    assert.ok((said[0] ?? 0) >= 1500 - told, 'what is missing was counted');
  });

  for (const framing of ['framed', 'smtp'] as const) {
    test(`more connections than places in the table: ${framing}`, async () => {
      await start({ framing });
      const hopspan = await startHopspan({
        targets: [`pid: ${envoy.pid}`],
        receiver: { max_connections: 41 },
      });
      const client = await runClient({
        ...{ port: envoy.port, framing, connections: 600, concurrency: 100 },
        ...(framing === 'framed' ? { exchanges: 3 } : {}),
      });
      await hopspan.child.line(/warning: connections are not watched.* tableFull=\d+/);
      const spans = await hopspan.finish(/tableFull|sampleMismatches/);
      const [first = 0, ...more] = counts(hopspan.child.stderr(), 'tableFull');
      assert.ok(first > 0 && (more.at(-1) ?? 0) >= first);
      assert.deepEqual(malformed(spans), []);
      const { hops } = hopsOf(spans);
      const verdict = judge(hops, joinByConnection(client, await backend.log()).values());
      assert.equal(verdict.wrong, 0);
      assert.ok(verdict.right > 0);
      assert.ok(verdict.missing > 0);
    });
  }
});

const starts = {
  Envoy: startEnvoy,
  HAProxy: (options: ProxyOptions) => startHaproxy({ ...options, retries: 1 }),
};
for (const [name, start] of Object.entries(starts)) {
  test(`more connections than places while the upstream refuses: no attempt is told of another's client: ${name}`, async () => {
    const listenerCount = 12;
    const upstreamPort = await freePort();
    /* Each listener has an upstream address of its own, so that an attempt tells by its peer for whom it was made. */
    const upstream = (at: number): string => `127.0.1.${at + 1}`;
    const proxy = await start({
      concurrency: 1,
      listeners: Array.from({ length: listenerCount }, (_, at) => ({
        upstreamHost: upstream(at),
        upstreamPort,
      })),
    });
    const hopspan = await startHopspan({
      targets: [`listen_port: ${proxy.port}`],
      receiver: { max_connections: 21 },
    });
    for (let round = 0; round < 3; round++) {
      /* Those that wait while the proxy stands still fill the table; those that come later find places now and then. */
      const clients: Client[] = [];
      await imposeStop(proxy.pids(), 0, async () => {
        for (const { port } of proxy.listeners)
          clients.push(await startClient({ port, connections: 12, concurrency: 6, holdAfter: 0 }));
        await Promise.all(clients.map((client) => client.held));
      });
      await Promise.all(clients.map((client) => client.go()));
      await Promise.all(clients.map((client) => client.done));
    }
    await proxy.stop();
    const spans = await hopspan.finish(/tableFull/);
    assert.match(hopspan.child.stderr(), /tableFull/);
    assert.deepEqual(malformed(spans), []);
    const ports = proxy.listeners.map(({ port }) => port);
    const wrong = hopsOf(spans).hops.flatMap(({ hop, upstreams }) => {
      const own = upstream(ports.indexOf(Number(hop.attributes['server.port'])));
      return upstreams.filter(({ attributes }) => attributes['network.peer.address'] !== own);
    });
    assert.deepEqual(
      wrong.map(({ attributes }) => attributes['hopspan.pairing']),
      [],
    );
  });
}

test('the table is used anew once connections have ended', async () => {
  const backend = await startBackend();
  const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  const hopspan = await startHopspan({
    targets: [`pid: ${envoy.pid}`],
    receiver: { max_connections: 64 },
  });
  /* Each connection ends before the next begins; its two sides may take a moment longer. */
  const client = await runClient({ port: envoy.port, connections: 500, concurrency: 2 });
  await until('every hop', async () => hopsOf(await hopspan.spans()).hops.length >= 500);
  const { hops } = hopsOf(await hopspan.finish());
  const verdict = judge(hops, joinByConnection(client, await backend.log()).values());
  assert.deepEqual(verdict, { right: 500, wrong: 0, unpaired: 0, missing: 0, surplus: 0 });
  await envoy.stop();
  await backend.stop();
});
