import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { METRICS, type MetricName, prometheusName } from '../../src/telemetry/metric-table.ts';
import { type RunningHopspan, startHopspan } from '../harness/hopspan.ts';
import { startHttpBackend } from '../harness/http-backend.ts';
import { runHttpClient } from '../harness/http-client.ts';
import { startHttp2Backend } from '../harness/http2-backend.ts';
import { runHttp2Client } from '../harness/http2-client.ts';
import { parseMetrics, type Sample, sumBy } from '../harness/metrics-page.ts';
import { startOtlpSink } from '../harness/otlp-sink.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { http2Cluster, startEnvoy } from '../harness/proxies.ts';
import { runClient, startBackend } from '../harness/traffic.ts';

after(stopLeftovers);

const NS_PER_S = 1e9;
const KNOWN = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'];

/** Asks for metrics until histograms of these names tell of so many each: halves that stand apart come later. */
async function metricsOf(
  hopspan: RunningHopspan,
  exchanges: number,
  names: readonly string[] = ['hopspan_hop', 'hopspan_upstream'],
): Promise<Sample[]> {
  let samples: Sample[] = [];
  const counted = (name: string): number => sumBy(samples, `${name}_duration_seconds_count`, [])[''] ?? 0;
  await until(`${exchanges} exchanges in /metrics`, async () => {
    samples = parseMetrics((await hopspan.page('/metrics')).text);
    return names.every((name) => counted(name) >= exchanges);
  });
  return samples;
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
}

describe('metrics for Prometheus', () => {
  it('HTTP through Envoy: the counts of client and backend, before anything is dropped', async (t) => {
    const backend = await startHttpBackend();
    t.after(() => backend.stop());
    const listeners = [{ upstreamPort: backend.port }, { upstreamPort: backend.port }];
    const proxy = await startEnvoy({ listeners, concurrency: 2, http: {} });
    const [first, second] = proxy.listeners.map(({ port }) => port) as [number, number];
    const hopspan = await startHopspan({ targets: [`listen_port: ${first}`], pages: true });
    const load = { connections: 60, concurrency: 20, requests: 5, traceparent: true };
    const sent = [
      await runHttpClient({ ...load, port: first }),
      await runHttpClient({ ...load, port: second, firstId: 10_000, connections: 20, seed: 3 }),
    ];
    const all = sent.flat();
    const names = ['http_server_request', 'http_client_request'];
    const samples = await metricsOf(hopspan, all.length, names);
    await proxy.stop();
    await hopspan.finish();

    const methodOf = ({ method }: { method: string }): string => (KNOWN.includes(method) ? method : '_OTHER');
    const keyOf = (of: { method: string; statusCode: number }): string => `${methodOf(of)},${of.statusCode}`;
    const labels = ['http_request_method', 'http_response_status_code'];
    assert.deepEqual(
      sumBy(samples, 'http_server_request_duration_seconds_count', labels),
      countBy(all, keyOf),
      'as the client saw it',
    );
    assert.deepEqual(
      sumBy(samples, 'http_client_request_duration_seconds_count', labels),
      countBy(backend.arrivals, keyOf),
      'as the backend saw it',
    );
    const byListener = { [`${first}`]: sent[0]?.length, [`${second}`]: sent[1]?.length };
    assert.deepEqual(sumBy(samples, 'hopspan_hop_duration_seconds_count', ['listener']), byListener);
    assert.deepEqual(sumBy(samples, 'hopspan_listener_requests_total', ['listener']), byListener);
    const upstream = `127.0.0.1:${backend.port}`;
    assert.deepEqual(sumBy(samples, 'hopspan_upstream_duration_seconds_count', ['upstream']), {
      [upstream]: backend.arrivals.length,
    });
    assert.deepEqual(sumBy(samples, 'hopspan_pairings_total', ['pairing', 'ambiguous']), {
      'content,false': all.length,
    });
    assert.deepEqual(namesOutOfTable(samples), []);
    assert.ok((sumBy(samples, 'process_cpu_time_seconds_total', [])[''] ?? 0) > 0);
    assert.ok((sumBy(samples, 'process_memory_usage_bytes', [])[''] ?? 0) > 1e6);
    assert.ok((sumBy(samples, 'hopspan_records_total', [])[''] ?? 0) >= all.length);
    assert.equal(sumBy(samples, 'hopspan_records_lost_total', [])[''], 0);
  });

  it('a relay of bytes: bytes, outcomes, and the imposed delay in its phase', async (t) => {
    const thinkMs = 30;
    const backend = await startBackend();
    t.after(() => backend.stop());
    const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2 });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`], pages: true });
    const { exchanges } = await runClient({
      ...{ port: proxy.port, connections: 40, exchanges: 3, thinkMs, requestBytes: 500, answerBytes: 5000 },
    });
    const samples = await metricsOf(hopspan, exchanges.length);
    await proxy.stop();
    await hopspan.finish();

    assert.equal(exchanges.length, 120);
    const [requests, answers] = [120 * 500, 120 * 5000];
    assert.deepEqual(sumBy(samples, 'hopspan_io_bytes_total', ['side', 'network_io_direction']), {
      'downstream,receive': requests,
      'downstream,transmit': answers,
      'upstream,receive': answers,
      'upstream,transmit': requests,
    });
    assert.equal(sumBy(samples, 'hopspan_outcomes_total', ['kind', 'outcome'])['exchange,ok'], 120);
    const waits = samples.filter(({ labels }) => labels.phase === 'upstream wait');
    const of = (suffix: string, le?: string): number =>
      waits.find(({ name, labels }) => name.endsWith(suffix) && (le === undefined || labels.le === le))
        ?.value ?? -1;
    assert.equal(of('_count'), 120);
    assert.equal(of('_bucket', '0.025'), 0, 'none is shorter than the imposed delay');
    assert.equal(of('_bucket', '+Inf'), 120);
    const measured = exchanges.reduce((sum, { startNs, endNs }) => sum + endNs - startNs, 0) / NS_PER_S;
    assert.ok(of('_sum') <= measured, `${of('_sum')} s, ${measured} s for the client`);
    assert.ok(of('_sum') >= (120 * thinkMs * 0.95) / 1000);
    const forwards = samples.filter(({ labels }) => labels.phase === 'forward');
    const forwarded = forwards.find(({ name }) => name.endsWith('_sum'))?.value ?? Infinity;
    assert.ok(forwarded <= measured - of('_sum'), 'the delay stands in no other phase');
    assert.deepEqual(namesOutOfTable(samples), []);
  });
});

it('requests whose caller is not sampled have no spans, and are counted', async (t) => {
  const backend = await startHttpBackend();
  t.after(() => backend.stop());
  const sink = await startOtlpSink();
  t.after(() => sink.stop());
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], http: {} });
  const exporters = { otlp: `{ endpoint: "http://127.0.0.1:${sink.port}" }` };
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`], pages: true, exporters });
  for (let i = 0; i < 12; i++) {
    const sampled = i < 4 ? '01' : '00';
    const traceparent = `00-${String(i + 1).padStart(32, '0')}-${String(i + 1).padStart(16, '0')}-${sampled}`;
    await (await fetch(`http://127.0.0.1:${proxy.port}/${i}`, { headers: { traceparent } })).text();
  }
  const samples = await metricsOf(hopspan, 12);
  assert.deepEqual(sumBy(samples, 'http_server_request_duration_seconds_count', []), { '': 12 });
  const sends = await until('requests to the sink in /metrics', async () => {
    const now = parseMetrics((await hopspan.page('/metrics')).text);
    return sumBy(now, 'hopspan_exporter_send_duration_seconds_count', ['exporter']).otlp;
  });
  assert.ok(sends >= 1);
  await proxy.stop();
  const requests = (await hopspan.finish()).filter(({ attributes }) => attributes['url.path']);
  assert.equal(requests.length, 4);
});

