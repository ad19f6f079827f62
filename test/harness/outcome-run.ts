import { type FileSpan, hopsOf, type SeenHop, startHopspan } from './hopspan.ts';
import type { ProxyKind, Scenario } from './outcome-scenarios.ts';
import { freePort } from './ports.ts';
import type { ProxyLogEntry, ProxyOptions, RunningProxy } from './proxies.ts';
import { type Backend, fillAcceptQueue, runClient, startBackend } from './traffic.ts';

/** Connections of one client port on one listener, as hopspan and the proxy's log have them. */
export interface SeenConnection {
  readonly hops: readonly SeenHop[];
  /** Spans of the connection itself, where its beginning or end lies apart from its exchanges. */
  readonly apart: readonly FileSpan[];
  readonly entry: ProxyLogEntry;
}

export interface OutcomeRun {
  readonly kind: ProxyKind;
  /** Of every scenario that says no other number. */
  readonly connections: number;
  readonly spans: readonly FileSpan[];
  readonly loose: readonly FileSpan[];
  /** What was seen of a scenario's connections. */
  readonly seen: ReadonlyMap<Scenario, readonly SeenConnection[]>;
}

export type Start = (options: ProxyOptions & { retries?: number }) => Promise<RunningProxy>;

/** All scenarios at the same time through one proxy, `connections` each where the scenario says no other number. */
export async function runScenarios(
  start: Start,
  scenarios: readonly Scenario[],
  connections: number,
  options: Omit<ProxyOptions, 'listeners'> & { retries?: number } = {},
): Promise<OutcomeRun> {
  const backends: Backend[] = [];
  const releases: (() => void)[] = [];
  const listeners = await Promise.all(scenarios.map(async ({ upstream }) => listenerOf(upstream)));
  const proxy = await start({ ...options, listeners });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
  const portOf = (scenario: Scenario): number => proxy.listeners[scenarios.indexOf(scenario)]?.port ?? 0;
  const logs = await Promise.all(
    scenarios.map((scenario) =>
      runClient({
        connections,
        requestBytes: 500,
        answerBytes: 5000,
        ...scenario.client,
        port: portOf(scenario),
      }),
    ),
  );
  const made = logs.reduce((sum, log) => sum + log.connections.length, 0);
  const entries = await proxy.accessLog(made);
  for (const release of releases) release();
  await proxy.stop();
  const spans = await hopspan.finish();
  await Promise.all(backends.map((backend) => backend.stop()));
  const { hops, loose } = hopsOf(spans);

  const seen = new Map<Scenario, SeenConnection[]>();
  for (const [at, scenario] of scenarios.entries()) {
    const listenerPort = portOf(scenario);
    const ports = (logs[at]?.connections ?? []).map(({ localPort }) => localPort);
    const isOf = (port: number, { attributes }: FileSpan): boolean =>
      attributes['client.port'] === port && attributes['server.port'] === listenerPort;
    seen.set(
      scenario,
      ports.map((port) => ({
        hops: hops.filter(({ hop }) => isOf(port, hop)),
        apart: spans.filter((span) => span.name.startsWith('tcp connection ') && isOf(port, span)),
        entry: only(entries.filter((each) => each.clientPort === port && each.listenerPort === listenerPort)),
      })),
    );
  }
  return { kind: proxy.kind, connections, spans, loose, seen };

  async function listenerOf(upstream: Scenario['upstream']): Promise<{ upstreamPort?: number }> {
    if (upstream === 'none') return {};
    if (upstream === 'refused') return { upstreamPort: await freePort() };
    const full = upstream === 'full';
    const backend = await startBackend(full ? { backlog: 1 } : upstream);
    backends.push(backend);
    if (full) {
      process.kill(backend.pid, 'SIGSTOP');
      const filler = await fillAcceptQueue(backend.port, 1);
      releases.push(() => {
        process.kill(backend.pid, 'SIGCONT');
        filler.release();
      });
    }
    return { upstreamPort: backend.port };
  }
}

function only<T>(items: readonly T[]): T {
  const [first, ...rest] = items;
  if (first === undefined || rest.length > 0) throw new Error(`${items.length} where one was expected`);
  return first;
}
