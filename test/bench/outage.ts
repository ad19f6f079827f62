/**
 * A backend that is away under load, and the queue on disk: `node test/bench/outage.ts [SECONDS [RATE [collector]]]`, as
 * root, after `make`. The load's own count of requests is the truth; each must arrive as one hop, once at least. With
 * `collector` it is a Collector between hopspan and the backend that is killed, and started again. docs/sending.md has
 * results.
 */
import { statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { splitRequest } from '../../src/otlp/request.ts';
import { type Otelcol, readOtelcolConfig, startOtelcol } from '../harness/otelcol.ts';
import { freePort } from '../harness/ports.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { openStage } from './load.ts';
import { say } from './report.ts';
import { cpuNs, OTHER_CPU, ROOT, startPinned } from './tools.ts';

/** Before and after the time without a backend. */
const MARGIN_S = 5;
const LOOK_MS = 500;
const CATCH_UP_LOOKS = 600;

/** What an OTLP/HTTP endpoint got. */
class Received {
  readonly ids = new Set<string>();
  spans = 0;
  hops = 0;
  #server: Server | undefined;

  async listen(port: number): Promise<number> {
    const server = createServer(async (request, response) => {
      const { spans } = splitRequest(await buffer(request));
      for (const { spanId, kind } of spans) {
        this.spans++;
        if (kind === 'SERVER' && !this.ids.has(spanId)) this.hops++;
        this.ids.add(spanId);
      }
      response.setHeader('content-type', 'application/x-protobuf').end();
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  async leave(): Promise<void> {
    const server = this.#server;
    await new Promise<void>((resolve) => {
      if (server === undefined) resolve();
      server?.close(() => resolve());
      server?.closeAllConnections();
    });
  }
}

/** Where hopspan sends to, and how that goes away and comes back. */
interface Target {
  readonly exporter: 'otlp' | 'otlphttp';
  readonly endpoint: string;
  leave(): Promise<unknown>;
  back(): Promise<unknown>;
  stop(): Promise<unknown>;
}

async function straight(received: Received): Promise<Target> {
  const port = await received.listen(0);
  return {
    ...{ exporter: 'otlphttp', endpoint: `http://127.0.0.1:${port}` },
    leave: () => received.leave(),
    back: () => received.listen(port),
    stop: () => received.leave(),
  };
}

/** otel-config/collector-durable.yaml in a real Collector, which is killed. */
async function byCollector(received: Received, folder: string): Promise<Target> {
  const { config } = readOtelcolConfig('otel-config/collector-durable.yaml');
  const { otlp_grpc: settings } = config.exporters ?? {};
  const endpoint = `http://127.0.0.1:${await received.listen(0)}`;
  config.exporters = { otlp_http: { ...(settings as object), endpoint, compression: 'none' } };
  for (const pipeline of Object.values(config.service.pipelines)) pipeline.exporters = ['otlp_http'];
  const port = await freePort();
  const env = { QUEUE_DIRECTORY: join(folder, 'collector') };
  const start = (): Promise<Otelcol> => startOtelcol({ folder, config, env, port });
  let collector = await start();
  return {
    ...{ exporter: 'otlp', endpoint: collector.otlpGrpcEndpoint },
    leave: () => collector.child.stop('SIGKILL'),
    back: async () => {
      collector = await start();
    },
    stop: async () => {
      await collector.stop();
      await received.leave();
    },
  };
}

async function main(seconds: number, rate: number, withCollector: boolean): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  let remove = (): void => {};
  const folder = temporaryFolder((hook) => {
    remove = hook;
  });
  const [cpu] = cpus();
  const who = withCollector ? 'a Collector killed, and away' : 'backend away';
  say(`${new Date().toISOString()}  Linux ${release()}, ${cpus().length} × ${cpu?.model.trim()}`);
  say(`load average ${loadavg()[0]?.toFixed(2)}; ${who} for ${seconds} s, ${rate} exchanges per second\n`);
  const received = new Received();
  const target = await (withCollector ? byCollector(received, folder) : straight(received));
  const stage = await openStage();
  const config = join(folder, 'hopspan.yaml');
  const queue = `{ directory: ${folder}/queue, max_size: 4GiB }`;
  writeFileSync(
    config,
    [
      `receivers: { ebpf: { targets: [{ pid: ${stage.proxy.pid} }] } }`,
      `exporters: { ${target.exporter}: { endpoint: "${target.endpoint}", sending_queue: ${queue}, retry_on_failure: { max_interval: 2s } } }`,
      `service: { pipelines: { traces: { receivers: [ebpf], exporters: [${target.exporter}] } } }`,
    ].join('\n'),
  );
  const hopspan = await startPinned(OTHER_CPU, join(ROOT, 'bin/hopspan'), ['run', '--config', config]);
  await hopspan.line(/ready/);
  const before = cpuNs(hopspan.pid);
  const load = stage.run({ seconds: seconds + 2 * MARGIN_S, rate });
  await sleep(MARGIN_S * 1000);
  await target.leave();
  await sleep(seconds * 1000);
  const { size } = statSync(join(folder, 'queue', `${target.exporter}.queue`));
  const waiting = performance.now();
  await target.back();
  const { requests } = await load;
  const used = cpuNs(hopspan.pid) - before;
  await stage.stop();
  let looks = 0;
  for (; received.hops < requests && looks < CATCH_UP_LOOKS; looks++) await sleep(LOOK_MS);
  const caughtUpS = (performance.now() - waiting) / 1000;
  const exit = await hopspan.stop('SIGTERM', 10_000);
  await target.stop();
  say(`  exchanges ${requests}, hops that arrived ${received.hops}, missing ${requests - received.hops}`);
  say(`  spans ${received.ids.size}, twice ${received.spans - received.ids.size}`);
  say(
    `  queue at its longest ${(size / 2 ** 20).toFixed(0)} MiB; all was there ${caughtUpS.toFixed(1)} s after it came back`,
  );
  say(
    `  hopspan: ${(used / (seconds + 2 * MARGIN_S) / 1e7).toFixed(1)} % of a processor, ended with ${exit.code}`,
  );
  say(hopspan.stderr().trimEnd());
  remove();
}

await main(Number(process.argv[2] ?? 180), Number(process.argv[3] ?? 1000), process.argv[4] === 'collector');
