/**
 * A steady load for a while, every exchange accounted for: `node test/bench/steady.ts [RATE [SECONDS]]`, as root, after
 * `make`. Client → Envoy → backend; hopspan with a queue on disk → a Collector with otel-config/collector.yaml, without its
 * tail sampling → Jaeger. The client's own count is the truth. docs/scaling.md has a result.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Jaeger, startJaeger } from '../harness/jaeger.ts';
import { parseMetrics, type Sample } from '../harness/metrics-page.ts';
import { type Otelcol, readOtelcolConfig, startOtelcol, sumOf } from '../harness/otelcol.ts';
import { freePort } from '../harness/ports.ts';
import { type Child, startChild, until } from '../harness/process.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { CONNECTIONS, openStage } from './load.ts';
import { round, say, sayAim } from './report.ts';
import { cpuNs, memoryOf, ROOT } from './tools.ts';

const CATCH_UP_MS = 900_000;
const LOOK_MS = 1000;
/** Looks at which nothing has moved, after which what is missing is lost; the Collector tells of spans every 15 s. */
const STILL_LOOKS = 40;
/** So many traces Jaeger keeps, and so many of them are read back. */
const KEPT = 10_000;
const READ_BACK = 500;

/** The minutes whose resident memory is compared: the last one with this one. */
const SETTLED_MINUTE = 5;
const WIDTH = 13;
const COLUMNS = [
  ...['s', 'hops/s', 'hopspan CPU', 'Envoy', 'Collector', 'Jaeger'],
  ...['hopspan MB', 'Collector MB', 'Jaeger MB', 'waiting', 'load avg'],
] as const;
const GROWTH = {
  what: 'resident memory of the last minute over that of the fifth',
  limit: 1.05,
  unit: 'times',
};

interface Watched {
  readonly hopspan: Child;
  readonly hopspanPage: string;
  readonly collector: Otelcol;
  readonly spanMetrics: string;
  readonly jaeger: Jaeger;
  readonly jaegerPage: string;
}

const page = async (url: string): Promise<Sample[]> => parseMetrics(await (await fetch(url)).text());

async function startBackends(folder: string): Promise<Omit<Watched, 'hopspan' | 'hopspanPage'>> {
  const [jaegerPort, spanPort] = await Promise.all([freePort(), freePort()]);
  const more = join(folder, 'jaeger.yaml');
  writeFileSync(
    more,
    [
      `service: { telemetry: { metrics: { level: basic, readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${jaegerPort} } } } }] } } }`,
      `extensions: { jaeger_storage: { backends: { memory: { memory: { max_traces: ${KEPT} } } } } }`,
    ].join('\n'),
  );
  const jaeger = await startJaeger(more);
  const { config } = readOtelcolConfig('otel-config/collector.yaml');
  const { exporters = {}, service } = config;
  exporters.prometheus = { ...(exporters.prometheus as object), endpoint: `127.0.0.1:${spanPort}` };
  delete exporters['otlp_grpc/tempo'];
  const store = service.pipelines['traces/store'];
  if (store) {
    store.exporters = ['otlp_grpc/jaeger'];
    store.processors = ['memory_limiter', 'batch'];
  }
  const env = { JAEGER_ENDPOINT: new URL(jaeger.otlpGrpcEndpoint).host };
  const collector = await startOtelcol({ folder, config, env });
  return {
    ...{ jaeger, collector },
    jaegerPage: `http://127.0.0.1:${jaegerPort}/metrics`,
    spanMetrics: `http://127.0.0.1:${spanPort}/metrics`,
  };
}

async function startHopspan(folder: string, pid: number, endpoint: string): Promise<[Child, string]> {
  const port = await freePort();
  const config = join(folder, 'hopspan.yaml');
  writeFileSync(
    config,
    [
      `receivers: { ebpf: { targets: [{ pid: ${pid} }] } }`,
      `exporters: { otlp: { endpoint: "${endpoint}", sending_queue: { directory: ${folder}/queue, max_size: 8GiB } } }`,
      'service:',
      `  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { port: ${port} } } } }] } }`,
      '  pipelines: { traces: { receivers: [ebpf], exporters: [otlp] } }',
    ].join('\n'),
  );
  const child = await startChild(join(ROOT, 'bin/hopspan'), ['run', '--config', config]);
  await child.line(/ready/, 60_000);
  return [child, `http://127.0.0.1:${port}/metrics`];
}

