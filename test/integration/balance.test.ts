import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startHopspan } from '../harness/hopspan.ts';
import { startHttp2Backend } from '../harness/http2-backend.ts';
import { runHttp2Client } from '../harness/http2-client.ts';
import { startChild, stopLeftovers } from '../harness/process.ts';
import { http2Cluster, startEnvoy } from '../harness/proxies.ts';

after(stopLeftovers);

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const READY_MS = 60_000;
const PINNED =
  /one HTTP\/2 connection, from (\S+), carries (\d+) % of the requests to :(\d+), and all of them go to (\S+), one of (\d) upstreams/;

/** gRPC over one busy and three idle connections to three backends behind Envoy, and what hopspan says of it. */
async function callThrough(http: Record<string, unknown> | undefined): Promise<{
  port: number;
  calls: number;
  /** By upstream: what its backend logged. */
  arrived: Record<string, number>;
  /** The last table of watch: upstreams and connections with their requests. */
  upstreams: Record<string, number>;
  connections: number[];
  summary: string;
  log: string;
}> {
  const backends = await Promise.all([1, 1, 1].map((seed) => startHttp2Backend({ seed })));
  const ports = backends.map(({ port }) => port);
  const proxy = await startEnvoy({
    ...{ listeners: [{ upstreamPort: ports[0] as number }], concurrency: 1 },
    ...(http ? { http } : {}),
    cluster: http2Cluster(ports),
  });
  const listenPort = String(proxy.port);
  const watch = await startChild(process.execPath, [MAIN, 'watch', '--listen-port', listenPort]);
  await watch.line(/ready/, READY_MS);
  const run = await startHopspan({ targets: [`listen_port: ${listenPort}`] });
  const grpc = { port: proxy.port, grpc: true, traceparent: true };
  const [idle, busy] = await Promise.all([
    runHttp2Client({ ...grpc, connections: 3, streams: 2, requests: 20 }),
    runHttp2Client({ ...grpc, connections: 1, streams: 20, requests: 800, seed: 99 }),
  ]);
  await proxy.stop();
  await run.finish(PINNED);
  assert.deepEqual(await watch.stop('SIGINT', 20_000), { code: 0, signal: null });
  for (const backend of backends) await backend.stop();
  const summary = watch.stdout().slice(watch.stdout().lastIndexOf('\nbalance\n'));
  const rows = [...summary.matchAll(/^ {2}(→|←) (\S+) +(\d+) +\d+ %/gm)];
  return {
    port: proxy.port,
    calls: idle.length + busy.length,
    arrived: Object.fromEntries(backends.map(({ port, arrivals }) => [`127.0.0.1:${port}`, arrivals.length])),
    upstreams: Object.fromEntries(
      rows.flatMap(([, way, name, n]) => (way === '→' ? [[name, Number(n)]] : [])),
    ),
    connections: rows.flatMap(([, way, , n]) => (way === '←' ? [Number(n)] : [])),
    summary,
    log: run.child.stderr(),
  };
}

describe('three gRPC backends behind Envoy, one busy client connection', () => {
  it('as a layer 4 balancer: all its calls go to one backend, and it is named', async () => {
    const { port, calls, arrived, upstreams, connections, summary, log } = await callThrough(undefined);
    assert.deepEqual(upstreams, arrived);
    assert.deepEqual(connections, [800, 20, 20, 20]);
    const most = Math.max(...Object.values(arrived));
    assert.ok(most >= 800 && calls === 860, 'the truth is that one backend gets nearly all');
    const [busiest] = Object.entries(arrived).find(([, count]) => count === most) ?? [];
    for (const text of [summary, log]) {
      const found = PINNED.exec(text);
      assert.ok(found, `named in ${text}`);
      assert.deepEqual([found[3], found[4], found[5]], [String(port), busiest, '3']);
      assert.ok(Number(found[2]) >= 75);
      assert.equal(text.match(new RegExp(PINNED, 'g'))?.length, 1, 'once');
    }
  });

  it('as a balancer of requests: they are spread evenly, and nothing is named', async () => {
    const { calls, arrived, upstreams, connections, summary, log } = await callThrough({});
    assert.deepEqual(upstreams, arrived);
    assert.deepEqual(connections, [800, 20, 20, 20]);
    for (const count of Object.values(arrived)) assert.ok(Math.abs(count - calls / 3) <= 3, `${count}`);
    for (const text of [summary, log]) assert.doesNotMatch(text, PINNED);
  });
});
