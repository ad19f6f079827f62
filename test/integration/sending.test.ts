import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { QueueFile } from '../../src/exporter/otlp/queue-file.ts';
import { startEnvoy } from '../harness/envoy.ts';
import { type OtlpSink, startOtlpSink } from '../harness/otlp-sink.ts';
import { freePort } from '../harness/ports.ts';
import { type Child, startChild, stopLeftovers, until } from '../harness/process.ts';
import { createSpanSender } from '../harness/span-sender.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { runClient, startBackend, startClient } from '../harness/traffic.ts';

after(stopLeftovers);

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
/** Spans that may be in memory. */
const QUEUE_SIZE = 4096;

interface Setup {
  readonly folder: string;
  readonly port: number;
  /** `hopspan run` with a file exporter, whose lines are the truth, and these. */
  start(): Promise<Child>;
  /** Ids of the spans that the file exporter wrote; its last line may be cut short by a kill. */
  written(): Set<string>;
}

/** hopspan between an application, for which no kernel is needed, or another receiver and its backends. */
async function setUp(
  exporters: (folder: string) => Record<string, string>,
  receiver?: string,
): Promise<Setup> {
  const folder = temporaryFolder(after);
  const port = await freePort();
  const [type] = /^\w+/.exec(receiver ?? 'otlp') ?? [];
  const config = join(folder, 'hopspan.yaml');
  const more = exporters(folder);
  const lines = [
    `receivers: { ${receiver ?? `otlp: { protocols: { http: { endpoint: '127.0.0.1:${port}' } } }`} }`,
    'exporters:',
    `  file: { path: ${join(folder, 'spans.jsonl')} }`,
    ...Object.entries(more).map(([name, yaml]) => `  ${name}: ${yaml}`),
    'service:',
    `  pipelines: { traces: { receivers: [${type}], exporters: [file, ${Object.keys(more).join(', ')}] } }`,
  ];
  writeFileSync(config, lines.join('\n'));
  return {
    folder,
    port,
    async start() {
      const child = await startChild(process.execPath, [MAIN, 'run', '--config', config]);
      await child.line(/listening|ready/, 60_000);
      return child;
    },
    written() {
      const text = readFileSync(join(folder, 'spans.jsonl'), 'latin1');
      return new Set(Array.from(text.matchAll(/"spanId":"([0-9a-f]{16})"/g), ([, id = '']) => id));
    },
  };
}

const onDisk = (endpoint: string, folder: string, more = '') =>
  `{ endpoint: '${endpoint}', ${more} retry_on_failure: { initial_interval: 100ms, max_interval: 500ms }, sending_queue: { directory: '${folder}/queue', queue_size: ${QUEUE_SIZE} } }`;

/** Ids that arrived, and how many spans came more than once. */
function arrived(...sinks: OtlpSink[]): { ids: Set<string>; twice: number } {
  const all = sinks.flatMap((sink) => sink.received().map(({ spanId }) => spanId));
  const ids = new Set(all);
  return { ids, twice: all.length - ids.size };
}

function leftOnDisk(folder: string, exporter: string): number {
  const file = new QueueFile(join(folder, 'queue', `${encodeURIComponent(exporter)}.queue`));
  const { spans } = file.contents;
  file.close();
  return spans;
}

for (const [exporter, protocol, away] of [
  ['otlp', 'grpc', true],
  ['otlphttp', 'http/protobuf', true],
  ['otlp', 'grpc', false],
] as const) {
  const what = away ? 'a backend that is away' : 'a backend that answers';
  test(`${exporter}: ${what} under load, kill -9 in the middle, and a new start`, async (t) => {
    const first = await startOtlpSink({ protocol });
    const { port, endpoint } = first;
    const setup = await setUp((folder) => ({ [exporter]: onDisk(endpoint, folder) }));
    const sender = createSpanSender(setup.port);
    t.after(() => sender.stop());

    const killed = await setup.start();
    await sender.sendUntil(5000);
    await first.waitForSpans(1000);
    if (away) await first.stop();
    const load = sender.sendUntil(1_000_000);
    await until('more load', () => sender.taken.length > 25_000);
    killed.kill('SIGKILL');
    await Promise.all([killed.exited, load]);
    const before = [...sender.taken];

    const again = await setup.start();
    if (away) await again.line(/spans of an earlier run wait on disk/);
    const sinceRestart = sender.sendUntil(before.length + 10_000);
    const second = away ? await startOtlpSink({ port, protocol }) : first;
    t.after(() => second.stop());
    await sinceRestart;
    // First in, first out: what came last is what arrives last.
    const last = sender.taken.at(-1) ?? '';
    await until('the last span', () => second.received().some(({ spanId }) => spanId === last), 60_000);
    const exit = await again.stop('SIGTERM', 20_000);
    assert.deepEqual(exit, { code: 0, signal: null }, again.stderr());

    const { ids, twice } = arrived(...new Set([first, second]));
    const missing = sender.taken.filter((id) => !ids.has(id));
    const written = setup.written();
    t.diagnostic(
      `${sender.taken.length} taken, ${missing.length} lost by kill -9, ${twice} twice; ${[...written].filter((id) => !ids.has(id)).length} in the file only`,
    );
    assert.ok(missing.length <= QUEUE_SIZE, `${missing.length} lost`);
    const newest = new Set(before.slice(-2 * QUEUE_SIZE));
    assert.deepEqual(
      missing.filter((id) => !newest.has(id)),
      [],
      'what is lost is what came last before the kill',
    );
    assert.equal(leftOnDisk(setup.folder, exporter), 0);
    assert.doesNotMatch(again.stderr(), /dropped so far.*[1-9]\d* dropped|could not be exported/);
  });
}

