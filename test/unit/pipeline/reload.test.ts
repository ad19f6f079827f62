import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, describe, test } from 'node:test';
import type { Config } from '../../../src/config/types.ts';
import { HopspanError } from '../../../src/errors.ts';
import { createPipelines, type Pipelines } from '../../../src/pipeline/pipelines.ts';
import { createService } from '../../../src/pipeline/service.ts';
import type { ForeignSpan } from '../../../src/spans/foreign-span.ts';
import { createLogger, DEFAULT_LOGS } from '../../../src/telemetry/log.ts';
import { makeForeign } from '../../harness/foreign-spans.ts';
import { makeStream } from '../../harness/kernel-records.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { freePort } from '../../harness/ports.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';
import { parse } from '../config/harness.ts';

const folder = temporaryFolder(after);

/** Applications' spans of so many traces. */
function makeSpans(count: number, kind = 2): ForeignSpan[] {
  const hex = (digits: number): string =>
    Buffer.from(crypto.getRandomValues(new Uint8Array(digits / 2))).toString('hex');
  return Array.from({ length: count }, () =>
    makeForeign({ traceId: hex(32), spanId: hex(16), parentSpanId: hex(16), kind, fromUs: 1, toUs: 2 }),
  );
}

/** Ids of all spans in a file of OTLP/JSON lines. */
function idsIn(name: string): string[] {
  return [...readFileSync(join(folder, name), 'utf8').matchAll(/"spanId":"([0-9a-f]{16})"/g)]
    .map((match) => match[1] ?? '')
    .toSorted();
}
const idsOf = (spans: readonly { readonly spanId: string }[]): string[] =>
  spans.map(({ spanId }) => spanId).toSorted();

/** A file with these processors, and files as exporters. */
function config(name: string, processors: Record<string, string>, files = ['a'], more = ''): Config {
  const list = (names: string[]): string => names.join(', ');
  return parse(`
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } }, ebpf: { idle_timeout: 1s } }
processors: { ${list(Object.entries(processors).map(([key, value]) => `${key}: ${value}`))} }
exporters: { ${list(files.map((file) => `file/${file}: { path: ${join(folder, `${name}-${file}`)} }`))} }
service:
  pipelines:
    traces: { receivers: [otlp, ebpf], processors: [${list(Object.keys(processors))}], exporters: [${list(files.map((file) => `file/${file}`))}] }
${more}`).config;
}

async function begin(first: Config) {
  const log = createLogLines();
  const pipelines = createPipelines(first, { log, stdout: process.stdout });
  await pipelines.start();
  const offered: ForeignSpan[] = [];
  const offer = (count: number): void => {
    const spans = makeSpans(count);
    offered.push(...spans);
    assert.ok(pipelines.spanInputOf('otlp').offer(spans));
  };
  const change = async (next: Config): Promise<void> => {
    const prepared = await pipelines.prepare(next);
    offer(3);
    prepared.commit();
    offer(3);
    await prepared.settle();
  };
  return { pipelines, offer, offered, change, log };
}

const heldBy = (pipelines: Pipelines, name: string): Readonly<Record<string, number>> | undefined =>
  pipelines.processorStats().find((each) => each.name === name)?.stats;

const TAIL = '{ decision_wait: 10m, policies: [{ name: all, type: always_sample }] }';

describe('another configuration', () => {
  test('what replaced processors hold goes on, and what the others hold stays', async () => {
    const { pipelines, offer, offered, change } = await begin(
      config('held', { tail_sampling: TAIL, batch: '{ timeout: 1m }' }),
    );
    offer(10);
    assert.equal(heldBy(pipelines, 'tail_sampling')?.keptTraces, 0);
    await change(
      config('held', { attributes: '{ actions: [{ key: k, action: delete }] }', tail_sampling: TAIL }),
    );
    assert.equal(heldBy(pipelines, 'tail_sampling')?.keptTraces, 0, 'it was not touched');
    await change(config('held', { tail_sampling: TAIL.replace('10m', '9m') }));
    assert.equal(
      heldBy(pipelines, 'tail_sampling')?.keptTraces,
      19,
      'what waited was handed on, and is counted on',
    );
    offer(1);
    await pipelines.shutdown(5000);
    assert.deepEqual(idsIn('held-a'), idsOf(offered));
    const [stats] = pipelines.exporterStats();
    assert.equal(stats?.exported, offered.length);
  });

  test('exporters come and go, pipelines too', async () => {
    const { pipelines, offer, offered, change } = await begin(config('files', { batch: '' }, ['a', 'b']));
    offer(5);
    const before = offered.length;
    await change(config('files', { batch: '{ timeout: 1s }' }, ['b', 'c']));
    const more = '    traces/more: { receivers: [otlp], exporters: [file/b] }';
    await change(config('files', {}, ['b'], more));
    await pipelines.shutdown(5000);
    const all = idsOf(offered);
    assert.deepEqual(idsIn('files-a'), idsOf(offered.slice(0, before + 3)));
    assert.deepEqual(idsIn('files-c'), idsOf(offered.slice(before + 3, before + 9)));
    assert.deepEqual([...new Set(idsIn('files-b'))], all);
    assert.equal(idsIn('files-b').length, all.length + 3, 'the last three came by two pipelines');
  });

  test('that cannot start changes nothing', async () => {
    const { pipelines, offer, offered } = await begin(config('bad', { tail_sampling: TAIL }));
    offer(4);
    const bad = config('bad', { batch: '' }, ['b', 'nowhere/c']);
    await assert.rejects(
      pipelines.prepare(bad),
      (error) => error instanceof HopspanError && error.code === 'EXPORTER_START_FAILED',
    );
    offer(4);
    const prepared = await pipelines.prepare(config('bad', { batch: '' }, ['b']));
    await prepared.undo();
    offer(4);
    assert.deepEqual(
      pipelines.exporterStats().map(({ name }) => name),
      ['file/a'],
    );
    await pipelines.shutdown(5000);
    assert.deepEqual(idsIn('bad-a'), idsOf(offered));
    assert.deepEqual(idsIn('bad-b'), []);
  });

  test('what is known of connections stays', async () => {
    const { pipelines, change } = await begin(config('connections', {}));
    const input = pipelines.inputOf('ebpf');
    const records = makeStream(4);
    const half = Math.floor(records.length / 2);
    for (const record of records.slice(0, half)) input(record);
    await change(config('connections', { batch: '' }, ['b']));
    for (const record of records.slice(half)) input(record);
    await pipelines.shutdown(5000);
    assert.deepEqual(pipelines.correlatorStats(), [{ hops: 4, contradictions: 0, ambiguous: 0 }]);
    const ids = [...idsIn('connections-a'), ...idsIn('connections-b')];
    assert.equal(new Set(ids).size, ids.length);
  });
});