it('gRPC through Envoy: calls by method and status', async (t) => {
  const backend = await startHttp2Backend();
  t.after(() => backend.stop());
  const cluster = http2Cluster([backend.port]);
  const listeners = [{ upstreamPort: backend.port }];
  const proxy = await startEnvoy({ listeners, concurrency: 2, http: {}, cluster });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`], pages: true });
  const load = { connections: 4, streams: 10, requests: 100, grpc: true, traceparent: true };
  const names = ['rpc_server_call', 'rpc_client_call'];
  const sent = await runHttp2Client({ port: proxy.port, ...load });
  const samples = await metricsOf(hopspan, sent.length, names);
  await proxy.stop();
  await hopspan.finish();
  for (const side of ['server', 'client']) {
    const byStatus = sumBy(samples, `rpc_${side}_call_duration_seconds_count`, ['rpc_status_code']);
    assert.deepEqual(
      byStatus,
      countBy(backend.arrivals, ({ statusCode }) => String(status[statusCode])),
    );
  }
  assert.deepEqual(sumBy(samples, 'http_server_request_duration_seconds_count', []), {});
  assert.deepEqual(namesOutOfTable(samples), []);
});

it('/healthz and /readyz say that all is well, other pages do not exist', async (t) => {
  const backend = await startBackend();
  t.after(() => backend.stop());
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`], pages: true });
  assert.deepEqual(await hopspan.page('/healthz'), { status: 200, text: 'ok\n' });
  assert.deepEqual(await hopspan.page('/readyz'), {
    status: 200,
    text: '+ receiver ebpf: watches 1\n+ exporter file: ok\n',
  });
  await proxy.stop();
  await until('the proxy to be gone', async () =>
    (await hopspan.page('/readyz')).text.includes('waits for its targets'),
  );
  assert.equal((await hopspan.page('/readyz')).status, 200, 'a target that is not there is waited for');
  await hopspan.finish();
});

/** Names and labels that are not in the table of docs/metrics.md. */
function namesOutOfTable(samples: readonly Sample[]): string[] {
  const known = new Map<string, ReadonlySet<string>>([['target_info', new Set()]]);
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const by = METRICS[name].by.map((label) => label.replace(/[[\]]/g, '').replaceAll('.', '_'));
    const suffixes = METRICS[name].kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of suffixes) known.set(`${prometheusName(name)}${suffix}`, new Set([...by, 'le']));
  }
  const wrong = samples.flatMap(({ name, labels }) => {
    const allowed = known.get(name);
    if (!allowed) return [name];
    const strange = name === 'target_info' ? [] : Object.keys(labels).filter((label) => !allowed.has(label));
    return strange.map((label) => `${name}{${label}}`);
  });
  return [...new Set(wrong)];
}
