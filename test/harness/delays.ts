import assert from 'node:assert/strict';
import { imposeStop, monotonicNs, until } from './process.ts';
import type { RunningProxy } from './proxies.ts';
import { hasUnread, hasUnreadFrom, isConnecting, isDrained, socketsText } from './sockets.ts';
import {
  type Backend,
  type Client,
  type ClientLog,
  type ClientOptions,
  fillAcceptQueue,
  startClient,
} from './traffic.ts';

const STOP_MS = 200;
const THINK_MS = 150;
/** Of the relay, each way. */
export const RELAY_MS = 100;
/** A timer counts from the beginning of its turn of the event loop, so it may fire a little early. */
const TIMER_SHARE = 0.95;
const NS_PER_MS = 1e6;
export const NARROW_BACKLOG = 1;
/** More than the buffers on the way take while the reader stands still: a receive buffer grows only as it is read. */
const LARGE_BYTES = 16 * 2 ** 20;
const SMALL: Partial<ClientOptions> = { requestBytes: 500, answerBytes: 5000 };
const LARGE_REQUEST: Partial<ClientOptions> = { requestBytes: LARGE_BYTES, answerBytes: 500 };
const LARGE_ANSWER: Partial<ClientOptions> = { requestBytes: 500, answerBytes: LARGE_BYTES };

/** Two ways through one proxy to a backend, straight and by a relay, and one to an upstream with a short accept queue. */
export interface Rig {
  readonly proxy: RunningProxy;
  readonly backend: Backend;
  readonly narrow: Backend;
  readonly straightPort: number;
  readonly relayedPort: number;
  readonly narrowPort: number;
}

/** A delay that the test made, in the last exchange of a client's one connection. */
export interface Imposed {
  readonly ns: number;
  readonly log: ClientLog;
}

/** A way to delay an exchange, and the phase in which the delay must be found. */
export interface Delay {
  readonly what: string;
  readonly phase: string;
  impose(rig: Rig): Promise<Imposed>;
}

export const DELAYS: readonly Delay[] = [
  {
    what: 'the proxy stands still when a client connects',
    phase: 'accept wait',
    async impose({ proxy, straightPort }) {
      let client: Client | undefined;
      const ns = await standStill(proxy.pids(), async () => {
        client = await startClient({ port: straightPort, holdAfter: 0, ...SMALL });
        await client.held;
        await client.go();
      });
      return { ns, log: await done(client) };
    },
  },
  {
    what: 'the proxy stands still when the first request comes',
    phase: 'read wait',
    async impose({ proxy, backend, straightPort }) {
      const known = (await backend.connections()).length;
      const client = await startClient({ port: straightPort, holdAfter: 0, ...SMALL });
      await client.held;
      await until('a connection upstream', async () => (await backend.connections()).length > known);
      const ns = await standStill(proxy.pids(), () => requestWaits(client, straightPort));
      return { ns, log: await done(client) };
    },
  },
  {
    what: 'the proxy stands still when the next request comes on a connection kept alive',
    phase: 'read wait',
    async impose({ proxy, straightPort }) {
      const client = await startClient({ port: straightPort, exchanges: 2, holdAfter: 1, ...SMALL });
      await client.held;
      const ns = await standStill(proxy.pids(), () => requestWaits(client, straightPort));
      return { ns, log: await done(client) };
    },
  },
  {
    what: 'the upstream drops the first SYN because its accept queue is full',
    phase: 'connect',
    async impose({ narrow, narrowPort }) {
      let client: Client | undefined;
      let queue: { release(): void } | undefined;
      const ns = await standStill([narrow.pid], async () => {
        queue = await fillAcceptQueue(narrow.port, NARROW_BACKLOG);
        client = await startClient({ port: narrowPort, ...SMALL });
        await until('a SYN without an answer', () => isConnecting(narrow.port));
      });
      const log = await done(client);
      queue?.release();
      return { ns, log };
    },
  },
  {
    what: 'the backend reads a large request late',
    phase: 'request transfer',
    async impose({ backend, straightPort }) {
      const client = await startClient({ port: straightPort, holdAfter: 0, ...LARGE_REQUEST });
      await client.held;
      const ns = await standStill([backend.pid], () => requestWaits(client, backend.port));
      return { ns, log: await done(client) };
    },
  },
  {
    what: 'the client sends the rest of a large request late',
    phase: 'request transfer',
    async impose({ backend, straightPort }) {
      const client = await startClient({ port: straightPort, holdAfter: 0, ...LARGE_REQUEST });
      await client.held;
      const ns = await standStillBefore(backend, client, [client.pid], () =>
        isDrained([straightPort, backend.port]),
      );
      return { ns, log: await done(client) };
    },
  },
  {
    what: 'the backend thinks',
    phase: 'upstream wait',
    async impose({ backend, straightPort }) {
      const before = (await backend.log()).length;
      const log = await done(await startClient({ port: straightPort, thinkMs: THINK_MS, ...SMALL }));
      const seen = (await backend.log())[before];
      assert.ok(seen);
      return { ns: seen.answerStartNs - seen.receivedNs, log };
    },
  },
  {
    what: 'a relay on the way holds every byte back',
    phase: 'upstream wait',
    async impose({ relayedPort }) {
      const log = await done(await startClient({ port: relayedPort, ...SMALL }));
      return { ns: 2 * RELAY_MS * TIMER_SHARE * NS_PER_MS, log };
    },
  },
  {
    what: 'the proxy stands still when the answer comes',
    phase: 'answer read wait',
    async impose({ proxy, backend, straightPort }) {
      const client = await startClient({ port: straightPort, exchanges: 2, holdAfter: 1, ...SMALL });
      await client.held;
      const ns = await standStillBefore(backend, client, proxy.pids(), () => hasUnreadFrom(backend.port));
      return { ns, log: await done(client) };
    },
  },
  {
    what: 'the client reads a large answer late',
    phase: 'answer transfer',
    async impose({ backend, straightPort }) {
      const client = await startClient({ port: straightPort, holdAfter: 0, ...LARGE_ANSWER });
      await client.held;
      const ns = await standStillBefore(backend, client, [client.pid], () => hasUnreadFrom(straightPort));
      return { ns, log: await done(client) };
    },
  },
];

/** Stops processes, waits until what they are to be late for is there, and then some: returns how long that was. */
async function standStill(pids: readonly number[], whileStopped: () => Promise<void>): Promise<number> {
  let fromNs = 0;
  const { toNs } = await imposeStop(pids, STOP_MS, async () => {
    await whileStopped();
    fromNs = monotonicNs();
  });
  return toNs - fromNs;
}

async function requestWaits(client: Client, port: number): Promise<void> {
  await client.go();
  await until(`a request that waits at port ${port}`, () => hasUnread(port), undefined, socketsText);
}

/** The backend reads the request only when `pids` stand still; their time counts from when `reached` says so. */
async function standStillBefore(
  backend: Backend,
  client: Client,
  pids: readonly number[],
  reached: () => boolean,
): Promise<number> {
  let ns = 0;
  await imposeStop(backend.pid, 0, async () => {
    await requestWaits(client, backend.port);
    ns = await standStill(pids, async () => {
      process.kill(backend.pid, 'SIGCONT');
      await until('what the stopped processes are late for', reached, undefined, socketsText);
    });
  });
  return ns;
}

async function done(client: Client | undefined): Promise<ClientLog> {
  assert.ok(client);
  return client.done;
}
