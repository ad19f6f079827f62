import { connect, type Socket } from 'node:net';
import { freePort } from './ports.ts';
import type { Child } from './process.ts';
import type {
  BackendConnection,
  BackendExchange,
  BackendLog,
  BackendOptions,
  ClientLog,
  ClientOptions,
  RelayOptions,
} from './traffic-types.ts';
import { startWorker } from './worker.ts';

export type * from './traffic-types.ts';

export interface Backend {
  readonly port: number;
  readonly pid: number;
  readonly child: Child;
  /** Every request that came in whole so far, in the order in which they did. */
  log(): Promise<BackendExchange[]>;
  connections(): Promise<BackendConnection[]>;
  stop(): Promise<void>;
}

/** Starts a TCP server in a process of its own; resolves when it listens. */
export async function startBackend(options: BackendOptions = {}): Promise<Backend> {
  // Below the ephemeral ports, so that a connection to a backend that is gone can never reach itself.
  const chosen = options.port ?? (await freePort(options.host));
  const worker = await startWorker('./backend.ts', { ...options, port: chosen });
  const port = (await worker.call('port')) as number;
  const log = async (): Promise<BackendLog> => (await worker.call('log')) as BackendLog;
  return {
    port,
    pid: worker.child.pid,
    child: worker.child,
    log: async () => (await log()).exchanges,
    connections: async () => (await log()).connections,
    stop: worker.stop,
  };
}

export interface Client {
  readonly pid: number;
  readonly child: Child;
  /** Resolves when as many connections as may be open stand at `holdAfter`. */
  readonly held: Promise<void>;
  /** Lets the held connections, and all that come later, go on. */
  go(): Promise<void>;
  /** Resolves when every connection is closed. */
  readonly done: Promise<ClientLog>;
  stop(): Promise<void>;
}

/** Starts the client in a process of its own, which begins at once; by `launcher` where one is given. */
export async function startClient(options: ClientOptions, launcher?: readonly string[]): Promise<Client> {
  const worker = await startWorker('./client.ts', options, launcher);
  const done = worker.call('log').then(async (log) => {
    await worker.stop();
    return log as ClientLog;
  });
  const held = worker.call('held').then(() => {});
  // Whoever waits for one of the two must not see the process end by an unhandled rejection of the other.
  done.catch(() => {});
  held.catch(() => {});
  return {
    pid: worker.child.pid,
    child: worker.child,
    held,
    go: async () => {
      await worker.call('go');
    },
    done,
    stop: worker.stop,
  };
}

/** Runs the client to its end. */
export async function runClient(options: ClientOptions): Promise<ClientLog> {
  return (await startClient(options)).done;
}

export interface Relay {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a delaying TCP relay in a process of its own. It delays bytes, not the handshake: see `fillAcceptQueue`. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const chosen = options.port ?? (await freePort(options.host));
  const worker = await startWorker('./relay.ts', { ...options, port: chosen });
  return { port: (await worker.call('port')) as number, pid: worker.child.pid, stop: worker.stop };
}

/**
 * Fills the accept queue of a server that stands still (`imposeStop`), so that Linux drops every further SYN and
 * whoever connects then waits for a retransmission, one second at least. `backlog` is what the server gave to listen();
 * the queue takes one more. The connections are closed by `release`.
 */
export async function fillAcceptQueue(
  port: number,
  backlog: number,
  host = '127.0.0.1',
): Promise<{ release(): void }> {
  const fillers = await Promise.all(
    Array.from(
      { length: backlog + 1 },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect({ host, port }, () => resolve(socket)).once('error', reject);
        }),
    ),
  );
  return {
    release: () => {
      for (const socket of fillers) socket.destroy();
    },
  };
}
