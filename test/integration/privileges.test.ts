import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { envoyBinary, ownEnvoy } from '../harness/envoy.ts';
import { type FileSpan, type HopspanOptions, hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { NOBODY, rootWith, userWith } from '../harness/launchers.ts';
import { judge } from '../harness/match.ts';
import { stopLeftovers } from '../harness/process.ts';
import { type EnvoyOptions, type RunningProxy, startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { type Backend, type ClientLog, runClient, startBackend } from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

after(stopLeftovers);

/* As docs/privileges.md has them. */
const PROBES = ['bpf', 'perfmon', 'net_admin'];
const OTHERS = ['sys_ptrace', 'dac_read_search'];

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
      launcher: userWith([...PROBES, ...OTHERS]),
    });
    const client = await load();
    await assertExact(await hopspan.finish(), client);
  });

  for (const missing of PROBES) {
    test(`without CAP_${missing.toUpperCase()} nothing starts, and that is said`, async () => {
      await start();
      const launcher = rootWith([...PROBES, ...OTHERS].filter((name) => name !== missing));
      const said = await refusal({ targets: [`pid: ${envoy.pid}`], launcher });
      assert.match(said, /ended \(3\)/);
      assert.match(said, new RegExp(`hopspan: root lacks CAP_${missing.toUpperCase()};`));
    });
  }

  test('three are enough for a proxy that is named by its port', async () => {
    await start();
    const hopspan = await startHopspan({
      targets: [`listen_port: ${envoy.port}`],
      launcher: rootWith(PROBES),
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
      launcher: rootWith(PROBES),
    });
    await start({ binary });
    const client = await load();
    const spans = await hopspan.finish();
    await assertExact(spans, client);
    assert.ok(spans.every(({ service }) => service === basename(binary)));
  });

  test('without CAP_SYS_PTRACE a path cannot be compared, and nobody is taken for the one that is meant', async (t) => {
    const binary = ownEnvoy(temporaryFolder((remove) => t.after(remove)));
    const hopspan = await startHopspan({ targets: [`path: ${binary}`], launcher: rootWith(PROBES) });
    await start({ binary });
    await load();
    assert.deepEqual(await hopspan.finish(), []);
  });

  test('without CAP_SYS_PTRACE a process id is refused', async () => {
    await start();
    const said = await refusal({ targets: [`pid: ${envoy.pid}`], launcher: rootWith(PROBES) });
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
      launcher: rootWith([...PROBES, 'sys_ptrace']),
    });
    await load();
    assert.deepEqual(await hopspan.finish(/not watched/), []);
    assert.match(hopspan.child.stderr(), /not watched, .* add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH/);
  });
});
