import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { allBpfObjects, type BpfObjects, bpfObjectsOf, bpfPins } from '../harness/bpf.ts';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { judge } from '../harness/match.ts';
import { startOtlpSink } from '../harness/otlp-sink.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { type Backend, runClient, startBackend } from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

after(stopLeftovers);

const PROGRAMS = [
  'on_accept4',
  'on_data_ready',
  'on_destroy',
  'on_process_exec',
  'on_recv',
  'on_send',
  'on_state',
];

let backend: Backend;
before(async () => {
  backend = await startBackend();
});

function gone(objects: BpfObjects): boolean {
  const left = allBpfObjects();
  return ![...objects].some((object) => left.has(object));
}

const WITHOUT_CORE_DUMP = ['/bin/sh', '-c', 'ulimit -c 0; exec "$@"', 'sh'];

/** SIGABRT and SIGSEGV are what a crash in native code ends with: no handler runs. */
for (const signal of ['SIGTERM', 'SIGINT', 'SIGABRT', 'SIGSEGV', 'SIGKILL'] as const) {
  test(`after ${signal} no program, map, link or pin is left`, async () => {
    const pins = bpfPins();
    const hopspan = await startHopspan({
      targets: [`pid: ${backend.pid}`],
      launcher: WITHOUT_CORE_DUMP,
    });
    const { objects, names } = bpfObjectsOf(hopspan.child.pid);
    for (const name of PROGRAMS) assert.ok(names.includes(name), `${name} runs`);
    for (const kind of ['prog', 'map', 'link']) {
      assert.ok([...objects].some((object) => object.startsWith(kind)));
    }
    const alive = allBpfObjects();
    for (const object of objects) assert.ok(alive.has(object), `${object} is seen`);

    hopspan.child.kill(signal);
    const exit = await hopspan.child.exited;
    if (signal === 'SIGTERM' || signal === 'SIGINT') assert.deepEqual(exit, { code: 0, signal: null });
    else assert.notEqual(exit.code, 0);
    /* The kernel frees programs once nobody can be running them any more. */
    await until(`nothing of ${signal} is left`, () => gone(objects));
    assert.deepEqual(
      bpfPins().filter((path) => !pins.includes(path)),
      [],
    );
  });
}

test('a second Ctrl-C does not cut off what the first one flushes', async (t) => {
  const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  /* A receiver that never answers keeps the shutdown busy until its time is over. */
  const sink = await startOtlpSink();
  t.after(() => sink.stop());
  sink.hang();
  const hopspan = await startHopspan({
    targets: [`pid: ${envoy.pid}`],
    exporters: { otlp: `{ endpoint: '${sink.endpoint}' }` },
  });
  const { objects } = bpfObjectsOf(hopspan.child.pid);
  const client = await runClient({ port: envoy.port, connections: 50, exchanges: 2 });
  hopspan.child.kill('SIGINT');
  await until('the probes are gone', () => gone(objects));
  assert.equal(hopspan.child.exit(), undefined, 'the shutdown goes on');
  hopspan.child.kill('SIGINT');
  hopspan.child.kill('SIGTERM');
  assert.deepEqual(await hopspan.child.exited, { code: 0, signal: null });
  assert.equal(hopsOf(await hopspan.spans()).hops.length, client.exchanges.length);
  await envoy.stop();
});

test('two at the same proxy: both report every exchange', async () => {
  const own = await startBackend();
  const envoy = await startEnvoy({ listeners: [{ upstreamPort: own.port }] });
  const both = await Promise.all([
    startHopspan({ targets: [`pid: ${envoy.pid}`] }),
    startHopspan({ targets: [`listen_port: ${envoy.port}`] }),
  ]);
  const client = await runClient({ port: envoy.port, connections: 400, concurrency: 100, exchanges: 3 });
  const log = await own.log();
  await envoy.stop();
  const reports = await Promise.all(both.map((hopspan) => hopspan.finish()));
  for (const spans of reports) {
    assert.deepEqual(malformed(spans), []);
    const verdict = judge(hopsOf(spans).hops, joinByConnection(client, log).values());
    assert.deepEqual(verdict, { right: 1200, wrong: 0, unpaired: 0, missing: 0, surplus: 0 });
  }
  const [one, other] = reports.map((spans) => new Set(spans.map(({ traceId }) => traceId)));
  assert.ok(one && other && ![...one].some((id) => other.has(id)), 'each makes trace ids of its own');
  await own.stop();
});
