import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../harness/ports.ts';
import { imposeStop, readStat, startChild, stopLeftovers } from '../harness/process.ts';
import { type RunningProxy, startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import {
  type Backend,
  type BackendOptions,
  type ClientLog,
  type ClientOptions,
  fillAcceptQueue,
  runClient,
  startBackend,
  startClient,
  startRelay,
} from '../harness/traffic.ts';
import { joinByConnection, portPairs } from '../harness/truth.ts';

const MS = 1_000_000;

after(stopLeftovers);

function allOk(log: ClientLog, count: number): void {
  assert.deepEqual([...new Set(log.exchanges.map(({ outcome }) => outcome))], ['ok']);
  assert.equal(log.exchanges.length, count);
}

/** Client and backend straight, without a proxy. */
async function straight(
  backendOptions: BackendOptions,
  client: Omit<ClientOptions, 'port'>,
): Promise<ClientLog> {
  const backend = await startBackend(backendOptions);
  try {
    return await runClient({ port: backend.port, ...client });
  } finally {
    await backend.stop();
  }
}

describe('traffic', () => {
  test('1-byte messages tell whose they are', async () => {
    const backend = await startBackend({ framing: 'fixed' });
    const log = await runClient({
      port: backend.port,
      framing: 'fixed',
      connections: 300,
      concurrency: 30,
      exchanges: 2,
    });
    allOk(log, 600);
    const truth = joinByConnection(log, await backend.log());
    assert.ok(
      [...truth.values()].every(({ clientPort, upstreamLocalPort }) => clientPort === upstreamLocalPort),
    );
    await backend.stop();
  });

  test('a dialogue in the manner of SMTP has six exchanges and the server closes first', async () => {
    const log = await straight({ framing: 'smtp' }, { framing: 'smtp', connections: 3, requestBytes: 2000 });
    allOk(log, 18);
    assert.ok(
      log.connections.every(
        ({ greetingNs, finNs, closedNs }) => greetingNs > 0 && finNs > 0 && finNs <= closedNs,
      ),
    );
  });

  test('requests are pipelined', async () => {
    const log = await straight(
      { thinkMs: 5 },
      { exchanges: 6, pipeline: 3, requestBytes: 50, answerBytes: 50 },
    );
    allOk(log, 6);
    const [first, , third] = log.exchanges;
    assert.ok(first && third && third.startNs < first.endNs);
  });

  test('the answer after a half-close comes', async () => {
    allOk(
      await straight({ answerAfterFin: true }, { end: 'half-close', requestBytes: 500, answerBytes: 500 }),
      1,
    );
  });

  test('a connection is held until go', async () => {
    const backend = await startBackend();
    const client = await startClient({ port: backend.port, connections: 4, exchanges: 3, holdAfter: 2 });
    await client.held;
    assert.equal((await backend.log()).length, 8);
    await client.go();
    allOk(await client.done, 12);
    await backend.stop();
  });

  test('the relay delays', async () => {
    const backend = await startBackend();
    const relay = await startRelay({
      upstreamPort: backend.port,
      delayToUpstreamMs: 60,
      delayToDownstreamMs: 40,
    });
    const log = await runClient({ port: relay.port, connections: 2, requestBytes: 30, answerBytes: 30 });
    allOk(log, 2);
    assert.ok(log.exchanges.every(({ startNs, endNs }) => endNs - startNs >= 99 * MS));
    await relay.stop();
    await backend.stop();
  });

  test('a full accept queue delays the connect by a retransmitted SYN', async () => {
    const backend = await startBackend({ backlog: 1 });
    let client: Promise<ClientLog> | undefined;
    await imposeStop(backend.pid, 300, async () => {
      await fillAcceptQueue(backend.port, 1);
      client = runClient({ port: backend.port });
    });
    const [connection] = (await client)?.connections ?? [];
    assert.ok(connection && connection.connectEndNs - connection.connectStartNs >= 900 * MS);
    await backend.stop();
  });

  test('a child whose parent forgot it ends with the parent', async () => {
    const process = new URL('../harness/process.ts', import.meta.url).href;
    const program = `const { startChild } = await import('${process}');
      console.log('child', (await startChild('sleep', ['1000'])).pid); globalThis.process.exit(0);`;
    const parent = await startChild(globalThis.process.execPath, ['--input-type=module', '-e', program]);
    const pid = Number((await parent.line(/^child/)).slice(6));
    await parent.exited;
    const left = readStat(pid);
    assert.ok(left === undefined || left.state === 'Z');
  });
});

const PROXIES: readonly [string, (upstreamPort: number, host?: string) => Promise<RunningProxy>][] = [
  [
    'envoy',
    (upstreamPort, host = '127.0.0.1') =>
      startEnvoy({ listeners: [{ host, upstreamHost: host, upstreamPort }] }),
  ],
  [
    'nginx',
    (upstreamPort, host = '127.0.0.1') =>
      startNginxStream({ listeners: [{ host, upstreamHost: host, upstreamPort }] }),
  ],
  [
    'haproxy',
    (upstreamPort, host = '127.0.0.1') =>
      startHaproxy({ listeners: [{ host, upstreamHost: host, upstreamPort }] }),
  ],
];

for (const [name, start] of PROXIES) {
  describe(name, () => {
    let backend: Backend;
    let proxy: RunningProxy;
    before(async () => {
      backend = await startBackend();
      proxy = await start(backend.port);
    });
    after(async () => {
      await proxy?.stop();
      await backend?.stop();
    });

    test('relays messages of all sizes, and its log agrees with both ends', async () => {
      const sizes = { requestBytes: { min: 20, max: 300_000 }, answerBytes: { min: 12, max: 300_000 } };
      const log = await runClient({
        port: proxy.port,
        connections: 60,
        concurrency: 20,
        exchanges: 3,
        ...sizes,
      });
      allOk(log, 180);
      const truth = [...joinByConnection(log, await backend.log()).values()];
      const entries = await proxy.accessLog(60);
      assert.equal(entries.length, 60);
      const pairs = portPairs(entries);
      for (const { clientPort, upstreamLocalPort, exchanges } of truth) {
        const entry = entries.find((each) => each.clientPort === clientPort);
        const sent = exchanges.reduce((sum, { client }) => sum + client.requestBytes, 0);
        assert.equal(entry?.bytesFromClient, sent);
        if (name !== 'nginx') assert.equal(pairs.get(clientPort), upstreamLocalPort);
      }
    });

    test('relays over IPv6', async () => {
      const backend6 = await startBackend({ host: '::1' });
      const proxy6 = await start(backend6.port, '::1');
      allOk(
        await runClient({
          port: proxy6.port,
          host: '::1',
          connections: 5,
          requestBytes: 30,
          answerBytes: 30,
        }),
        5,
      );
      assert.equal((await proxy6.accessLog(5))[0]?.clientAddress, '::1');
      await proxy6.stop();
      await backend6.stop();
    });
  });
}

describe("Envoy's response flags", () => {
  const sizes = { requestBytes: 500, answerBytes: 5000 };

  test('refused: UF and the reason', async () => {
    const envoy = await startEnvoy({ listeners: [{ upstreamPort: await freePort() }] });
    const log = await runClient({ port: envoy.port, ...sizes });
    assert.equal(log.exchanges[0]?.outcome, 'cut');
    const [entry] = await envoy.accessLog(1);
    assert.equal(entry?.flags, 'UF,URX');
    assert.match(entry?.upstreamFailure ?? '', /refused/);
    assert.equal(entry?.upstreamLocalPort, undefined);
    await envoy.stop();
  });

  test('no upstream: UH', async () => {
    const envoy = await startEnvoy({ listeners: [{}] });
    await runClient({ port: envoy.port, ...sizes });
    assert.equal((await envoy.accessLog(1))[0]?.flags, 'UH');
    await envoy.stop();
  });

  test('reset in mid answer: UR; closed in mid answer: none', async () => {
    const backend = await startBackend();
    const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
    const reset = await runClient({ port: envoy.port, ...sizes, fault: 'reset-mid-answer' });
    assert.deepEqual([reset.exchanges[0]?.outcome, reset.exchanges[0]?.answerBytes], ['cut', 2500]);
    const [entry] = await envoy.accessLog(1);
    assert.deepEqual([entry?.flags, entry?.upstreamClose], ['UR', 'RemoteReset']);
    const closed = await runClient({ port: envoy.port, ...sizes, fault: 'close-mid-answer', firstConnId: 1 });
    assert.deepEqual([closed.exchanges[0]?.outcome, closed.exchanges[0]?.answerBytes], ['cut', 2500]);
    assert.equal((await envoy.accessLog(2))[1]?.flags, '-');
    await envoy.stop();
    await backend.stop();
  });

  test('client aborts: seen in how the downstream connection was closed', async () => {
    const backend = await startBackend({ thinkMs: 200 });
    const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
    const abort = { exchange: 0, how: 'reset', when: 'sent', afterMs: 30 } as const;
    const log = await runClient({ port: envoy.port, ...sizes, abort });
    assert.equal(log.exchanges[0]?.outcome, 'aborted');
    assert.equal((await envoy.accessLog(1))[0]?.downstreamClose, 'RemoteReset');
    await envoy.stop();
    await backend.stop();
  });

  test('a hot restart takes the listeners over', async () => {
    const backend = await startBackend();
    const old = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
    const successor = await startEnvoy({ listeners: [], hotRestartOf: old });
    assert.equal(successor.port, old.port);
    await old.child.exited;
    allOk(await runClient({ port: successor.port, ...sizes }), 1);
    assert.equal((await successor.accessLog(1)).length, 1);
    await successor.stop();
    await old.stop();
    await backend.stop();
  });
});
