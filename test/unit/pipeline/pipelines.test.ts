import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, describe, test } from 'node:test';
import type {
  Config,
  EbpfReceiverConfig,
  FileExporterConfig,
  OtlpExporterConfig,
} from '../../../src/config/types.ts';
import { HopspanError } from '../../../src/errors.ts';
import type { ExporterDeps } from '../../../src/exporter/create.ts';
import { DEFAULT_OTLP_OPTIONS } from '../../../src/exporter/otlp/options.ts';
import { splitRequest } from '../../../src/otlp/request.ts';
import { createPipelines } from '../../../src/pipeline/pipelines.ts';
import { createService } from '../../../src/pipeline/service.ts';
import { createLogger, DEFAULT_LOGS } from '../../../src/telemetry/log.ts';
import { makeForeign, requestBytes, WHOLE_REQUEST } from '../../harness/foreign-spans.ts';
import { makeStream } from '../../harness/kernel-records.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { startOtlpSink } from '../../harness/otlp-sink.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
const pathOf = (name: string): string => join(folder, `${name}.jsonl`);

const receiver = (name: string): EbpfReceiverConfig => ({
  ...{ type: 'ebpf', name, targets: [{ by: 'executable', executable: 'envoy' }] },
  ...{
    maxConnections: 1024,
    ringBufferBytes: 65_536,
    maxHeadBytes: 0,
    turns: 'auto' as const,
    idleTimeoutMs: 1000,
    phaseFloorNs: 0,
  },
  ...{ unsampled: 'drop', queryStrings: false, headerDiff: false, hostEvents: true },
});
const file = (name: string, path = pathOf(name)): FileExporterConfig => ({ type: 'file', name, path });

function config(parts: Partial<Config>): Config {
  return {
    ...{ receivers: [receiver('ebpf')], otlpReceivers: [], processors: [], exporters: [], pipelines: [] },
    ...{
      telemetry: {
        logs: DEFAULT_LOGS,
        metricsLevel: 'none',
        metricReaders: [],
        metricBuckets: 'explicit',
        metricIntervalMs: 60_000,
        metricProtocol: 'grpc',
      },
      shutdownTimeoutMs: 1000,
      resourceAttributes: {},
      propagators: [],
      ...parts,
    },
  };
}

const deps = (): ExporterDeps => ({ log: createLogLines(), stdout: process.stdout });
const linesOf = (name: string): number => readFileSync(pathOf(name), 'utf8').split('\n').length - 1;

describe('the graph that a configuration describes', () => {
  test("a receiver's records go to the exporters of its pipelines and to no other", async () => {
    const pipelines = createPipelines(
      config({
        receivers: [receiver('ebpf'), receiver('ebpf/two')],
        exporters: ['a', 'b', 'c'].map((name) => file(name)),
        pipelines: [
          { name: 'traces', receivers: ['ebpf'], processors: [], exporters: ['a', 'b'] },
          { name: 'traces/two', receivers: ['ebpf/two'], processors: [], exporters: ['c'] },
        ],
      }),
      deps(),
    );
    await pipelines.start();
    const input = pipelines.inputOf('ebpf');
    for (const record of makeStream(4)) input(record);
    pipelines.inputOf('nobody')(makeStream(1)[0] as never);
    await pipelines.shutdown(5000);
    const exported = pipelines.exporterStats().map(({ name, exported }) => [name, exported]);
    assert.ok(linesOf('a') > 0);
    assert.equal(linesOf('b'), linesOf('a'));
    assert.equal(linesOf('c'), 0);
    assert.equal(exported[0]?.[1], exported[1]?.[1]);
    assert.deepEqual(exported[2], ['c', 0]);
    assert.deepEqual(
      pipelines.correlatorStats().map(({ hops }) => hops),
      [4, 0],
    );
    assert.equal(pipelines.busy(), false);
  });

  test('an exporter that two pipelines share is one', async () => {
    const shared = { processors: [], exporters: ['shared'] };
    const pipelines = createPipelines(
      config({
        receivers: [receiver('ebpf'), receiver('ebpf/two')],
        exporters: [file('shared')],
        pipelines: [
          { ...shared, name: 'traces', receivers: ['ebpf'] },
          { ...shared, name: 'traces/two', receivers: ['ebpf/two'] },
        ],
      }),
      deps(),
    );
    await pipelines.start();
    for (const name of ['ebpf', 'ebpf/two']) {
      const input = pipelines.inputOf(name);
      for (const record of makeStream(1)) input(record);
    }
    await pipelines.shutdown(5000);
    await pipelines.shutdown(5000);
    assert.equal(pipelines.exporterStats().length, 1);
    assert.equal(linesOf('shared'), 2);
  });

  test('what is complete at the end goes out', async () => {
    const pipelines = createPipelines(
      config({
        exporters: [file('late')],
        pipelines: [{ name: 'traces', receivers: ['ebpf'], processors: [], exporters: ['late'] }],
      }),
      deps(),
    );
    await pipelines.start();
    const input = pipelines.inputOf('ebpf');
    for (const record of makeStream(1).slice(0, -2)) input(record); // neither the last half nor the clock after it
    await pipelines.shutdown(5000);
    assert.equal(linesOf('late'), 1);
  });
});

