/**
 * The demo: a client, two chained Envoys (`tcp_proxy`) and an HTTP backend on loopback, watched by hopspan. Prints
 * every request as one trace, the applications' own spans and the hops, then a summary. With a collector at
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
import { createLogger, DEFAULT_LOGS } from '../src/telemetry/log.ts';
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
/* The applications' spans go through hopspan, which puts the backend's under the hops. */
const receiverPort = await freePort();
const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${receiverPort}` };

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
  otlp: { protocols: { grpc: { endpoint: '127.0.0.1:${receiverPort}' } } }
processors:
  hop_parent:
exporters:
  otlp: { endpoint: '${sink.endpoint}' }
service:
  pipelines:
    traces: { receivers: [ebpf, otlp], processors: [hop_parent], exporters: [otlp] }
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
await backend.stop();
const exit = await hopspan.stop();
if (exit.code !== 0) throw new Error(`hopspan ended with ${exit.code ?? exit.signal}:\n${hopspan.stderr()}`);
await sink.stop();

const spans = asHopSpans(sink.received());
const width = consoleWidth(process.stdout);
const color = consoleColor('auto', process.stdout);
const requests = [...Map.groupBy(spans, ({ traceId }) => traceId).values()].toSorted(
  (a, b) => begin(a) - begin(b),
);
for (const line of waterfall(requests.flat(), { width, color })) say(line);
say();
const summary = createSummary();
summary.add(spans);
for (const line of summary.render({ width, color })) say(line);
say();
say(
  'Each hop is in the trace of the request that it carried: the client sent a traceparent, the proxies passed it on. The backend names the client as its caller; hopspan put its span under the hop.',
);
await passOn(spans);
process.exit(0);

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
  const exporter = createExporter(target, { log: createLogger(DEFAULT_LOGS), stdout: process.stdout });
  await exporter.start();
  exporter.export(all);
  await exporter.shutdown(SEND_MS);
  const { exported, dropped } = exporter.stats();
  say(`${exported} spans sent to ${target.endpoint}${dropped > 0 ? `, ${dropped} not taken` : ''}`);
}
