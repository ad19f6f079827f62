import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { type RunningHopspan, startHopspan } from '../harness/hopspan.ts';
import { startHttpBackend } from '../harness/http-backend.ts';
import { type HttpSent, runHttpClient } from '../harness/http-client.ts';
import {
  type Otelcol,
  type OtelcolConfig,
  otelcolBinary,
  readOtelcolConfig,
  startOtelcol,
} from '../harness/otelcol.ts';
import { type OtlpSink, startOtlpSink } from '../harness/otlp-sink.ts';
import { freePort } from '../harness/ports.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

after(stopLeftovers);

const LOAD = { connections: 300, concurrency: 50, requests: 5, traceparent: true };
const REQUESTS = LOAD.connections * LOAD.requests;
const DECISION_S = 5;
const ARRIVE_MS = 120_000;
/** By consistent hashing; the shares of two differ by some per cent (a few hundred random places on the ring). */
const LEAST_SHARE = 0.3;

const traceOf = ({ traceparent }: HttpSent): string => traceparent.slice(3, 35);

/** otel-config/collector.yaml, a Collector B, that gives whole traces to `sink`. */
async function startBehind(
  folder: string,
  sink: OtlpSink,
  keepPercent: number,
  port: number,
): Promise<Otelcol> {
  const { config } = readOtelcolConfig('otel-config/collector.yaml');
  const { exporters = {}, processors = {}, service } = config;
  exporters.prometheus = { endpoint: `127.0.0.1:${await freePort()}` };
  processors.tail_sampling = { ...(processors.tail_sampling as object), decision_wait: `${DECISION_S}s` };
  /* One backend, so that a span that comes twice came twice. */
  delete exporters['otlp_grpc/tempo'];
  const store = service.pipelines['traces/store'];
  if (store) store.exporters = ['otlp_grpc/jaeger'];
  const env = { JAEGER_ENDPOINT: `127.0.0.1:${sink.port}`, KEEP_PERCENT: String(keepPercent) };
  return startOtelcol({ folder, config, env, port });
}

/** otel-config/collector-balancer.yaml, a Collector A, that finds its B in a list in place of the DNS. */
function balancing(ports: readonly number[]): OtelcolConfig {
  const { config } = readOtelcolConfig('otel-config/collector-balancer.yaml');
  const { exporters = {} } = config;
  const name = Object.keys(exporters).find((each) => /^load_?balancing$/.test(each)) ?? '';
  const hostnames = ports.map((port) => `127.0.0.1:${port}`);
  exporters[name] = { ...(exporters[name] as object), resolver: { static: { hostnames } } };
  exporters['otlp_grpc/metrics'] = { endpoint: hostnames[0], tls: { insecure: true } };
  return config;
}

interface Tiers {
  readonly agents: readonly RunningHopspan[];
  readonly sinks: readonly OtlpSink[];
  readonly proxyPort: number;
  readonly behind: Otelcol[];
  /** Starts the Collector B of that place once more. */
  restart(place: number): Promise<void>;
  /** Ends proxies and agents; spans that the agents' file exporters wrote. */
  finish(expected?: RegExp): Promise<{ readonly traceId: string; readonly spanId: string }[]>;
  stop(): Promise<void>;
}

/** edge and inner, two chained Envoys as if on two nodes: a hopspan for each, one Collector A, two B, each with a sink. */
async function startTiers(keepPercent: number): Promise<Tiers> {
  const folder = temporaryFolder(after);
  const sinks = [await startOtlpSink(), await startOtlpSink()];
  after(() => Promise.all(sinks.map((sink) => sink.stop())));
  const ports = [await freePort(), await freePort()];
  const start = (place: number): Promise<Otelcol> => {
    const [sink, port] = [sinks[place], ports[place]];
    assert.ok(sink && port);
    return startBehind(folder, sink, keepPercent, port);
  };
  const behind = [await start(0), await start(1)];
  const front = await startOtelcol({ folder, config: balancing(ports) });
  const backend = await startHttpBackend();
  const inner = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2 });
  const edge = await startEnvoy({ listeners: [{ upstreamPort: inner.port }], concurrency: 2 });
  const agents = await Promise.all(
    [edge, inner].map((proxy, place) =>
      startHopspan({
        targets: [`{ listen_port: ${proxy.port}, service_name: ${place ? 'inner' : 'edge'} }`],
        exporters: {
          otlp: `{ endpoint: '${front.otlpGrpcEndpoint}', sending_queue: { directory: '${folder}/${place}' }, retry_on_failure: { initial_interval: 100ms, max_interval: 1s } }`,
        },
      }),
    ),
  );
  return {
    ...{ agents, sinks, behind, proxyPort: edge.port },
    async restart(place) {
      behind[place] = await start(place);
    },
    async finish(expected) {
      for (const proxy of [edge, inner]) await proxy.stop();
      await backend.stop();
      return (await Promise.all(agents.map((agent) => agent.finish(expected)))).flat();
    },
    async stop() {
      for (const each of [front, ...behind]) await each.stop();
    },
  };
}

/** Ids of the spans of each trace, in order. */
function byTrace(
  spans: readonly { readonly traceId: string; readonly spanId: string }[],
): Map<string, string[]> {
  const groups = Map.groupBy(spans, ({ traceId }) => traceId);
  return new Map(
    [...groups].map(([id, own]) => [id, [...new Set(own.map(({ spanId }) => spanId))].toSorted()]),
  );
}

