import assert from 'node:assert/strict';
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
