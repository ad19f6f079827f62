import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { BalanceWindow, ListenerCount } from '../../src/balance/balance.ts';
import { COUNTERS, SIDE_FLAGS } from '../../src/records.gen.ts';
import { createHopMetrics } from '../../src/telemetry/hop-metrics.ts';
import { type MetricSources, startMetrics } from '../../src/telemetry/metrics.ts';
import { createSendMetrics } from '../../src/telemetry/send-metrics.ts';
import { startCollector } from '../harness/collector.ts';
import { envoyBinary } from '../harness/envoy.ts';
import { fixturePaths } from '../harness/fixtures.ts';
import { jaegerBinary } from '../harness/jaeger.ts';
import { otelcolBinary } from '../harness/otelcol.ts';
import { startChild, stopLeftovers, until } from '../harness/process.ts';
import { allExpressions, namesIn, readRules } from '../harness/promql.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../harness/side-record.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

after(stopLeftovers);

const HOPSPAN = new URL('../../bin/hopspan', import.meta.url).pathname;
const FIXTURES = ['envoy-echo', 'envoy-large', 'envoy-client-abort', 'envoy-refused', 'envoy-upstream-reset'];

/** What the connector service_graph gives out, for a Collector that lacks it: from its documentation. */
const SERVICE_GRAPH: readonly (readonly [string, readonly string[]])[] = [
  ['traces_service_graph_request_total', ['client', 'server', 'connection_type']],
];

/** One of everything that hopspan counts. */
function sources(): MetricSources {
  const listener = {
    proxy: 'edge',
    port: 8000,
    total: 4,
    window: 4,
    upstreams: new Map([['127.0.0.1:8080', { name: '127.0.0.1:8080', total: 4 }]]),
    connections: [{ window: 4 }],
  } as unknown as ListenerCount;
  const hops = createHopMetrics();
  const carried = { flags: SIDE_FLAGS.EXCHANGE, exchange: 1 };
  hops.add(hopOf({ downstream: downstreamRecord(carried), upstream: upstreamRecord(carried) }));
  const sends = createSendMetrics('explicit');
  sends.onSent('otlp', 3);
  const counters = Object.keys(COUNTERS).filter((name) => name !== 'size');
  const lost = Object.fromEntries(
    [...counters, 'undrained', 'turnsRefused', 'networkEventsLost'].map((name) => [name, 1]),
  );
  return {
    balance: { listeners: () => [listener], findings: () => [] },
    onWindow: (record) => record({ listeners: [listener] } as unknown as BalanceWindow),
    families: () => [...hops.families(), ...sends.families()],
    records: () => 4,
    lost: () => [lost as ReturnType<MetricSources['lost']>[number]],
    correlated: () => [{ hops: 4, contradictions: 0, ambiguous: 0 }],
    received: () => [{ name: 'otlp', stats: { accepted: 1, refused: 0, rejected: 0 } }],
    processed: () => [{ pipeline: 'traces', name: 'hop_parent', stats: { moved: 1 } }],
    exported: () => [{ name: 'otlp', accepted: 2, exported: 1, dropped: 1, waiting: 1, stored: 1 }],
    reloads: () => ({ succeeded: 3, failed: 1, lastSuccessful: false, lastSuccessS: 1.7e9 }),
  };
}

/** Labels by metric, as a scrape of Prometheus reads them. */
function scraped(text: string): Map<string, Set<string>> {
  const labels = new Map<string, Set<string>>();
  for (const line of text.split('\n')) {
    const [, metric = '', braces = ''] = /^([a-zA-Z_:][\w:]*)\{(.*)\} /.exec(line) ?? [];
    if (metric === '') continue;
    const known = labels.get(metric) ?? new Set();
    for (const [, label = ''] of braces.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) known.add(label);
    labels.set(metric, known);
  }
  return labels;
}

describe('a real Jaeger', () => {
  const found = jaegerBinary();
  const skip = 'missing' in found ? `no Jaeger on this machine: ${found.missing}` : false;

  it('takes otel-config/jaeger.yaml', { skip }, async () => {
    if ('missing' in found) return;
    const file = new URL('../../otel-config/jaeger.yaml', import.meta.url).pathname;
    const child = await startChild(found.path, ['validate', '--config', `file:${file}`]);
    assert.equal((await child.exited).code, 0, child.stderr());
  });
});

describe('the real Envoy', () => {
  it('takes deploy/compose/envoy.yaml', async () => {
    const file = new URL('../../deploy/compose/envoy.yaml', import.meta.url).pathname;
    const child = await startChild(envoyBinary(), ['--mode', 'validate', '--config-path', file]);
    assert.equal((await child.exited).code, 0, child.stderr());
  });
});

describe('a real Collector with otel-config/collector.yaml', () => {
  const found = otelcolBinary();
  const skip = 'missing' in found ? `no Collector on this machine: ${found.missing}` : false;

  it('gives out every metric and label that rules and dashboards name', { skip }, async () => {
    const folder = temporaryFolder(after);
    const collector = await startCollector(folder);
    const config = join(folder, 'hopspan.yaml');
    writeFileSync(
      config,
      `receivers: { ebpf: }
exporters: { otlp: { endpoint: '${collector.otlpGrpcEndpoint}' } }
service: { pipelines: { traces: { receivers: [ebpf], exporters: [otlp] } } }
`,
    );
    for (const fixture of FIXTURES) {
      const replay = await startChild(HOPSPAN, [
        'replay',
        '--config',
        config,
        fixturePaths(fixture).recording,
      ]);
      assert.equal((await replay.exited).code, 0, replay.stderr());
    }
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.otlpGrpcEndpoint;
    const stopMetrics = await startMetrics(sources(), {
      ...{ readers: [{ kind: 'otlp' }], buckets: 'explicit', protocol: 'grpc', intervalMs: 60_000 },
      serve: () => assert.fail('no page'),
    });
    await stopMetrics();

    const text = await until('spans and metrics to be given out', async () => {
      const scrape = await collector.metrics();
      const all = ['hopspan_records_lost_total', 'upstream_reset', 'upstream_refused', 'client_aborted'];
      return all.every((word) => scrape.includes(word)) && scrape;
    });
    const given = scraped(text);
    if (collector.lacking.includes('connectors/service_graph')) {
      for (const [metric, labels] of SERVICE_GRAPH) given.set(metric, new Set(labels));
    }
    /* Recorded series have the labels that their rules leave. */
    for (const { record, expr } of readRules()) {
      if (record) given.set(record, new Set(namesIn(expr).grouping.filter((label) => label !== 'le')));
    }
    for (const { where, expr } of allExpressions()) {
      const { selectors, grouping } = namesIn(expr);
      const known = new Set<string>();
      for (const { metric, matchers } of selectors) {
        const labels = given.get(metric);
        assert.ok(labels, `${where}: no metric ${metric} among ${[...given.keys()].join(' ')}`);
        for (const label of matchers.keys())
          assert.ok(labels.has(label), `${where}: ${metric} has no ${label}`);
        for (const label of labels) known.add(label);
      }
      for (const label of grouping) assert.ok(known.has(label), `${where}: nothing has the label ${label}`);
    }
    await collector.stop();
  });
});
