/** The test client: a process of its own, started by `startClient` in traffic.ts. */
import { runConnection, type Shared } from './client-connection.ts';
import { monotonicNs } from './process.ts';
import type { ClientLog, ClientOptions } from './traffic-types.ts';
import { serveCalls, workerOptions } from './worker.ts';

const options = workerOptions<ClientOptions>();
const total = options.connections ?? 1;
const concurrency = Math.min(options.concurrency ?? total, total);

/** Resolves once `open` was called. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}

const go = gate();
const allHeld = gate();
let held = 0;
const shared: Shared = {
  options,
  exchanges: [],
  open: 0,
  maxOpen: 0,
  go: go.passed,
  arrive: () => {
    if (++held === concurrency) allHeld.open();
  },
};

async function run(): Promise<ClientLog> {
  const startNs = monotonicNs();
  const connections = options.groups ? await runGroups() : await runFlow();
  allHeld.open();
  return { exchanges: shared.exchanges, connections, maxOpen: shared.maxOpen, startNs, endNs: monotonicNs() };
}

/** As soon as one connection ends the next begins. */
async function runFlow(): Promise<ClientLog['connections']> {
  const connections: ClientLog['connections'] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < total) {
      const at = next++;
      connections[at] = await runConnection(shared, (options.firstConnId ?? 0) + at);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return connections;
}

async function runGroups(): Promise<ClientLog['connections']> {
  const connections: ClientLog['connections'] = [];
  for (let first = 0; first < total; first += concurrency) {
    const count = Math.min(concurrency, total - first);
    const everybody = gate();
    let arrived = 0;
    const connected = (): Promise<void> => {
      if (++arrived === count) everybody.open();
      return everybody.passed;
    };
    const group = Array.from({ length: count }, (_, at) =>
      runConnection(shared, (options.firstConnId ?? 0) + first + at, connected),
    );
    connections.push(...(await Promise.all(group)));
  }
  return connections;
}

const log = run();
serveCalls({ log: () => log, held: () => allHeld.passed, go: () => go.open() });