describe('a service that reloads', () => {
  const otlpOnly = (port: number, path: string, level = 'info'): Config =>
    parse(`
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters: { file: { path: ${join(folder, path)} } }
service:
  telemetry: { logs: { level: ${level} } }
  pipelines: { traces: { receivers: [otlp], exporters: [file] } }
`).config;

  async function serve(first: Config) {
    const lines: string[] = [];
    const stream = new PassThrough().on('data', (chunk) =>
      lines.push(...String(chunk).trimEnd().split('\n')),
    );
    const log = createLogger(DEFAULT_LOGS, stream);
    const service = createService(first, { log, stdout: process.stdout });
    await service.start();
    return { service, lines };
  }

  test('says in one line what changed, and each mistake in a line of its own', async () => {
    const port = await freePort();
    const { service, lines } = await serve(otlpOnly(port, 'one'));
    const [listening] = service.otlpReceivers;
    await service.reload(() => otlpOnly(port, 'two'));
    assert.equal(service.otlpReceivers[0], listening, 'the receiver did not change');
    await service.reload(() => {
      throw new HopspanError('CONFIG_INVALID', 'f.yaml:1:1: one\nf.yaml:2:1: two');
    });
    await service.reload(() => otlpOnly(port, 'nowhere/three'));
    await service.reload(() => otlpOnly(port, 'two'));
    await service.shutdown(1000);
    assert.deepEqual(
      lines.map((line) => line.replace(/cannot write .*/, 'cannot write')),
      [
        'hopspan: configuration reloaded changes="exporter file replaced"',
        'hopspan: error: f.yaml:1:1: one',
        'hopspan: error: f.yaml:2:1: two',
        'hopspan: error: configuration not reloaded: the one before stays in force',
        'hopspan: error: The file exporter cannot write',
        'hopspan: error: configuration not reloaded: the one before stays in force',
        'hopspan: configuration reloaded changes=none',
      ],
    );
  });

  test('an address that another one has leaves the receiver where it was', async () => {
    const [port, other] = [await freePort(), await freePort()];
    const first = await serve(otlpOnly(port, 'three'));
    const second = await serve(otlpOnly(other, 'four'));
    await second.service.reload(() => otlpOnly(port, 'four'));
    assert.match(second.lines.join('\n'), /cannot listen on 127\.0\.0\.1:\d+ .*\n.*not reloaded/);
    const response = await fetch(`http://127.0.0.1:${other}/v1/traces`, { method: 'POST' });
    assert.equal(response.status, 415);
    await first.service.shutdown(1000);
    await second.service.reload(() => otlpOnly(port, 'four'));
    assert.equal((await fetch(`http://127.0.0.1:${port}/v1/traces`, { method: 'POST' })).status, 415);
    await assert.rejects(fetch(`http://127.0.0.1:${other}/v1/traces`));
    await second.service.shutdown(1000);
  });

  test('many calls in a row are few reloads, and the last one counts', async () => {
    const port = await freePort();
    const { service, lines } = await serve(otlpOnly(port, 'five'));
    let reads = 0;
    const read = (path: string) => () => {
      reads++;
      return otlpOnly(port, path);
    };
    const all = Array.from({ length: 50 }, (_, n) => service.reload(read(`six-${n}`)));
    await Promise.all(all);
    assert.ok(reads <= 2, `${reads}`);
    await service.shutdown(1000);
    assert.ok(lines.length <= 2);
    assert.deepEqual(idsIn('six-49'), []);
  });
});
