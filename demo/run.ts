/**
 * The demo: a client, two chained Envoys (`tcp_proxy`) and an HTTP backend on loopback, watched by hopspan. Prints
 * every request as one waterfall, the applications' own spans beside the hops, then a summary. With a collector at
 * OTEL_EXPORTER_OTLP_ENDPOINT everything goes there too.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultConfig } from '../src/config/defaults.ts';
import { consoleColor, consoleWidth } from '../src/exporter/console/console-exporter.ts';
import { createSummary } from '../src/exporter/console/summary.ts';
import { waterfall } from '../src/exporter/console/waterfall.ts';
import { createExporter } from '../src/exporter/create.ts';
import type { HopSpan } from '../src/spans/hop-span.ts';
import { createLogger } from '../src/telemetry/log.ts';
import { asHopSpans, startOtlpSink } from '../test/harness/otlp-sink.ts';
import { freePort } from '../test/harness/ports.ts';
import { startChild } from '../test/harness/process.ts';
import { startEnvoy } from '../test/harness/proxies.ts';
import { temporaryFolder } from '../test/harness/temporary-folder.ts';

const REQUESTS = 30;
const CLIENT_TIMEOUT_MS = 60_000;
const SEND_MS = 5000;
const HOPSPAN = new URL('../bin/hopspan', import.meta.url).pathname;
const program = (name: string): string => new URL(name, import.meta.url).pathname;
const say = (line = ''): void => void process.stdout.write(`${line}\n`);

const folder = temporaryFolder((remove) => process.once('exit', remove));
const sink = await startOtlpSink();
const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: sink.endpoint };

const backend = await startChild(process.execPath, [program('backend.ts')], { env });
const backendUrl = new URL((await backend.line(/listening on/)).replace(/.*listening on /, '').trim());
const edgePort = await freePort();
const innerPort = await freePort();

const config = join(folder, 'hopspan.yaml');
writeFileSync(
  config,
  `receivers:
  ebpf:
    targets:
      - { listen_port: ${edgePort}, service_name: edge }
      - { listen_port: ${innerPort}, service_name: inner }
exporters:
  otlp: { endpoint: '${sink.endpoint}' }
service:
  pipelines:
    traces: { receivers: [ebpf], exporters: [otlp] }
`,
);
const hopspan = await startChild(HOPSPAN, ['run', '--config', config]);
const ready = await hopspan.line(/ready|hopspan: /);
say(ready);
const inner = await startEnvoy({
  listeners: [{ port: innerPort, upstreamPort: Number(backendUrl.port) }],
  name: 'inner',
});
const edge = await startEnvoy({ listeners: [{ port: edgePort, upstreamPort: innerPort }], name: 'edge' });
say(
  `shop-client → edge (Envoy :${edgePort}) → inner (Envoy :${innerPort}) → shop-backend :${backendUrl.port}`,
);
say();

const client = await startChild(
  process.execPath,
  [program('client.ts'), '--url', `http://127.0.0.1:${edgePort}`, '--requests', String(REQUESTS)],
  { env },
);
await client.line(/requests, \d+ failed/, CLIENT_TIMEOUT_MS);
await client.exited;
await edge.stop();
await inner.stop();
const exit = await hopspan.stop();
if (exit.code !== 0) throw new Error(`hopspan ended with ${exit.code ?? exit.signal}:\n${hopspan.stderr()}`);
await backend.stop();
await sink.stop();

const spans = asHopSpans(sink.received());
const width = consoleWidth(process.stdout);
const color = consoleColor('auto', process.stdout);
for (const request of sideBySide(spans)) for (const line of waterfall(request, { width, color })) say(line);
const summary = createSummary();
summary.add(spans);
for (const line of summary.render({ width, color })) say(line);
say();
say('Application spans and hops stand side by side: matched by connection and time for this view only.');
await passOn(spans);
process.exit(0);

/**
 * Each request's application spans together with its hops as one picture. The client says from which port it sent,
 * and one connection carries one request at a time, so port and time find the hop.
 */
function sideBySide(all: readonly HopSpan[]): HopSpan[][] {
  const traces = [...Map.groupBy(all, (span) => span.traceId).values()];
  const rootOf = (trace: HopSpan[]): HopSpan | undefined => trace.find((span) => !span.parentSpanId);
  const hops = traces.filter((trace) => rootOf(trace)?.attributes['hopspan.outcome'] !== undefined);
  const taken = new Set<HopSpan[]>();
  const pictures = traces
    .filter((trace) => rootOf(trace)?.attributes['network.local.port'] !== undefined && !hops.includes(trace))
    .map((trace) => {
      const root = rootOf(trace);
      const hop = hops.find((candidate) => {
        const other = rootOf(candidate);
        return root && other && !taken.has(candidate) && samePort(root, other) && overlap(root, other);
      });
      if (hop) taken.add(hop);
      return [...trace, ...(hop ?? []).map((span) => ({ ...span, traceId: trace[0]?.traceId ?? '' }))];
    });
  return [...pictures, ...hops.filter((hop) => !taken.has(hop))].toSorted((a, b) => begin(a) - begin(b));
}

function samePort(client: HopSpan, hop: HopSpan): boolean {
  return client.attributes['network.local.port'] === hop.attributes['client.port'];
}

function overlap(a: HopSpan, b: HopSpan): boolean {
  return ms(a.start) < ms(b.end) && ms(b.start) < ms(a.end);
}

function ms([seconds, nanos]: readonly [number, number]): number {
  return seconds * 1e3 + nanos / 1e6;
}

function begin(picture: readonly HopSpan[]): number {
  return Math.min(...picture.map((span) => ms(span.start)));
}

/** To the user's own collector, where the environment names one. */
async function passOn(all: readonly HopSpan[]): Promise<void> {
  if (!process.env.OTEL_EXPORTER_OTLP_ENDPOINT && !process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return;
  const { config: chosen } = defaultConfig({ ...process.env, OTEL_TRACES_EXPORTER: 'otlp' });
  const [target] = chosen.exporters;
  if (target?.type !== 'otlp') return;
  const exporter = createExporter(target, { log: createLogger('info'), stdout: process.stdout });
  await exporter.start();
  exporter.export(all);
  await exporter.shutdown(SEND_MS);
  const { exported, dropped } = exporter.stats();
  say(`${exported} spans sent to ${target.endpoint}${dropped > 0 ? `, ${dropped} not taken` : ''}`);
}
