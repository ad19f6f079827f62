import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { judge } from '../harness/match.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import { startBackend, startClient } from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

const CONNECTIONS = 100;

after(stopLeftovers);

describe('a proxy that is killed with exchanges under way', () => {
  for (const [name, start] of Object.entries({ startEnvoy, startNginxStream, startHaproxy })) {
    it(`${name}: says what its own log cannot say any more`, async () => {
      const backend = await startBackend({ thinkMs: 60_000 });
      const proxy = await start({ listeners: [{ upstreamPort: backend.port }] });
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      const client = await startClient({ port: proxy.port, connections: CONNECTIONS, requestBytes: 500 });
      await until('every request at the backend', async () => (await backend.log()).length === CONNECTIONS);
      proxy.kill('SIGKILL');
      const log = await client.done;
      const truth = joinByConnection(log, await backend.log());
      assert.deepEqual(await proxy.accessLog(), []);
      const spans = await hopspan.finish();
      await backend.stop();
      await proxy.stop();

      assert.deepEqual(malformed(spans), []);
      const { hops, loose } = hopsOf(spans);
      assert.equal(loose.length, 0);
      assert.deepEqual(judge(hops, truth.values()), {
        ...{ right: CONNECTIONS, wrong: 0, unpaired: 0, missing: 0, surplus: 0 },
      });
      for (const { hop } of hops) {
        assert.equal(hop.attributes['hopspan.outcome'], 'proxy_reset');
        assert.equal(hop.attributes['hopspan.close.by'], 'proxy');
        assert.equal(hop.attributes['error.type'], 'proxy_reset');
        assert.notEqual(hop.error, '');
      }
    });
  }
});