describe("applications' spans", () => {
  const request = requestBytes(WHOLE_REQUEST);
  const sink = startOtlpSink();
  after(async () => (await sink).stop());
  const otlp = async (): Promise<OtlpExporterConfig> => ({
    ...{ ...DEFAULT_OTLP_OPTIONS, type: 'otlp', name: 'otlp', endpoint: (await sink).endpoint, queueSize: 3 },
  });

  test('go with the hops through processors to the exporters, and are refused while there is no room', async () => {
    const { hang, resume, waitForRequests } = await sink;
    hang();
    const pipelines = createPipelines(
      config({
        processors: [{ type: 'hop_parent', name: 'hop_parent', waitMs: 0, rememberMs: 0, maxSpans: 10 }],
        exporters: [await otlp()],
        pipelines: [{ name: 'traces', receivers: ['otlp'], processors: ['hop_parent'], exporters: ['otlp'] }],
      }),
      deps(),
    );
    await pipelines.start();
    const input = pipelines.spanInputOf('otlp');
    const { spans } = splitRequest(request);
    const offered = Array.from({ length: 5 }, () => input.offer(spans));
    assert.deepEqual(offered, [true, true, true, false, false]);
    resume();
    await waitForRequests(1);
    while (!input.offer(spans)) await new Promise((resolve) => setTimeout(resolve, 5));
    await pipelines.shutdown(5000);
    const [stats] = pipelines.exporterStats();
    assert.deepEqual([stats?.exported, stats?.dropped], [4, 0], 'nothing that was taken is lost');
    assert.equal((await sink).received()[0]?.name, 'everything 漢');
  });

  test('a span that waits in a processor goes on in its time', async () => {
    const received = (await sink).received().length;
    const pipelines = createPipelines(
      config({
        processors: [{ type: 'hop_parent', name: 'hop_parent', waitMs: 100, rememberMs: 0, maxSpans: 10 }],
        exporters: [await otlp()],
        pipelines: [{ name: 'traces', receivers: ['otlp'], processors: ['hop_parent'], exporters: ['otlp'] }],
      }),
      deps(),
    );
    await pipelines.start();
    const server = makeForeign({
      ...{ traceId: '11'.repeat(16), spanId: '22'.repeat(8), parentSpanId: '33'.repeat(8) },
      ...{ fromUs: 0, toUs: 1 },
    });
    assert.ok(pipelines.spanInputOf('otlp').offer([server]));
    await (await sink).waitForSpans(received + 1);
    await pipelines.shutdown(1000);
  });
});

