import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { uprobeKind } from '../../src/native/uprobe.ts';
import { envoyBinary, ownEnvoy } from '../harness/envoy.ts';
import { type FileSpan, type HopspanOptions, hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { NOBODY, ownerWith, rootWith, userWith } from '../harness/launchers.ts';
import { judge } from '../harness/match.ts';
import { type Child, startChild, stopLeftovers } from '../harness/process.ts';
import { type EnvoyOptions, type RunningProxy, startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { type Backend, type ClientLog, runClient, startBackend } from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';
import { launcherOf, readYaml } from '../unit/deploy/files.ts';

after(stopLeftovers);

const HOPSPAN = new URL('../../bin/hopspan', import.meta.url).pathname;

/* As docs/privileges.md has them. */
const TRACEPOINTS = ['bpf', 'perfmon'];
const ACCEPT_HOOK = ['net_admin'];
const OTHER_USERS = ['sys_ptrace', 'dac_read_search'];
const THREE = [...TRACEPOINTS, ...ACCEPT_HOOK];

interface Compose {
  readonly services: {
    readonly hopspan: { readonly entrypoint: readonly string[]; readonly cap_add: readonly string[] };
  };
}

describe('least privilege', () => {
  let backend: Backend;
  let envoy: RunningProxy;

  beforeEach(async () => {
    backend = await startBackend();
  });
  afterEach(async () => {
    await envoy.stop();
    await backend.stop();
  });

  async function start(options: Partial<EnvoyOptions> = {}): Promise<void> {
    envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], ...options });
  }

  const load = (): Promise<ClientLog> => runClient({ port: envoy.port, connections: 50, exchanges: 3 });

  async function assertExact(spans: readonly FileSpan[], client: ClientLog): Promise<void> {
    assert.deepEqual(malformed(spans), []);
    const verdict = judge(hopsOf(spans).hops, joinByConnection(client, await backend.log()).values());
    assert.deepEqual(verdict, { right: 150, wrong: 0, unpaired: 0, missing: 0, surplus: 0 });
  }

  /** How a start with too little ends. */
  async function refusal(options: HopspanOptions): Promise<string> {
    let stderr = '';
    await assert.rejects(startHopspan(options), (error: Error) => {
      stderr = error.message;
      return true;
    });
    return stderr;
  }

  test('a user with five capabilities watches a proxy of root that runs already', async () => {
    await start();
    const hopspan = await startHopspan({
      targets: [`pid: ${envoy.pid}`],
      launcher: ownerWith([...THREE, ...OTHER_USERS]),
    });
    const client = await load();
    await assertExact(await hopspan.finish(), client);
  });

  for (const missing of TRACEPOINTS) {
    test(`without CAP_${missing.toUpperCase()} nothing starts, and that is said`, async () => {
      await start();
      const launcher = rootWith([...THREE, ...OTHER_USERS].filter((name) => name !== missing));
      const said = await refusal({ targets: [`pid: ${envoy.pid}`], launcher });
      assert.match(said, /ended \(3\)/);
      assert.match(said, new RegExp(`hopspan: root lacks CAP_${missing.toUpperCase()};`));
    });
  }

  test('two are enough for hops; without CAP_NET_ADMIN nobody knows when a connection was accepted', async () => {
    await start();
    const hopspan = await startHopspan({
      targets: [`listen_port: ${envoy.port}`],
      launcher: ownerWith(TRACEPOINTS),
    });
    assert.match(hopspan.child.stderr(), /ready hooks=tp_btf .* accept_hook="none, /);
    const client = await load();
    const spans = await hopspan.finish(/ready/);
    await assertExact(spans, client);
    assert.ok(!spans.some(({ name }) => name === 'accept wait'));
  });

  test('three are enough for a proxy that is named by its port', async () => {
    await start();
    const hopspan = await startHopspan({
      targets: [`listen_port: ${envoy.port}`],
      launcher: rootWith(THREE),
    });
    const client = await load();
    const spans = await hopspan.finish();
    await assertExact(spans, client);
    assert.ok(spans.every(({ service, pid }) => service === 'envoy' && pid === envoy.pid));
  });

  test('three are enough for a proxy that is named by its executable and starts later', async (t) => {
    const binary = ownEnvoy(temporaryFolder((remove) => t.after(remove)));
    const hopspan = await startHopspan({
      targets: [`executable: ${basename(binary)}`],
      launcher: rootWith(THREE),
    });
    await start({ binary });
    const client = await load();
    const spans = await hopspan.finish();
    await assertExact(spans, client);
    assert.ok(spans.every(({ service }) => service === basename(binary)));
  });

  test('without CAP_SYS_PTRACE a path cannot be compared, and nobody is taken for the one that is meant', async (t) => {
    const binary = ownEnvoy(temporaryFolder((remove) => t.after(remove)));
    const hopspan = await startHopspan({ targets: [`path: ${binary}`], launcher: rootWith(THREE) });
    await start({ binary });
    await load();
    assert.deepEqual(await hopspan.finish(), []);
  });

  test('without CAP_SYS_PTRACE a process id is refused', async () => {
    await start();
    const said = await refusal({ targets: [`pid: ${envoy.pid}`], launcher: rootWith(THREE) });
    assert.match(said, /ended \(3\)/);
    assert.match(
      said,
      new RegExp(`process ${envoy.pid} may not be looked at by this user; .*CAP_SYS_PTRACE`),
    );
  });

  test('without CAP_DAC_READ_SEARCH a proxy of another user is not watched by halves, and that is said', async (t) => {
    const wrapper = join(
      temporaryFolder((remove) => t.after(remove)),
      'envoy-of-nobody',
    );
    /* It must reach its configuration, which is in a folder of root. */
    const flags = `--reuid ${NOBODY} --regid ${NOBODY} --clear-groups --inh-caps +dac_override --ambient-caps +dac_override`;
    writeFileSync(wrapper, `#!/bin/sh\nexec setpriv ${flags} ${envoyBinary()} "$@"\n`);
    chmodSync(wrapper, 0o755);
    await start({ binary: wrapper });
    const hopspan = await startHopspan({
      targets: [`pid: ${envoy.pid}`],
      launcher: rootWith([...THREE, 'sys_ptrace']),
    });
    await load();
    assert.deepEqual(await hopspan.finish(/not watched/), []);
    assert.match(hopspan.child.stderr(), /not watched, .* add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH/);
  });
});

