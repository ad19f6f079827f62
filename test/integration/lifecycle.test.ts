import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { ownEnvoy } from '../harness/envoy.ts';
import { type FileSpan, hopsOf, malformed, type RunningHopspan, startHopspan } from '../harness/hopspan.ts';
import { judge, type Verdict } from '../harness/match.ts';
import { freePort } from '../harness/ports.ts';
import { descendants, imposeStop, stopLeftovers, until } from '../harness/process.ts';
import { type RunningProxy, startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import { tcpSockets } from '../harness/sockets.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import {
  type Backend,
  type ClientLog,
  type ClientOptions,
  runClient,
  startBackend,
  startClient,
} from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

after(stopLeftovers);

const CONNECTIONS = 400;
const EXCHANGES = 3;
const LOAD = { connections: CONNECTIONS, concurrency: 50, exchanges: EXCHANGES };

let backend: Backend;
beforeEach(async () => {
  backend = await startBackend();
});
afterEach(async () => {
  await backend.stop();
});

const exact = (exchanges: number): Verdict => ({
  right: exchanges,
  wrong: 0,
  unpaired: 0,
  missing: 0,
  surplus: 0,
});

/** Several runs of the client as one. */
function together(logs: readonly ClientLog[]): ClientLog {
  const [first] = logs;
  assert.ok(first);
  return {
    ...first,
    exchanges: logs.flatMap(({ exchanges }) => exchanges),
    connections: logs.flatMap(({ connections }) => connections),
  };
}

/** Every exchange of these runs is told once and rightly paired; nothing else is told. */
async function assertExact(spans: readonly FileSpan[], logs: readonly ClientLog[]): Promise<void> {
  const client = together(logs);
  assert.deepEqual(
    client.exchanges.filter(({ outcome }) => outcome !== 'ok'),
    [],
    'the load itself failed',
  );
  assert.deepEqual(malformed(spans), []);
  const { hops, loose } = hopsOf(spans);
  assert.equal(loose.length, 0, 'no upstream connection is without its hop');
  const truth = joinByConnection(client, await backend.log());
  assert.deepEqual(judge(hops, truth.values()), exact(client.exchanges.length));
}

/**
 * Runs the client from before `change` until after it: some connections live through it, and new ones are made before,
 * all along and afterwards.
 */
async function loadThrough(port: number, change: () => Promise<void>): Promise<ClientLog[]> {
  const first = await startClient({ ...LOAD, port, holdAfter: 1 });
  await first.held;
  let over = false;
  const changed = change().finally(() => {
    over = true;
  });
  changed.catch(() => {});
  await first.go();
  const logs = [await first.done];
  for (let last = false; !last; ) {
    last = over;
    const firstConnId = logs.length * CONNECTIONS;
    logs.push(await runClient({ ...LOAD, port, firstConnId }));
  }
  await changed;
  return logs;
}

/** The processes that served, by their hops. */
function servers(spans: readonly FileSpan[]): number[] {
  return [...new Set(spans.filter(({ kind }) => kind === 'SERVER').map(({ pid }) => pid))];
}

describe('a proxy that starts after hopspan is watched from its first accept on', () => {
  const ways = {
    executable: (file: string) => `executable: ${basename(file)}`,
    path: (file: string) => `path: ${file}`,
    'path, through a link': (file: string) => {
      const link = join(file, '..', 'link');
      symlinkSync(file, link);
      return `path: ${link}`;
    },
    listen_port: (_: string, port: number) => `listen_port: ${port}`,
  };
  for (const [name, target] of Object.entries(ways)) {
    test(`by ${name}, and again when it was killed and started anew`, async (t) => {
      const binary = ownEnvoy(temporaryFolder((remove) => t.after(remove)));
      const port = await freePort();
      const listeners = [{ port, upstreamPort: backend.port }];
      const hopspan = await startHopspan({ targets: [target(binary, port)] });
      const first = await startEnvoy({ binary, listeners });
      /* These connections end with the proxy. */
      const cut = await startClient({
        ...{ ...LOAD, port, connections: LOAD.concurrency },
        ...{ end: 'server', holdAfter: EXCHANGES },
      });
      await cut.held;
      await cut.go();
      first.kill('SIGKILL');
      const logs = [await cut.done];
      await first.stop();
      const second = await startEnvoy({ binary, listeners });
      logs.push(await runClient({ ...LOAD, port, firstConnId: CONNECTIONS }));
      await second.stop();
      const spans = await hopspan.finish();
      await assertExact(spans, logs);
      assert.deepEqual(servers(spans), [first.pid, second.pid]);
    });
  }

  test('but not another program of the same name', async (t) => {
    const folder = temporaryFolder((remove) => t.after(remove));
    const binary = ownEnvoy(folder);
    const hopspan = await startHopspan({ targets: [`path: ${join('/nowhere', basename(binary))}`] });
    const envoy = await startEnvoy({ binary, listeners: [{ upstreamPort: backend.port }] });
    await runClient({ ...LOAD, port: envoy.port });
    await envoy.stop();
    assert.deepEqual(await hopspan.finish(), []);
  });
});