describe('processors', () => {
  test('take nothing from what is counted of hops', async () => {
    const pipelines = createPipelines(
      config({
        processors: [{ type: 'filter', name: 'filter', conditions: ['true'] }],
        exporters: [file('nothing')],
        pipelines: [{ name: 'traces', receivers: ['ebpf'], processors: ['filter'], exporters: ['nothing'] }],
      }),
      deps(),
    );
    await pipelines.start();
    const input = pipelines.inputOf('ebpf');
    for (const record of makeStream(3)) input(record);
    await pipelines.shutdown(1000);
    const [processed] = pipelines.processorStats();
    assert.equal(linesOf('nothing'), 0);
    assert.ok((processed?.stats.droppedSpans ?? 0) > 3);
    assert.equal(pipelines.correlatorStats()[0]?.hops, 3);
  });

  test('give at the end what they hold, in portions that exporters can take', async () => {
    const pipelines = createPipelines(
      config({
        processors: [
          {
            ...{ type: 'tail_sampling', name: 'tail_sampling', decisionWaitMs: 60_000, numTraces: 100_000 },
            ...{ maxSpans: 100_000, sampledCacheSize: 0, nonSampledCacheSize: 0 },
            policies: [{ type: 'always_sample' }],
          },
        ],
        exporters: [file('whole')],
        pipelines: [
          { name: 'traces', receivers: ['ebpf'], processors: ['tail_sampling'], exporters: ['whole'] },
        ],
      }),
      deps(),
    );
    await pipelines.start();
    const input = pipelines.inputOf('ebpf');
    for (const record of makeStream(2000)) input(record);
    await pipelines.shutdown(5000);
    const [stats] = pipelines.exporterStats();
    assert.ok(stats && stats.exported >= 2000);
    assert.equal(stats.dropped, 0);
  });

  test('memory_limiter has receivers wait, and says so', async () => {
    const log = createLogLines();
    const never = { minGcIntervalSoftMs: 3_600_000, minGcIntervalHardMs: 3_600_000 };
    const pipelines = createPipelines(
      config({
        processors: [
          {
            ...{ type: 'memory_limiter', name: 'memory_limiter', checkIntervalMs: 100, ...never },
            ...{ limitBytes: 2, spikeLimitBytes: 1 },
          },
        ],
        exporters: [file('limited')],
        pipelines: [
          { name: 'traces', receivers: ['otlp'], processors: ['memory_limiter'], exporters: ['limited'] },
        ],
      }),
      { ...deps(), log },
    );
    await pipelines.start();
    assert.ok(!pipelines.busy());
    while (!pipelines.busy()) await new Promise((resolve) => setTimeout(resolve, 5));
    const { spans } = splitRequest(requestBytes(WHOLE_REQUEST));
    assert.ok(!pipelines.spanInputOf('otlp').offer(spans));
    await pipelines.shutdown(1000);
    const [processed] = pipelines.processorStats();
    assert.equal(processed?.stats.refusedSpans, 1);
    assert.ok(log.lines.some((line) => line.startsWith('warn memory is short')));
  });
});

describe('a service', () => {
  const unusable = config({
    exporters: [file('unusable', join(folder, 'none', 'such'))],
    pipelines: [{ name: 'traces', receivers: ['ebpf'], processors: [], exporters: ['unusable'] }],
  });

  test('starts from the end: where an exporter cannot, no probe is loaded', async () => {
    const log = createLogger({ ...DEFAULT_LOGS, level: 'error' }, new PassThrough());
    const service = createService(unusable, { log, stdout: process.stdout });
    await assert.rejects(
      service.start(),
      (error) => error instanceof HopspanError && error.code === 'EXPORTER_START_FAILED',
    );
    assert.deepEqual(service.receivers, []);
    await service.shutdown(1000);
    await service.shutdown(1000);
  });
});