/** How many spans, or hops, each of them counts. */
interface Counts {
  readonly hops: number;
  readonly lost: number;
  readonly exported: number;
  readonly dropped: number;
  readonly waiting: number;
  readonly accepted: number;
  readonly sent: number;
  /** SERVER spans that the Collector measured; it gives them out every 15 s. */
  readonly servers: number;
  readonly stored: number;
}

async function count(watched: Watched): Promise<Counts> {
  const [own, collector, spans, jaeger] = await Promise.all([
    page(watched.hopspanPage),
    watched.collector.metrics(),
    page(watched.spanMetrics),
    page(watched.jaegerPage),
  ]);
  const exporter = (state: string): number => sumOf(own, 'hopspan_exporter_spans', { state });
  const servers = spans.filter(
    ({ name, labels }) =>
      name === 'traces_span_metrics_calls_total' &&
      labels.span_kind === 'SPAN_KIND_SERVER' &&
      !labels.span_name?.startsWith('tcp connection '),
  );
  return {
    hops: sumOf(own, 'hopspan_hops', { kind: 'hops' }),
    lost: sumOf(own, 'hopspan_records_lost'),
    exported: exporter('exported'),
    dropped: exporter('dropped'),
    waiting: sumOf(own, 'hopspan_exporter_queue'),
    accepted: sumOf(collector, 'otelcol_receiver_accepted_spans'),
    sent: sumOf(collector, 'otelcol_exporter_sent_spans', { exporter: 'otlp_grpc/jaeger' }),
    servers: servers.reduce((sum, { value }) => sum + value, 0),
    stored: sumOf(jaeger, 'otelcol_receiver_accepted_spans'),
  };
}

/** A line a minute (less, where the run is short) until `ended`; resident memory of hopspan at each, MB. */
async function watch(
  watched: Watched,
  proxyPid: number,
  everyS: number,
  ended: () => boolean,
): Promise<number[]> {
  const pids = [watched.hopspan.pid, proxyPid, watched.collector.child.pid, watched.jaeger.child.pid];
  say(`  ${COLUMNS.map((name) => name.padStart(WIDTH)).join('')}`);
  const memory: number[] = [];
  const startMs = performance.now();
  let last = { atMs: startMs, cpu: pids.map(cpuNs), hops: (await count(watched)).hops };
  for (let at = 1; ; at++) {
    const dueMs = startMs + at * everyS * 1000;
    while (performance.now() < dueMs && !ended()) await sleep(Math.min(LOOK_MS, dueMs - performance.now()));
    if (performance.now() < dueMs) break;
    const { hops, waiting } = await count(watched);
    const now = { atMs: performance.now(), cpu: pids.map(cpuNs), hops };
    const seconds = (now.atMs - last.atMs) / 1000;
    const percent = now.cpu.map((ns, index) => `${round((ns - (last.cpu[index] ?? 0)) / seconds / 1e7)} %`);
    const [own = 0, , collector = 0, jaeger = 0] = pids.map((pid) => memoryOf(pid).VmRSS);
    memory.push(own);
    const megabytes = [own, collector, jaeger].map(round);
    const perSecond = round((hops - last.hops) / seconds);
    const load = loadavg()[0]?.toFixed(1) ?? '';
    const cells = [String(at * everyS), perSecond, ...percent, ...megabytes, String(waiting), load];
    say(`  ${cells.map((cell) => cell.padStart(WIDTH)).join('')}`);
    last = now;
  }
  return memory;
}

/** Looks until every span is where it belongs, or nothing moves any more. */
async function settled(watched: Watched, requests: number): Promise<Counts> {
  let last = '';
  let still = 0;
  return until(
    'every span to be where it belongs',
    async () => {
      const now = await count(watched);
      const arrived = now.accepted >= now.exported && now.sent >= now.accepted && now.stored >= now.sent;
      const all = now.hops >= requests && now.servers >= requests && now.waiting === 0 && arrived;
      if (all) return now;
      const text = JSON.stringify(now);
      still = text === last ? still + 1 : 0;
      last = text;
      if (still >= STILL_LOOKS) return now;
      await sleep(LOOK_MS);
      return false;
    },
    CATCH_UP_MS,
  );
}

