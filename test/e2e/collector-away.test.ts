import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { type RunningHopspan, startHopspan } from '../harness/hopspan.ts';
import { type Otelcol, otelcolBinary, readOtelcolConfig, startOtelcol } from '../harness/otelcol.ts';
import { type OtlpSink, startOtlpSink } from '../harness/otlp-sink.ts';
import { freePort } from '../harness/ports.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import {
  type Backend,
  type ClientLog,
  type ClientOptions,
  runClient,
  startBackend,
  startClient,
} from '../harness/traffic.ts';

after(stopLeftovers);

const CONNECTIONS = 20;
const GAP_MS = { min: 0, max: 40 };
const BEFORE = 50;
/** Of each connection, while something is away; some 10 s of load. */
const MEANWHILE = 400;
const ARRIVE_MS = 120_000;

interface Rig {
  readonly hopspan: RunningHopspan;
  startCollector(): Promise<Otelcol>;
  startBackend(): Promise<OtlpSink>;
  load(exchanges: number, holdAfter?: number): ClientOptions;
  /** Ends the traffic and hopspan; complaints about a Collector that is away are as it should be. */
  finish(): Promise<void>;
  /** Ids of all spans that hopspan's file exporter wrote. */
  ids(): Promise<Set<string>>;
}

/** Client, Envoy, hopspan with a queue on disk, and places for otel-config/collector-durable.yaml and a backend. */
async function setUp(): Promise<Rig> {
  const folder = temporaryFolder(after);
  const { config } = readOtelcolConfig('otel-config/collector-durable.yaml');
  const [backendPort, otlpPort] = await Promise.all([freePort(), freePort()]);
  const traffic: Backend = await startBackend();
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: traffic.port }], concurrency: 2 });
  const queue = `{ directory: '${folder}/hopspan' }`;
  const retry = '{ initial_interval: 100ms, max_interval: 1s }';
  const hopspan = await startHopspan({
    targets: [`listen_port: ${proxy.port}`],
    exporters: {
      otlp: `{ endpoint: 'http://127.0.0.1:${otlpPort}', sending_queue: ${queue}, retry_on_failure: ${retry} }`,
    },
  });
  return {
    hopspan,
    startCollector: () =>
      startOtelcol({
        ...{ folder, config, port: otlpPort },
        env: { BACKEND_ENDPOINT: `127.0.0.1:${backendPort}`, QUEUE_DIRECTORY: `${folder}/otelcol` },
      }),
    startBackend: async () => {
      const sink = await startOtlpSink({ port: backendPort });
      after(() => sink.stop());
      return sink;
    },
    load: (exchanges, holdAfter) => ({
      ...{ port: proxy.port, connections: CONNECTIONS, exchanges, gapMs: GAP_MS },
      ...(holdAfter === undefined ? {} : { holdAfter }),
    }),
    finish: async () => {
      await proxy.stop();
      await traffic.stop();
    },
    ids: async () => new Set((await hopspan.spans()).map(({ spanId }) => spanId)),
  };
}

/** Client port and number of every exchange of the logs; no port is used twice in a run as short as these. */
function exchangesOf(logs: readonly ClientLog[]): string[] {
  return logs
    .flatMap(({ exchanges }) => exchanges)
    .map(({ localPort, exchange }) => `${localPort} ${exchange + 1}`)
    .toSorted();
}

/** The same of the hops that arrived; spans that came twice count once. */
function hopsAt(sinks: readonly OtlpSink[]): string[] {
  const spans = new Map(sinks.flatMap((sink) => sink.received()).map((span) => [span.spanId, span]));
  return [...spans.values()]
    .filter(({ kind, name }) => kind === 'SERVER' && !name.startsWith('tcp connection '))
    .map(({ attributes }) => `${attributes['client.port']} ${attributes['hopspan.exchange.number']}`)
    .toSorted();
}

const arrived = (sinks: readonly OtlpSink[]): string[] =>
  sinks.flatMap((sink) => sink.received().map(({ spanId }) => spanId));

describe('Envoy, hopspan, a real Collector and a backend', () => {
  const found = otelcolBinary();
  const skip = 'missing' in found ? `no Collector on this machine: ${found.missing}` : false;

  /** Every exchange of the client's log is one hop at the backend, and every span that hopspan made is there. */
  async function check(rig: Rig, logs: readonly ClientLog[], sinks: readonly OtlpSink[]): Promise<string> {
    const expected = exchangesOf(logs);
    await rig.finish();
    await until(
      'every exchange to arrive as a hop',
      () => hopsAt(sinks).length >= expected.length,
      ARRIVE_MS,
      () => `, ${hopsAt(sinks).length} of ${expected.length}`,
    );
    await until(
      'every span',
      async () => {
        const ids = new Set(arrived(sinks));
        return [...(await rig.ids())].every((id) => ids.has(id));
      },
      ARRIVE_MS,
    );
    const written = await rig.hopspan.finish(/exporter=otlp .*(does not answer|answers again)|otlp/);
    const ids = arrived(sinks);
    assert.deepEqual(hopsAt(sinks), expected);
    assert.deepEqual(new Set(ids), new Set(written.map(({ spanId }) => spanId)));
    assert.doesNotMatch(rig.hopspan.child.stderr(), /could not be exported/);
    return `${expected.length} exchanges, ${new Set(ids).size} spans, ${ids.length - new Set(ids).size} twice`;
  }

  it('lose nothing while the Collector is killed under load and away for 8,000 exchanges', {
    skip,
  }, async (t) => {
    const rig = await setUp();
    const sink = await rig.startBackend();
    const killed = await rig.startCollector();
    const client = await startClient(rig.load(BEFORE + MEANWHILE, BEFORE));
    await client.held;
    await until('hops at the backend', () => hopsAt([sink]).length > 0);
    await client.go();
    killed.child.kill('SIGKILL');
    const logs = [await client.done];
    assert.ok(hopsAt([sink]).length < exchangesOf(logs).length / 2, 'most waits in hopspan');
    const later = startClient(rig.load(BEFORE));
    const again = await rig.startCollector();
    logs.push(await (await later).done);
    t.diagnostic(await check(rig, logs, [sink]));
    await again.stop();
  });

  it('lose nothing while the backend is away and the Collector is killed with what it took', {
    skip,
  }, async (t) => {
    const rig = await setUp();
    const killed = await rig.startCollector();
    const client = await startClient(rig.load(BEFORE + MEANWHILE, BEFORE));
    await client.held;
    await client.go();
    const logs = [await client.done];
    const { metrics } = killed;
    await until('spans in the queue of the Collector', async () =>
      (await metrics()).some(({ name, value }) => /^otelcol_exporter_queue_size/.test(name) && value > 20),
    );
    killed.child.kill('SIGKILL');
    await killed.child.exited;
    logs.push(await runClient(rig.load(BEFORE)));
    const again = await rig.startCollector();
    const sink = await rig.startBackend();
    t.diagnostic(await check(rig, logs, [sink]));
    await again.stop();
  });
});
