import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { after, test } from 'node:test';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { judge } from '../harness/match.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import { startBackend, startClient } from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

after(stopLeftovers);

const CONNECTIONS = 50;
const EXCHANGES = 4;

const starts = { Envoy: startEnvoy, nginx: startNginxStream, HAProxy: startHaproxy };
for (const [name, start] of Object.entries(starts)) {
  for (const [then, holdAfter] of [
    ['goes on', 2],
    ['ends', EXCHANGES],
  ] as const) {
    test(`${name}: an exchange on a connection that is silent is told, and not again when that ${then}`, async () => {
      const backend = await startBackend();
      const proxy = await start({ listeners: [{ upstreamPort: backend.port }] });
      const hopspan = await startHopspan({
        targets: [`pid: ${proxy.pid}`],
        receiver: { idle_timeout: '300ms' },
      });
      const client = await startClient({
        ...{ port: proxy.port, connections: CONNECTIONS, exchanges: EXCHANGES, holdAfter },
      });
      await client.held;
      await until('every exchange so far is told', async () => {
        return hopsOf(await hopspan.spans()).hops.length >= CONNECTIONS * holdAfter;
      });
      await client.go();
      const log = await client.done;
      await proxy.stop();
      const spans = await hopspan.finish();
      assert.deepEqual(malformed(spans), []);
      const truth = joinByConnection(log, await backend.log());
      assert.deepEqual(judge(hopsOf(spans).hops, truth.values()), {
        ...{ right: CONNECTIONS * EXCHANGES, wrong: 0, unpaired: 0, missing: 0, surplus: 0 },
      });
      await backend.stop();
    });
  }
}

test('an answer that pauses longer than an exchange may be quiet is told in pieces, every byte once', async () => {
  const go: (() => void)[] = [];
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write('1'.repeat(10));
      go.push(() => socket.write('2'.repeat(20)));
      go.push(() => socket.end('3'.repeat(40)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: address.port }] });
  const hopspan = await startHopspan({
    targets: [`pid: ${proxy.pid}`],
    receiver: { idle_timeout: '300ms' },
  });
  const client = connect({ port: proxy.port, host: '127.0.0.1' }).resume();
  const closed = new Promise((resolve) => client.once('close', resolve));
  client.write('ask');
  for (const pieces of [1, 2]) {
    await until(`${pieces} pieces are told`, async () => hopsOf(await hopspan.spans()).hops.length >= pieces);
    go[pieces - 1]?.();
  }
  await closed;
  await proxy.stop();
  const spans = await hopspan.finish();
  server.close();
  assert.deepEqual(malformed(spans), []);
  const sent = hopsOf(spans)
    .hops.toSorted((a, b) => (a.hop.startNs < b.hop.startNs ? -1 : 1))
    .map(({ hop, upstreams }) => [hop.attributes['hopspan.bytes.sent'], upstreams.length]);
  assert.deepEqual(sent, [
    [10, 1],
    [20, 1],
    [40, 1],
  ]);
});
