import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { judge } from '../harness/match.ts';
import { startOtlpSink } from '../harness/otlp-sink.ts';
import { freePort } from '../harness/ports.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { runClient, startBackend, startClient } from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

after(stopLeftovers);

/** A shutdown_timeout of 3.5 s ends within 5 s; what would hold it longer here lasts for minutes. */
const LIMIT_MS = 15_000;
const SAID = /Exporter otlp|some spans could not be exported/;

/** An OTLP endpoint that takes nothing. */
interface Endpoint {
  readonly port: number;
  stop(): Promise<void>;
}

const endpoints: Readonly<Record<string, () => Promise<Endpoint>>> = {
  'where nobody listens': async () => ({ port: await freePort(), stop: async () => {} }),
  'that takes requests and never answers': async () => {
    const sink = await startOtlpSink();
    sink.hang();
    return sink;
  },
  'that takes connections and never says a word': async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => void sockets.push(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert.ok(address && typeof address === 'object');
    return {
      port: address.port,
      async stop() {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  },
};

for (const [name, start] of Object.entries(endpoints)) {
  test(`SIGTERM under load, with an OTLP endpoint ${name}: what was complete is in the file`, async (t) => {
    const endpoint = await start();
    t.after(() => endpoint.stop());
    const url = `http://127.0.0.1:${endpoint.port}`;
    const backend = await startBackend();
    const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
    const hopspan = await startHopspan({
      targets: [`pid: ${envoy.pid}`],
      shutdownTimeout: '3500ms',
      exporters: { otlp: `{ endpoint: '${url}', timeout: 10m }` },
      /* hopspan's own metrics go there as well. */
      metrics: 'normal',
      launcher: ['env', `OTEL_EXPORTER_OTLP_ENDPOINT=${url}`, 'OTEL_EXPORTER_OTLP_TIMEOUT=600000'],
    });
    const complete = await runClient({ port: envoy.port, connections: 300, concurrency: 100, exchanges: 3 });
    const load = await startClient({
      ...{ port: envoy.port, firstConnId: 300, connections: 4000, concurrency: 100, exchanges: 3 },
    });
    const before = (await backend.log()).length;
    await until('load', async () => (await backend.log()).length > before + 300);

    const signalled = performance.now();
    const exit = await hopspan.child.stop('SIGTERM', LIMIT_MS);
    t.diagnostic(`ended after ${Math.round(performance.now() - signalled)} ms`);
    assert.deepEqual(exit, { code: 0, signal: null }, hopspan.child.stderr());
    const complaints = hopspan.child.stderr().match(/^.*(?:warning|error).*$/gm) ?? [];
    assert.deepEqual(
      complaints.filter((line) => !SAID.test(line)),
      [],
    );
    assert.ok(complaints.some((line) => line.includes('some spans could not be exported')));

    const going = await load.done;
    const log = await backend.log();
    const { hops } = hopsOf(await hopspan.spans());
    assert.deepEqual(malformed(await hopspan.spans()), []);
    const truths = [...joinByConnection({ ...complete, ...merged(complete, going) }, log).values()];
    const verdict = judge(hops, truths);
    assert.deepEqual([verdict.wrong, verdict.surplus], [0, 0]);
    assert.ok(verdict.right >= 900);
    const told = new Set(hops.map(({ hop }) => hop.attributes['client.port']));
    for (const { localPort } of complete.connections) assert.ok(told.has(localPort));
    await envoy.stop();
    await backend.stop();
  });
}

function merged(...[a, b]: [Log, Log]): Log {
  return { exchanges: [...a.exchanges, ...b.exchanges], connections: [...a.connections, ...b.connections] };
}

type Log = Pick<Awaited<ReturnType<typeof runClient>>, 'exchanges' | 'connections'>;
