import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { startCollector } from '../harness/collector.ts';
import { envoyBinary } from '../harness/envoy.ts';
import { type JaegerTrace, jaegerBinary, startJaeger } from '../harness/jaeger.ts';
import { otelcolBinary } from '../harness/otelcol.ts';
import { awaitListening, freePort } from '../harness/ports.ts';
import { startChild, stopLeftovers, until } from '../harness/process.ts';
import { type Prometheus, startPrometheus } from '../harness/prometheus.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

after(stopLeftovers);

const pathOf = (path: string): string => new URL(`../../${path}`, import.meta.url).pathname;
/** Far more than the test lets through: it stops the client. */
const REQUESTS = '20000';
const ALERTS = ['HopspanClientAborts', 'HopspanHopSlow'] as const;
const ALERT_MS = 90_000;

/** A file of the tour for this machine instead of its containers; every part that is replaced must be there. */
function adapt(path: string, target: string, changes: readonly (readonly [string, string])[]): string {
  let text = readFileSync(pathOf(path), 'utf8');
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), `${path}: ${from}`);
    text = text.replaceAll(from, to);
  }
  writeFileSync(target, text);
  return target;
}

/** Services and names from the root down to the backend's span. */
function wayDown(trace: JaegerTrace): string | undefined {
  const spans = new Map(trace.spans.map((span) => [span.spanID, span]));
  let span = trace.spans.find(({ operationName, processID }) => {
    return trace.processes[processID]?.serviceName === 'shop-backend' && operationName !== 'query';
  });
  const way: string[] = [];
  for (; span; span = spans.get(span.references[0]?.spanID ?? '')) {
    way.unshift(`${trace.processes[span.processID]?.serviceName} ${span.operationName}`);
  }
  return way.join(' > ');
}

async function firing({ alerts }: Prometheus): Promise<readonly string[]> {
  const all = (await alerts()).filter(
    ({ state, labels }) => state === 'firing' && labels.service_name === 'edge',
  );
  return all.map(({ labels }) => labels.alertname ?? '').toSorted();
}

describe('the tour of docs/quickstart.md, with its files and without its containers', () => {
  const lacking = [jaegerBinary(), otelcolBinary()].find((found) => 'missing' in found);
  const skip = lacking ? `no Jaeger or no Collector on this machine: ${lacking.missing}` : false;

  it('shows waterfalls in Jaeger; alerts fire while the backend hangs, and clear', { skip }, async () => {
    const folder = temporaryFolder(after);
    const jaeger = await startJaeger();
    const collector = await startCollector(folder, jaeger.otlpGrpcEndpoint);
    const prometheus = await startPrometheus(folder, collector.prometheusTarget);
    const [edgePort, receiverPort] = await Promise.all([freePort(), freePort()]);
    const applications = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${receiverPort}` };

    const hopspanFile = adapt('deploy/compose/hopspan.yaml', join(folder, 'hopspan.yaml'), [
      ['executable: envoy', `listen_port: ${edgePort}`],
      ['0.0.0.0:4317', `127.0.0.1:${receiverPort}`],
      ['http://collector:4317', collector.otlpGrpcEndpoint],
      ['/var/lib/hopspan', folder],
      ['127.0.0.1:13133', '127.0.0.1:0'],
    ]);
    const hopspan = await startChild(pathOf('bin/hopspan'), ['run', '--config', hopspanFile], {
      env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.otlpGrpcEndpoint },
    });
    await hopspan.line(/ready/);
    const backend = await startChild(process.execPath, [pathOf('demo/backend.ts')], { env: applications });
    const backendPort = /:(\d+)\s*$/.exec(await backend.line(/listening on/))?.[1];
    const envoyFile = adapt('deploy/compose/envoy.yaml', join(folder, 'envoy.yaml'), [
      ['0.0.0.0', '127.0.0.1'],
      ['port_value: 10000', `port_value: ${edgePort}`],
      ['address: shop-backend, port_value: 8080', `address: 127.0.0.1, port_value: ${backendPort}`],
    ]);
    const envoy = await startChild(envoyBinary(), [
      ...['-c', envoyFile, '--concurrency', '2', '--use-dynamic-base-id', '--log-level', 'error'],
    ]);
    await awaitListening(edgePort, () => {
      if (envoy.exit()) throw new Error(`Envoy ended:\n${envoy.stderr()}`);
    });
    const client = await startChild(
      process.execPath,
      [
        ...[pathOf('demo/client.ts'), '--url', `http://127.0.0.1:${edgePort}`],
        ...['--requests', REQUESTS, '--concurrency', '2'],
      ],
      { env: applications },
    );

    const way = 'shop-client GET /orders/{id} > edge GET > edge GET > shop-backend GET /orders/{id}';
    await until('whole waterfalls in Jaeger', async () => {
      const traces = await jaeger.traces('edge', { atLeast: 20, limit: 100 });
      return traces.filter((trace) => wayDown(trace) === way).length >= 20;
    });
    assert.deepEqual(await firing(prometheus), []);

    backend.kill('SIGSTOP'); // what "docker compose pause" does
    await until(
      'the alerts to fire',
      async () => ALERTS.join() === (await firing(prometheus)).join(),
      ALERT_MS,
    );
    backend.kill('SIGCONT');
    await until('the alerts to clear', async () => (await firing(prometheus)).length === 0, ALERT_MS);

    /* Jaeger counts a service's inner spans as calls to itself. */
    const calls = (await jaeger.dependencies())
      .filter(({ parent, child }) => parent !== child)
      .map(({ parent, child }) => `${parent} → ${child}`);
    assert.deepEqual(calls.toSorted(), ['edge → shop-backend', 'shop-client → edge']);
    await client.stop();
    await envoy.stop();
    await backend.stop();
    assert.equal((await hopspan.stop()).code, 0, hopspan.stderr());
    await prometheus.stop();
    await collector.stop();
    await jaeger.stop();
  });
});