describe('as the files in deploy/ start it', () => {
  const doctor = (command: readonly string[]): Promise<Child> =>
    startChild(command[0] ?? '', [...command.slice(1), HOPSPAN, 'doctor', '--listen-port', '54321']);

  test("a container's root passes the capabilities on to a user that owns nothing, without new privileges", async () => {
    const { services } = readYaml<Compose>('docker-compose.yml');
    const { entrypoint, cap_add: capabilities } = services.hopspan;
    const given = rootWith(capabilities.map((name) => name.toLowerCase()));
    const child = await doctor([...given, '--no-new-privs', ...launcherOf(entrypoint)]);
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stdout());
    assert.match(child.stdout(), /^ok {4}rights +user 65532, with CAP_BPF, CAP_PERFMON/m);
    assert.doesNotMatch(child.stdout(), /^warn {2}(?:accept hook|other users|turns) /m);
    assert.match(child.stdout(), /^ok {4}probes /m);
    assert.match(child.stdout(), /; CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF given up$/m);
  });

  test("the unit's read-only view of the kernel's files is enough", async () => {
    /* ProtectKernelTunables= and ProtectControlGroups=, systemd.exec(5). */
    const hide = `
      mount --bind /proc/sys /proc/sys
      for each in /proc/sys $(awk '$2 ~ /^\\/sys/ { print $2 }' /proc/self/mounts | sort -u); do
        mount -o remount,ro,bind "$each"
      done
      ! touch /sys/fs/cgroup/x 2>/dev/null && mount --bind /dev/null /proc/kallsyms && exec "$@"`;
    const child = await doctor(['unshare', '--mount', '/bin/sh', '-c', hide, 'sh']);
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stdout() + child.stderr());
    assert.match(child.stdout(), /^ok {4}probes /m);
  });
});

/** What the kernel allows with every set of those that some tier asks for: no tier needs more than its row says. */
describe('the smallest set of each tier, by trying all of them, as a user of its own', () => {
  const CANDIDATES = ['bpf', 'perfmon', 'net_admin', 'sys_admin'];
  const sets = CANDIDATES.reduce<string[][]>(
    (all, name) => all.flatMap((each) => [each, [...each, name]]),
    [[]],
  );
  /** Of those that allow it, the ones of which no part does. */
  function smallest(allowing: readonly string[][]): string[] {
    const isPart = (part: readonly string[], whole: readonly string[]): boolean =>
      part.length < whole.length && part.every((each) => whole.includes(each));
    return allowing
      .filter((each) => !allowing.some((other) => isPart(other, each)))
      .map((each) => each.join(' '))
      .toSorted();
  }

  test('is what docs/privileges.md says, and what doctor says of each', async () => {
    const found = { tracepoints: [] as string[][], acceptHook: [] as string[][], turns: [] as string[][] };
    for (const set of sets) {
      /* To read this checkout, wherever it lies, as packages are read by everybody. */
      const [command = '', ...args] = userWith([...set, 'dac_read_search']);
      const child = await startChild(command, [...args, HOPSPAN, 'doctor', '--listen-port', '54321']);
      await child.exited;
      const probes = /^(?:ok|warn|fail) +probes +.*$/m.exec(child.stdout())?.[0] ?? '';
      const line = (item: string): string =>
        new RegExp(`^(\\w+) +${item} `, 'm').exec(child.stdout())?.[1] ?? '';
      const attached = probes.includes('loaded and attached');
      assert.equal(line('rights') === 'ok', attached, `${set.join(' ')}\n${child.stdout()}`);
      if (!attached) continue;
      found.tracepoints.push(set);
      const accepts = !probes.includes('no accept hook');
      const turns = !probes.includes('no turns');
      assert.equal(line('accept hook') === 'ok', accepts, `${set.join(' ')}\n${child.stdout()}`);
      if (accepts) found.acceptHook.push(set);
      if (turns) found.turns.push(set);
    }
    assert.deepEqual(smallest(found.tracepoints), ['bpf perfmon', 'sys_admin']);
    assert.deepEqual(smallest(found.acceptHook), ['bpf perfmon net_admin', 'sys_admin']);
    const kind = uprobeKind();
    assert.deepEqual(smallest(found.turns), kind === 'multi' ? ['bpf perfmon', 'sys_admin'] : ['sys_admin']);
  });
});