test("Envoy's hops: a backend that is away, kill -9 under load, and a new start", async (t) => {
  const gone = await startOtlpSink();
  await gone.stop();
  const backend = await startBackend();
  const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  const setup = await setUp(
    (folder) => ({ otlp: onDisk(gone.endpoint, folder) }),
    `ebpf: { targets: [{ pid: ${envoy.pid} }] }`,
  );
  const load = { port: envoy.port, concurrency: 20, exchanges: 3 };

  const killed = await setup.start();
  const going = await startClient({ ...load, connections: 2000 });
  await until('spans in the file', () => setup.written().size > 5000, 60_000);
  killed.kill('SIGKILL');
  await killed.exited;
  await going.done;
  const before = setup.written();

  const again = await setup.start();
  await runClient({ ...load, firstConnId: 2000, connections: 300 });
  const sink = await startOtlpSink({ port: gone.port });
  t.after(() => sink.stop());
  await until('the hops since the new start', () => setup.written().size > before.size + 2000, 60_000);
  await until('all of them', () => arrived(sink).ids.size > setup.written().size - QUEUE_SIZE, 60_000);
  assert.deepEqual(await again.stop('SIGTERM', 20_000), { code: 0, signal: null }, again.stderr());
  await envoy.stop();
  await backend.stop();

  const written = setup.written();
  const { ids, twice } = arrived(sink);
  const missing = [...written].filter((id) => !ids.has(id));
  t.diagnostic(`${written.size} spans written, ${missing.length} lost by kill -9, ${twice} twice`);
  assert.deepEqual(
    missing.filter((id) => !before.has(id)),
    [],
    'nothing is lost that came after the new start',
  );
  assert.ok(missing.length <= QUEUE_SIZE, `${missing.length} lost`);
  assert.ok(before.size - missing.length > 0);
  assert.equal(leftOnDisk(setup.folder, 'otlp'), 0);
});

test('a backend that is away and comes back: nothing is lost, whatever another one does', async (t) => {
  const sink = await startOtlpSink();
  const stuck = await startOtlpSink({ protocol: 'http/protobuf' });
  const lame = await startOtlpSink();
  t.after(() => stuck.stop());
  t.after(() => lame.stop());
  stuck.hang();
  lame.hang();
  const setup = await setUp((folder) => ({
    otlp: onDisk(sink.endpoint, folder),
    'otlphttp/stuck': onDisk(stuck.endpoint, folder),
    // In memory only: it loses, the others do not.
    'otlp/lame': `{ endpoint: '${lame.endpoint}', sending_queue: { queue_size: 1000 } }`,
  }));
  const sender = createSpanSender(setup.port);
  t.after(() => sender.stop());
  const hopspan = await setup.start();
  await sender.sendUntil(5000);
  await sink.waitForSpans(1000);
  await sink.stop();
  await sender.sendUntil(20_000);
  const back = await startOtlpSink({ port: sink.port });
  t.after(() => back.stop());
  back.failNext(3, 14, 50);
  await sender.sendUntil(25_000);
  await until('all of them', () => arrived(sink, back).ids.size === 25_000, 60_000);
  stuck.resume();
  await until('all of them, later', () => arrived(stuck).ids.size === 25_000, 60_000);
  await hopspan.stop('SIGTERM', 20_000);

  const written = setup.written();
  assert.equal(written.size, 25_000);
  for (const got of [arrived(sink, back), arrived(stuck)]) {
    assert.deepEqual(
      sender.taken.filter((id) => !got.ids.has(id)),
      [],
    );
    t.diagnostic(`${got.twice} came twice`);
  }
  assert.match(hopspan.stderr(), /some spans could not be exported exporter=otlp\/lame/);
  assert.doesNotMatch(hopspan.stderr(), /could not be exported exporter=(otlp|otlphttp\/stuck) /);
  for (const name of ['otlp', 'otlphttp/stuck']) assert.equal(leftOnDisk(setup.folder, name), 0);
});

test('a second hopspan on the same directory ends with one sentence, and the first goes on', async (t) => {
  const sink = await startOtlpSink();
  t.after(() => sink.stop());
  const setup = await setUp((folder) => ({ otlp: onDisk(sink.endpoint, folder) }));
  const first = await setup.start();
  const config = join(setup.folder, 'hopspan.yaml');
  const second = await startChild(process.execPath, [MAIN, 'run', '--config', config]);
  assert.deepEqual(await second.exited, { code: 3, signal: null });
  assert.match(second.stderr(), /otlp\.queue cannot be used: another hopspan has it; give each a directory/);
  const sender = createSpanSender(setup.port);
  await sender.sendUntil(1000);
  sender.stop();
  await sink.waitForSpans(1000);
  assert.equal((await first.stop()).code, 0);
});