/** Fails unless each of these traces has one hop of edge and one of inner. */
function assertBothHops(sinks: readonly OtlpSink[], traceIds: readonly string[]): void {
  const hops = sinks.flatMap((sink) => sink.received()).filter(({ kind }) => kind === 'SERVER');
  const byTraceId = Map.groupBy(new Map(hops.map((hop) => [hop.spanId, hop])).values(), (hop) => hop.traceId);
  for (const id of traceIds) {
    const services = (byTraceId.get(id) ?? []).map(({ service }) => service);
    assert.deepEqual(services.toSorted(), ['edge', 'inner'], id);
  }
}

/** Looks again only when something more has arrived. */
function onArrival(sinks: readonly OtlpSink[], check: () => boolean): () => boolean {
  let seen = -1;
  return () => {
    const now = sinks.reduce((sum, sink) => sum + sink.received().length, 0);
    if (now === seen) return false;
    seen = now;
    return check();
  };
}

const sizeOf = (sinks: readonly OtlpSink[]): number =>
  new Set(sinks.flatMap((sink) => sink.received().map(({ spanId }) => spanId))).size;

/** Whole traces at one sink each; how many at each. */
function assertUnsplit(sinks: readonly OtlpSink[]): number[] {
  const [first = new Map(), second = new Map()] = sinks.map((sink) => byTrace(sink.received()));
  assert.deepEqual(
    [...first.keys()].filter((id) => second.has(id)),
    [],
  );
  return [first.size, second.size];
}

describe('a hopspan per node, Collectors A by trace id, and two Collectors B', () => {
  const found = otelcolBinary();
  const skip = 'missing' in found ? `no Collector on this machine: ${found.missing}` : false;

  it('bring every trace whole to one B, and each B its share', { skip }, async (t) => {
    const tiers = await startTiers(100);
    const sent = await runHttpClient({ port: tiers.proxyPort, ...LOAD });
    const written = byTrace(await tiers.finish());
    const all = [...written.values()].flat().length;
    await until(
      'all spans',
      onArrival(tiers.sinks, () => sizeOf(tiers.sinks) >= all),
      ARRIVE_MS,
    );
    await tiers.stop();

    const shares = assertUnsplit(tiers.sinks);
    const twice = tiers.sinks.flatMap((sink) => sink.received()).length - all;
    t.diagnostic(`${REQUESTS} requests, ${all} spans, ${shares.join(' and ')} traces, ${twice} spans twice`);
    assert.ok(Math.min(...shares) > LEAST_SHARE * (shares[0] ?? 0), shares.join());
    assert.deepEqual(byTrace(tiers.sinks.flatMap((sink) => sink.received())), written);
    assert.equal(new Set(sent.map(traceOf)).size, REQUESTS);
    assertBothHops(tiers.sinks, sent.map(traceOf));
  });

  it('keep whole traces where a percentage is sampled, and every error', { skip }, async (t) => {
    const tiers = await startTiers(10);
    const sent = await runHttpClient({ port: tiers.proxyPort, ...LOAD });
    const written = byTrace(await tiers.finish());
    const errors = sent.filter(({ statusCode }) => statusCode >= 400).map(traceOf);
    const got = () => byTrace(tiers.sinks.flatMap((sink) => sink.received()));
    await until(
      'the errors',
      onArrival(tiers.sinks, () => {
        const ids = got();
        return errors.every((id) => ids.has(id));
      }),
      ARRIVE_MS,
    );
    await tiers.stop();

    const kept = got();
    const shares = assertUnsplit(tiers.sinks);
    t.diagnostic(
      `${errors.length} errors of ${REQUESTS}, kept ${shares.join(' and ')} of ${written.size} traces`,
    );
    assert.ok(kept.size < written.size, 'not all were kept');
    assert.ok(shares.every((share) => share > 0));
    for (const [id, spans] of kept) assert.deepEqual(spans, written.get(id), `all of ${id}`);
    assertBothHops(tiers.sinks, errors);
  });

  it('lose nothing while one B is away: what it did not take waits on the nodes', { skip }, async (t) => {
    const tiers = await startTiers(100);
    const load = { port: tiers.proxyPort, ...LOAD };
    const sent = await runHttpClient(load);
    await until('spans', () => sizeOf(tiers.sinks) > 0, ARRIVE_MS);
    await tiers.behind[1]?.stop();
    sent.push(...(await runHttpClient({ ...load, firstId: REQUESTS, seed: 11 })));
    await tiers.restart(1);
    const traces = [...new Set(sent.map(traceOf))];
    await until(
      'every trace',
      onArrival(tiers.sinks, () => {
        const got = byTrace(tiers.sinks.flatMap((sink) => sink.received()));
        return traces.every((id) => got.has(id));
      }),
      ARRIVE_MS,
    );
    const written = byTrace(await tiers.finish(/exporter=otlp|Exporter otlp/));
    const all = [...written.values()].flat().length;
    await until(
      'all spans',
      onArrival(tiers.sinks, () => sizeOf(tiers.sinks) >= all),
      ARRIVE_MS,
    );
    await tiers.stop();

    const spans = tiers.sinks.flatMap((sink) => sink.received());
    t.diagnostic(`${sent.length} requests, ${all} spans, ${spans.length - all} came twice`);
    assertUnsplit(tiers.sinks);
    assert.deepEqual(byTrace(spans), written);
    assertBothHops(tiers.sinks, traces);
  });
});