/** Traces of the last exchanges as Jaeger has them: how many, and how many of them are no whole hop. */
async function readBack(jaeger: Jaeger): Promise<{ traces: number; broken: number }> {
  const traces = await jaeger.traces('envoy', { limit: READ_BACK, timeoutMs: 60_000 });
  const broken = traces.filter(({ spans }) => {
    const byId = new Set(spans.map(({ spanID }) => spanID));
    const roots = spans.filter(({ references }) => !references.some(({ refType }) => refType === 'CHILD_OF'));
    const orphans = spans.filter(
      ({ references }) =>
        !references.every(({ refType, spanID }) => refType !== 'CHILD_OF' || byId.has(spanID)),
    );
    return roots.length !== 1 || orphans.length > 0 || spans.some(({ warnings }) => warnings?.length);
  });
  return { traces: traces.length, broken: broken.length };
}

async function main(rate: number, seconds: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  let remove = (): void => {};
  const folder = temporaryFolder((hook) => {
    remove = hook;
  });
  process.once('exit', () => remove());
  const [cpu] = cpus();
  say(`${new Date().toISOString()}  Linux ${release()}, ${cpus().length} × ${cpu?.model.trim()}`);
  say(
    `load average ${loadavg()[0]?.toFixed(2)}; ${rate} exchanges per second for ${seconds} s, ${CONNECTIONS} connections\n`,
  );
  const stage = await openStage();
  const backends = await startBackends(folder);
  const [hopspan, hopspanPage] = await startHopspan(
    folder,
    stage.proxy.pid,
    backends.collector.otlpGrpcEndpoint,
  );
  const watched: Watched = { ...backends, hopspan, hopspanPage };

  let ended = false;
  const load = stage.run({ seconds, rate }).finally(() => {
    ended = true;
  });
  const everyS = Math.min(60, Math.max(10, Math.floor(seconds / 6)));
  const memory = await watch(watched, stage.proxy.pid, everyS, () => ended);
  const { requests, perSecond, p50Us, p99Us } = await load;
  await stage.stop();
  const endMs = performance.now();
  const done = await settled(watched, requests);
  const behindS = (performance.now() - endMs) / 1000;
  const { traces, broken } = await readBack(watched.jaeger);
  const exit = await hopspan.stop('SIGTERM', 20_000);

  say(`\n  exchanges by the client's count  ${requests}, ${round(perSecond)} per second`);
  say(`  latency through Envoy            p50 ${round(p50Us)} µs, p99 ${round(p99Us)} µs`);
  say(`  hops by hopspan's count          ${done.hops}, records lost ${done.lost}`);
  say(`  hops by the Collector's count    ${done.servers}`);
  say(
    `  spans exported by hopspan        ${done.exported}, dropped ${done.dropped}, waiting ${done.waiting}`,
  );
  say(`  spans accepted by the Collector  ${done.accepted}, sent ${done.sent}`);
  say(`  spans accepted by Jaeger         ${done.stored}`);
  say(`  traces read back from Jaeger     ${traces}, not whole ${broken}`);
  say(`  all was there ${behindS.toFixed(1)} s after the last exchange`);
  const fifth = memory[SETTLED_MINUTE - 1];
  const last = memory.at(-1);
  if (everyS === 60 && fifth && last) sayAim(GROWTH, last / fifth);
  const exact = [done.hops, done.servers].every((hops) => hops === requests);
  const same = [done.accepted, done.sent, done.stored].every((spans) => spans === done.exported);
  const whole = exact && same && done.dropped === 0 && done.lost === 0 && broken === 0;
  say(
    `  ${whole ? 'every exchange accounted for' : 'NOT every exchange accounted for'}; hopspan ended with ${exit.code}`,
  );
  say(hopspan.stderr().trimEnd());
  await watched.collector.stop();
  await watched.jaeger.stop();
  process.exitCode = whole ? 0 : 1;
}

await main(Number(process.argv[2] ?? 5000), Number(process.argv[3] ?? 600));
