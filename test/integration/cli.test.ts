import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Child, startChild, stopLeftovers, until } from '../harness/process.ts';
import { type RunningProxy, startEnvoy } from '../harness/proxies.ts';
import { type Backend, runClient, startBackend } from '../harness/traffic.ts';

const HOPSPAN = new URL('../../bin/hopspan', import.meta.url).pathname;
const SHUTDOWN_MS = 5000;
const NOBODY = '65534';
const SERVER = 2;

interface Line {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly { kind: number; name: string }[] }[];
  }[];
}

after(stopLeftovers);

/** Runs a command to its end. */
async function finished(command: string, ...args: string[]): Promise<Child> {
  const child = await startChild(command, args);
  await child.exited;
  return child;
}

/** A mount namespace in which no cgroup v2 hierarchy is mounted, and hopspan in it. */
const WITHOUT_CGROUP2 = `
  awk '$3 == "cgroup2" { print $2 }' /proc/self/mounts | while read -r mount; do umount -l "$mount"; done
  exec "$@"`;

function startWithoutCgroup2(...args: string[]): Promise<Child> {
  return startChild('unshare', ['--mount', '/bin/sh', '-c', WITHOUT_CGROUP2, 'sh', HOPSPAN, ...args]);
}

describe('with a running Envoy', () => {
  let backend: Backend;
  let envoy: RunningProxy;

  before(async () => {
    backend = await startBackend();
    envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  });
  after(async () => {
    await envoy?.stop();
    await backend?.stop();
  });

  const traffic = () => runClient({ port: envoy.port, connections: 4, exchanges: 3 });

  test('watch --json prints every exchange as OTLP/JSON and ends at SIGTERM', async () => {
    const child = await startChild(HOPSPAN, ['watch', '--listen-port', String(envoy.port), '--json']);
    await child.line(/ready/);
    await traffic();
    assert.deepEqual(await child.stop('SIGTERM', SHUTDOWN_MS), { code: 0, signal: null });
    const spans = child
      .stdout()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line)
      .flatMap(({ resourceSpans }) => resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans)
      .flatMap((scope) => scope.spans);
    const hops = spans.filter(({ kind }) => kind === SERVER);
    assert.equal(hops.length, 12);
    assert.ok(hops.every(({ name }) => name === `tcp proxy :${envoy.port}`));
    assert.equal(child.stderr().trimEnd().split('\n').length, 1, 'the ready line and no other');
  });

  test('watch prints waterfalls as they happen, and a summary at Ctrl-C; no colour in a pipe', async () => {
    const child = await startChild(HOPSPAN, ['watch', '--pid', String(envoy.pid)]);
    await child.line(new RegExp(`ready .*envoy\\(${envoy.pid}\\)`));
    await traffic();
    await child.line(/tcp proxy .* paired by buffer/);
    assert.deepEqual(await child.stop('SIGINT', SHUTDOWN_MS), { code: 0, signal: null });
    const [waterfalls = '', summary = ''] = child.stdout().split(/^ +count +p50 +p95 +p99$/m);
    assert.equal(waterfalls.match(/^envoy {2}tcp proxy /gm)?.length, 12);
    assert.match(summary, /^envoy {2}tcp proxy :\d+ {3}ok 12$/m);
    assert.match(summary, /^ {2}upstream wait +12 /m);
    assert.ok(!child.stdout().includes('\x1b'));
  });

  test('watch ends quietly when its reader has left', async () => {
    const script = '{ "$0" watch; echo "ended with $?" >&2; } | head -n 1';
    const child = await startChild('/bin/sh', ['-c', script, HOPSPAN]);
    await child.line(/ready/);
    await until('the end of watch', async () => {
      await traffic();
      return child.exit() !== undefined;
    });
    const [ready, ended, ...more] = child.stderr().trimEnd().split('\n');
    assert.match(ready ?? '', /^hopspan: ready /);
    assert.equal(ended, 'ended with 0');
    assert.deepEqual(more, []);
  });

  test('doctor finds nothing that stands in the way, and the proxy', async () => {
    const child = await finished(HOPSPAN, 'doctor');
    assert.deepEqual(child.exit(), { code: 0, signal: null }, child.stdout());
    assert.match(child.stdout(), /^ok {4}probes +loaded and attached: raw tracepoints by BTF/m);
    const target = new RegExp(
      `^ok {4}target +envoy: pid ${envoy.pid}, /.*/envoy, listening on ${envoy.port}$`,
      'm',
    );
    assert.match(child.stdout(), target);
    assert.match(child.stdout(), /\nhopspan can watch here\.\n$/);
  });

  test('without cgroup v2, doctor and the ready line warn, and hops come all the same', async () => {
    const doctor = await startWithoutCgroup2('doctor');
    assert.deepEqual(await doctor.exited, { code: 0, signal: null }, doctor.stdout());
    assert.match(doctor.stdout(), /^warn {2}cgroup v2 +not mounted: .*\n {6}mount it with: /m);
    assert.match(doctor.stdout(), /^warn {2}probes .*no accept hook$/m);

    const watch = await startWithoutCgroup2('watch', '--pid', String(envoy.pid));
    const ready = await watch.line(/ready/);
    assert.match(ready, /^hopspan: warning: ready hooks=tp_btf targets=.* accept_hook="none, /);
    await traffic();
    await watch.line(/tcp proxy .* paired by buffer/);
    assert.deepEqual(await watch.stop('SIGTERM', SHUTDOWN_MS), { code: 0, signal: null });
    assert.doesNotMatch(watch.stdout(), /accept wait/);
  });
});

describe('as nobody', () => {
  /* May read the checkout, wherever it lies, and nothing more. */
  const asNobody = (...args: string[]) =>
    finished(
      'setpriv',
      ...['--reuid', NOBODY, '--regid', NOBODY, '--clear-groups'],
      ...['--inh-caps', '+dac_read_search', '--ambient-caps', '+dac_read_search'],
      HOPSPAN,
      ...args,
    );

  for (const command of ['run', 'watch']) {
    test(`${command} says in one sentence what is missing, and exits with 3`, async () => {
      const child = await asNobody(command);
      assert.deepEqual(child.exit(), { code: 3, signal: null });
      assert.equal(
        child.stderr(),
        'hopspan: user 65534 lacks CAP_BPF and CAP_PERFMON; run hopspan as root, for example with sudo.\n',
      );
      assert.equal(child.stdout(), '');
    });
  }

  test('doctor says so, too, item by item', async () => {
    const child = await asNobody('doctor');
    assert.deepEqual(child.exit(), { code: 3, signal: null });
    assert.match(child.stdout(), /^fail {2}rights +user 65534 lacks .*\n {6}run hopspan as root/m);
    assert.match(child.stdout(), /\nhopspan cannot watch here: rights, probes\.\n$/);
  });
});

test('a flag that cannot be is told before anything is loaded', async () => {
  const child = await finished(HOPSPAN, 'watch', '--listen-port', '70000');
  assert.deepEqual(child.exit(), { code: 2, signal: null });
  assert.equal(
    child.stderr(),
    'hopspan: --listen-port: found "70000", expected a TCP port from 1 to 65535\n',
  );
});
