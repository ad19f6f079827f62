import assert from 'node:assert/strict';
import { chownSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { ownEnvoy } from '../harness/envoy.ts';
import { type FileSpan, hopsOf, malformed, type RunningHopspan, startHopspan } from '../harness/hopspan.ts';
import { NOBODY, ownerWith, rootWith } from '../harness/launchers.ts';
import { judge } from '../harness/match.ts';
import { startOtlpSink } from '../harness/otlp-sink.ts';
import { freePort } from '../harness/ports.ts';
import { startChild, stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { capabilityMask, type ThreadRights, threadRights } from '../harness/threads.ts';
import { type Backend, runClient, startBackend } from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

after(stopLeftovers);

const HOPSPAN = new URL('../../bin/hopspan', import.meta.url).pathname;
const PROBES = ['bpf', 'perfmon', 'net_admin'];
const OTHERS = ['sys_ptrace', 'dac_read_search'];
/* include/uapi/linux/capability.h */
const DAC_OVERRIDE = 1;
const DAC_READ_SEARCH = 2;
const NET_ADMIN = 12;
const SYS_PTRACE = 19;
const PERFMON = 38;
const BPF = 39;
const TO_LOOK_AT_OTHERS = capabilityMask(SYS_PTRACE, DAC_READ_SEARCH);
const FIVE = TO_LOOK_AT_OTHERS | capabilityMask(NET_ADMIN, PERFMON, BPF);

/** V8's helpers, libuv's pool and the main thread at least. */
const FEWEST_THREADS = 6;

/** Every thread has these and no others, and no way to more. */
function assertRights(
  threads: readonly ThreadRights[],
  expected: Omit<ThreadRights, 'name' | 'noNewPrivileges'>,
): void {
  assert.ok(threads.length >= FEWEST_THREADS, `${threads.length} threads`);
  for (const { name, ...rights } of threads)
    assert.deepEqual(rights, { ...expected, noNewPrivileges: true }, `thread ${name}`);
}

const rootRights = (kept: bigint, bounding = kept) => ({
  ...{ permitted: kept, effective: kept, bounding },
  ...{ inheritable: 0n, ambient: 0n },
});
const userRights = (kept: bigint, bounding: bigint) => ({
  ...{ permitted: kept, effective: kept, inheritable: kept, ambient: kept },
  bounding,
});

let backend: Backend;
beforeEach(async () => {
  backend = await startBackend();
});
afterEach(() => backend.stop());

/** hopspan is ready before the proxy starts: everything about it is found out with what is left. */
async function watchLaterEnvoy(
  t: { after(action: () => unknown): void },
  start: (targets: readonly string[]) => Promise<RunningHopspan>,
  look: (hopspan: RunningHopspan) => void | Promise<void>,
): Promise<{ spans: FileSpan[]; binary: string }> {
  const binary = ownEnvoy(temporaryFolder((remove) => t.after(remove)));
  const hopspan = await start([`path: ${binary}`]);
  const envoy = await startEnvoy({ binary, listeners: [{ upstreamPort: backend.port }] });
  t.after(() => envoy.stop());
  const client = await runClient({ port: envoy.port, connections: 50, exchanges: 3 });
  await look(hopspan);
  const spans = await hopspan.finish();
  assert.deepEqual(malformed(spans), []);
  const verdict = judge(hopsOf(spans).hops, joinByConnection(client, await backend.log()).values());
  assert.deepEqual(verdict, { right: 150, wrong: 0, unpaired: 0, missing: 0, surplus: 0 });
  return { spans, binary };
}

describe('after attaching', () => {
  test('root keeps what looking at other users takes, in all threads, a worker for the queue on disk among them', async (t) => {
    const sink = await startOtlpSink();
    t.after(() => sink.stop());
    const queue = temporaryFolder((remove) => t.after(remove));
    await watchLaterEnvoy(
      t,
      (targets) =>
        startHopspan({
          targets,
          exporters: { otlp: `{ endpoint: '${sink.endpoint}', sending_queue: { directory: ${queue} } }` },
        }),
      ({ child }) => {
        assertRights(threadRights(child.pid), rootRights(TO_LOOK_AT_OTHERS));
        assert.match(child.stderr(), /ready .* capabilities=CAP_DAC_READ_SEARCH,CAP_SYS_PTRACE$/m);
      },
    );
  });

  test("a service's own user, too", async (t) => {
    await watchLaterEnvoy(
      t,
      (targets) => startHopspan({ targets, launcher: ownerWith([...PROBES, ...OTHERS]) }),
      ({ child }) => assertRights(threadRights(child.pid), userRights(TO_LOOK_AT_OTHERS, FIVE)),
    );
  });

  test('root whose bounding set is not its own to change keeps no more', async (t) => {
    await watchLaterEnvoy(
      t,
      (targets) => startHopspan({ targets, launcher: rootWith([...PROBES, ...OTHERS]) }),
      ({ child }) => assertRights(threadRights(child.pid), rootRights(TO_LOOK_AT_OTHERS, FIVE)),
    );
  });

  for (const [who, launcher, rights] of [
    ['root', rootWith, rootRights],
    ["a service's own user", ownerWith, userRights],
  ] as const) {
    test(`of three capabilities ${who} keeps none, and hops come as before`, async (t) => {
      const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
      t.after(() => envoy.stop());
      const hopspan = await startHopspan({
        targets: [`listen_port: ${envoy.port}`],
        launcher: launcher(PROBES),
      });
      const client = await runClient({ port: envoy.port, connections: 50, exchanges: 3 });
      const bounding = capabilityMask(NET_ADMIN, PERFMON, BPF);
      assertRights(threadRights(hopspan.child.pid), rights(0n, bounding));
      const { hops } = hopsOf(await hopspan.finish());
      const verdict = judge(hops, joinByConnection(client, await backend.log()).values());
      assert.deepEqual(verdict, { right: 150, wrong: 0, unpaired: 0, missing: 0, surplus: 0 });
    });
  }
});

describe('files of other users', () => {
  async function record(folder: string): Promise<{ threads: ThreadRights[]; stderr: string; file: string }> {
    const file = join(folder, 'watched.hsrec');
    const port = String(await freePort());
    const child = await startChild(HOPSPAN, ['record', '--listen-port', port, '--output', file]);
    await child.line(/ready/);
    const threads = threadRights(child.pid);
    assert.deepEqual(await child.stop('SIGTERM', 20_000), { code: 0, signal: null }, child.stderr());
    assert.ok(readFileSync(file).length > 0);
    return { threads, stderr: child.stderr(), file };
  }

  test('root writes into a folder of somebody else as ever, and says what it keeps for it', async (t) => {
    const folder = temporaryFolder((remove) => t.after(remove));
    chownSync(folder, Number(NOBODY), Number(NOBODY));
    const { threads, stderr, file } = await record(folder);
    assertRights(threads, rootRights(TO_LOOK_AT_OTHERS | capabilityMask(DAC_OVERRIDE)));
    assert.ok(
      stderr.includes(`a capability is kept, since ${file} is another user's capability=CAP_DAC_OVERRIDE`),
      stderr,
    );
  });

  test('into its own it needs nothing', async (t) => {
    const { threads } = await record(temporaryFolder((remove) => t.after(remove)));
    assertRights(threads, rootRights(TO_LOOK_AT_OTHERS));
  });
});

test('a configuration from a pipe is read once, and its warnings are told once', async () => {
  const script = 'exec "$0" run --config <(echo "$1")';
  const config = [
    'receivers: { ebpf: { targets: [{ listen_port: 54321 }] }, otlp: { protocols: { grpc: { endpoint: "0.0.0.0:0" } } } }',
    'exporters: { console: }',
    'service: { pipelines: { traces: { receivers: [ebpf, otlp], exporters: [console] } } }',
  ].join('\n');
  const child = await startChild('bash', ['-c', script, HOPSPAN, config]);
  await child.line(/listening/);
  assert.equal(child.stderr().match(/anybody who can reach/g)?.length, 1, child.stderr());
  assert.deepEqual(await child.stop('SIGTERM', 20_000), { code: 0, signal: null });
});

test('a variable that is not its own is refused', async () => {
  const child = await startChild('env', ['HOPSPAN_HANDOVER=7', HOPSPAN, 'run']);
  assert.deepEqual(await child.exited, { code: 2, signal: null });
  assert.equal(
    child.stderr(),
    "hopspan: HOPSPAN_HANDOVER is hopspan's own and was found in the environment; unset it.\n",
  );
});