describe('a proxy that renews itself under load loses no exchange', () => {
  test('Envoy, hot restart, found by its port', async () => {
    const listeners = [{ upstreamPort: backend.port }];
    const first = await startEnvoy({ listeners });
    const hopspan = await startHopspan({ targets: [`listen_port: ${first.port}`] });
    let second: RunningProxy | undefined;
    const logs = await loadThrough(first.port, async () => {
      second = await startEnvoy({ listeners, hotRestartOf: first });
      await first.child.exited;
    });
    await second?.stop();
    const spans = await hopspan.finish();
    await assertExact(spans, logs);
    assert.deepEqual(servers(spans), [first.pid, second?.pid]);
  });

  /** Signals a master and waits until none of the processes beneath it is as old. */
  async function renewWorkers(proxy: RunningProxy, signal: NodeJS.Signals): Promise<void> {
    const old = proxy.pids().filter((pid) => pid !== proxy.pid);
    assert.ok(old.length > 0);
    proxy.child.kill(signal);
    await until(`other workers of ${proxy.name}`, () => {
      const now = descendants(proxy.pid).filter((pid) => pid !== proxy.pid);
      return now.length > 0 && !now.some((pid) => old.includes(pid));
    });
  }

  const masters = {
    'nginx, SIGHUP': { signal: 'SIGHUP', start: startNginxStream },
    'HAProxy, SIGUSR2': {
      signal: 'SIGUSR2',
      start: (options: Parameters<typeof startHaproxy>[0]) =>
        startHaproxy({ ...options, masterWorker: true }),
    },
  } as const;
  for (const [name, { signal, start }] of Object.entries(masters)) {
    test(`${name}, workers found by the master's process id`, async () => {
      const proxy = await start({ listeners: [{ upstreamPort: backend.port }] });
      const old = proxy.pids();
      const hopspan = await startHopspan({ targets: [`pid: ${proxy.pid}`] });
      const logs = await loadThrough(proxy.port, () => renewWorkers(proxy, signal));
      const renewed = proxy.pids();
      await proxy.stop();
      const spans = await hopspan.finish();
      await assertExact(spans, logs);
      const served = servers(spans);
      assert.ok(served.some((pid) => old.includes(pid)) && served.some((pid) => renewed.includes(pid)));
      assert.ok(served.every((pid) => old.includes(pid) || renewed.includes(pid)));
    });
  }
});

describe('connections that were open before hopspan came', () => {
  const starts = { Envoy: startEnvoy, nginx: startNginxStream, HAProxy: startHaproxy };
  for (const [name, start] of Object.entries(starts)) {
    test(`their later exchanges are told and paired: ${name}`, async () => {
      const proxy = await start({ listeners: [{ upstreamPort: backend.port }] });
      const options: ClientOptions = { port: proxy.port, connections: 200, exchanges: 5, holdAfter: 2 };
      const client = await startClient(options);
      await client.held;
      const hopspan = await startHopspan({ targets: [`pid: ${proxy.pid}`] });
      await client.go();
      const log = await client.done;
      await proxy.stop();
      const spans = await hopspan.finish();
      assert.deepEqual(malformed(spans), []);
      const { hops } = hopsOf(spans);
      const truth = joinByConnection(log, await backend.log());
      assert.deepEqual(
        judge(hops, truth.values(), () => 3),
        exact(600),
      );
      for (const { hop } of hops) assert.equal(hop.attributes['hopspan.connection.preexisting'], true);
    });

    test(`and busy all the while: ${name}`, async () => {
      const proxy = await start({ listeners: [{ upstreamPort: backend.port }] });
      const client = await startClient({
        port: proxy.port,
        connections: 50,
        exchanges: 200,
        gapMs: 1,
        holdAfter: 190,
      });
      await until('some traffic', async () => (await backend.log()).length > 100);
      const hopspan = await startHopspan({ targets: [`pid: ${proxy.pid}`] });
      await client.held;
      await client.go();
      const log = await client.done;
      await proxy.stop();
      const { hops, loose } = hopsOf(await hopspan.finish());
      assert.equal(loose.length, 0);
      const truth = joinByConnection(log, await backend.log());
      const { wrong, unpaired, surplus, right } = judge(hops, truth.values());
      assert.deepEqual({ wrong, unpaired, surplus }, { wrong: 0, unpaired: 0, surplus: 0 });
      assert.ok(right >= 500);
    });

    test(`an exchange that is under way then is told by its answer: ${name}`, async () => {
      const proxy = await start({ listeners: [{ upstreamPort: backend.port }] });
      const options: ClientOptions = { port: proxy.port, connections: 50, exchanges: 4, holdAfter: 1 };
      const client = await startClient(options);
      await client.held;
      let hopspan: RunningHopspan | undefined;
      await imposeStop(backend.pid, 0, async () => {
        await client.go();
        const waiting = () => tcpSockets().filter(({ localPort }) => localPort === backend.port);
        await until('every request is at the backend', () => {
          return waiting().filter(({ unreadBytes }) => unreadBytes > 0).length === 50;
        });
        hopspan = await startHopspan({ targets: [`pid: ${proxy.pid}`] });
      });
      const log = await client.done;
      await proxy.stop();
      const spans = (await hopspan?.finish()) ?? [];
      assert.deepEqual(malformed(spans), []);
      const { hops } = hopsOf(spans);
      const truth = joinByConnection(log, await backend.log());
      assert.deepEqual(
        judge(hops, truth.values(), () => 3),
        exact(150),
      );
      const first = hops.filter(({ hop }) => hop.attributes['hopspan.exchange.number'] === 1);
      assert.ok(first.every(({ hop }) => hop.attributes['hopspan.exchange.server_first'] === true));
    });
  }
});
