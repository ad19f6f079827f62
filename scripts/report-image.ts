/**
 * Makes docs/images/report.png anew: two chained Envoys and two backends on loopback, one of which turns slow, resets
 * connections and is started anew; recorded by hopspan, and the report of that as Chromium shows it. Needs root, what
 * `make build` makes, Envoy and Chromium. Usage: report-image.ts [--keep FOLDER], which gets the recording and the page.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openPage } from '../test/harness/browser.ts';
import { freePort } from '../test/harness/ports.ts';
import { startChild } from '../test/harness/process.ts';
import { startEnvoy } from '../test/harness/proxies.ts';
import { temporaryFolder } from '../test/harness/temporary-folder.ts';

const HOPSPAN = new URL('../bin/hopspan', import.meta.url).pathname;
const IMAGE = new URL('../docs/images/report.png', import.meta.url).pathname;
const USERS = 12;
const RUN_MS = 24_000;
const SLOW_FROM_MS = 9000;
const SLOW_TO_MS = 15_000;
const AWAY_MS = 600;
const PATIENCE_MS = 350;
const PATHS = ['/orders/', '/orders/', '/orders/', '/carts/', '/search'] as const;
const SIZE = { width: 1120, height: 1500 };

const { values } = parseArgs({ options: { keep: { type: 'string' } } });
const folder = values.keep ?? temporaryFolder((remove) => process.once('exit', remove));
mkdirSync(folder, { recursive: true });
const startedMs = performance.now();
let begun = Number.POSITIVE_INFINITY;
const isSlow = (): boolean => {
  const ms = performance.now() - begun;
  return ms > SLOW_FROM_MS && ms < SLOW_TO_MS;
};

/** A backend that thinks a few milliseconds; with `ill`, it has its bad seconds. */
async function startShop(port: number, ill: boolean): Promise<Server> {
  const server = createServer(async (incoming, answer) => {
    const bad = ill && isSlow() && incoming.url?.startsWith('/orders');
    await sleep(bad ? 120 + 400 * Math.random() ** 2 : 3 + 9 * Math.random());
    if (bad && Math.random() < 0.08) incoming.socket.resetAndDestroy();
    else answer.end('x'.repeat(200 + Math.random() * 3000));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

/** One customer: requests over kept connections, now and then over a new one; leaves when an answer takes too long. */
async function shop(port: number): Promise<void> {
  let agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let n = 1; performance.now() - begun < RUN_MS; n++) {
    if (n % 25 === 0) {
      agent.destroy();
      agent = new Agent({ keepAlive: true, maxSockets: 1 });
    }
    const path = PATHS[n % PATHS.length] ?? '/';
    await new Promise<void>((resolve) => {
      const url = `http://127.0.0.1:${port}${path.endsWith('/') ? path + Math.floor(Math.random() * 9999) : path}`;
      const sent = request(url, { agent }, (answer) => {
        answer.on('close', resolve).resume();
      });
      sent.setTimeout(PATIENCE_MS, () => sent.destroy());
      sent.on('error', () => resolve()).end();
    });
    await sleep(20 + 50 * Math.random());
  }
  agent.destroy();
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const [well, first] = await Promise.all([startShop(0, false), startShop(0, true)]);
let ill = first;
const endpoint = (port: number): object => ({
  endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
});
const [illPort, innerPort, edgePort] = [portOf(ill), await freePort(), await freePort()];
const recording = join(folder, 'incident.hsrec');
const config = join(folder, 'hopspan.yaml');
writeFileSync(
  config,
  `receivers:
  ebpf:
    targets:
      - { listen_port: ${edgePort}, service_name: edge }
      - { listen_port: ${innerPort}, service_name: inner }
exporters: { console: {} }
service: { pipelines: { traces: { receivers: [ebpf], exporters: [console] } } }
`,
);
const recorder = await startChild(HOPSPAN, ['record', '--output', recording, '--config', config]);
await recorder.line(/ready/);
const inner = await startEnvoy({
  listeners: [{ port: innerPort, upstreamPort: illPort }],
  name: 'inner',
  cluster: {
    load_assignment: {
      cluster_name: 'upstream_0',
      endpoints: [{ lb_endpoints: [portOf(well), illPort].map(endpoint) }],
    },
  },
});
const edge = await startEnvoy({ listeners: [{ port: edgePort, upstreamPort: innerPort }], name: 'edge' });
begun = performance.now();
const users = Promise.all(Array.from({ length: USERS }, () => shop(edgePort)));
await sleep(SLOW_TO_MS - 500);
ill.closeAllConnections();
ill.close();
await sleep(AWAY_MS);
ill = await startShop(illPort, true);
await users;
for (const proxy of [edge, inner]) await proxy.stop();
const { code } = await recorder.stop();
if (code !== 0) throw new Error(`hopspan record ended with ${code}:\n${recorder.stderr()}`);
for (const server of [well, ill]) {
  server.closeAllConnections();
  server.close();
}
const file = join(folder, 'incident.html');
const report = await startChild(HOPSPAN, ['report', recording, '--html', file]);
if ((await report.exited).code !== 0) throw new Error(report.stderr());
const opened = await openPage(file, { ...SIZE, scheme: 'light' });
const picture = join(folder, 'report.png');
await opened.page.screenshot({ path: picture });
await opened.close();
mkdirSync(join(IMAGE, '..'), { recursive: true });
copyFileSync(picture, IMAGE);
process.stdout.write(`${IMAGE}, in ${Math.round((performance.now() - startedMs) / 1000)} s\n`);
process.exit(0);
