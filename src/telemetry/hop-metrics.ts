import { type Hop, type Pairing, tgidOf } from '../correlate/hop.ts';
import { hasExchange, type Side } from '../correlate/side.ts';
import type { HopObserver } from '../pipeline/traces.ts';
import { type Endpoint, endpointText, remoteEndpoint } from '../spans/addresses.ts';
import type { HopSpan } from '../spans/hop-span.ts';
import { attemptOutcome, type Outcome, outcomeOf, upstreamOutcome } from '../spans/outcome.ts';
import { attemptInterval, furtherInterval, type Interval, type PhaseName, timesOf } from '../spans/phases.ts';
import { type Buckets, createHistogram, type DurationHistogram, recordDuration } from './histogram.ts';
import type { Labels, MetricFamily, Point } from './metric-family.ts';
import type { MetricName } from './metric-table.ts';
import { createRequestSeries, createRequests, OTHER, type Requests } from './request-series.ts';
import { createRetransmits } from './retransmits.ts';

/** Listeners, and pairs of listener and upstream of all of them; what is beyond counts under OTHER. */
export const MAX_LISTENERS = 64;
export const MAX_PATHS = 200;

const AF_INET = 2;
const NO_SIDES: readonly Side[] = [];
/** Of a hop without an upstream that is known. */
const NO_UPSTREAM = 0;

/** Bytes and segments of one side of a path. */
interface Traffic {
  received: number;
  sent: number;
  retransmits: number;
}

/** From a listener to an upstream. */
interface Path {
  readonly labels: Labels;
  readonly hops: Map<Outcome, DurationHistogram>;
  readonly upstreams: Map<Outcome, DurationHistogram>;
  /** Connections' ends that are no part of an exchange. */
  readonly connections: Map<Outcome, number>;
  readonly phases: Map<PhaseName, DurationHistogram>;
  readonly downstream: Traffic;
  readonly upstream: Traffic;
  readonly requests: Requests;
}

interface Listener {
  readonly labels: Labels;
  /** By the upstream's address. */
  readonly paths: Map<number | string, Path>;
  readonly requests: Requests;
  other: Path | undefined;
}

/** A hop, and its first span where it has any. */
interface Seen {
  readonly hop: Hop;
  readonly span: HopSpan | undefined;
}

/** How a proxy's hops were paired. */
interface Pairings {
  readonly proxy: string;
  readonly certain: Map<Pairing, number>;
  readonly ambiguous: Map<Pairing, number>;
}

/** Counts hops by listener, upstream and what became of them. Pure, and its memory is bounded. */
export interface HopMetrics extends HopObserver {
  families(): MetricFamily[];
}

export function createHopMetrics(buckets: Buckets = 'explicit'): HopMetrics {
  const listeners = new Map<string, Map<number, Listener>>();
  const allListeners: Listener[] = [];
  const allPaths: Path[] = [];
  const pairings = new Map<string, Pairings>();
  const server = createRequestSeries('server', buckets);
  const client = createRequestSeries('client', buckets);
  const newRetransmits = createRetransmits();
  let otherListener: Listener | undefined;

  function listenerOf(proxy: string, port: number): Listener {
    const known = listeners.get(proxy)?.get(port);
    if (known) return known;
    if (allListeners.length >= MAX_LISTENERS) {
      otherListener ??= newListener({ proxy: OTHER });
      return otherListener;
    }
    const listener = newListener(port ? { proxy, listener: port } : { proxy });
    const ofProxy = listeners.get(proxy) ?? new Map<number, Listener>();
    listeners.set(proxy, ofProxy.set(port, listener));
    return listener;
  }

  function newListener(labels: Labels): Listener {
    const listener = { labels, paths: new Map(), requests: createRequests(labels), other: undefined };
    allListeners.push(listener);
    return listener;
  }

  function pathOf(listener: Listener, side: Side | undefined): Path {
    const key = side ? addressKey(side) : NO_UPSTREAM;
    const known = listener.paths.get(key);
    if (known) return known;
    if (allPaths.length >= MAX_PATHS) {
      listener.other ??= newPath({ ...listener.labels, upstream: OTHER }, {});
      return listener.other;
    }
    const path = side ? pathTo(listener, remoteEndpoint(side)) : newPath(listener.labels, {});
    listener.paths.set(key, path);
    return path;
  }

  function pathTo({ labels }: Listener, endpoint: Endpoint): Path {
    const { address, port } = endpoint;
    const upstream = endpointText(endpoint);
    return newPath({ ...labels, upstream }, { 'server.address': address, 'server.port': port });
  }

  function newPath(labels: Labels, more: Labels): Path {
    const path: Path = {
      labels,
      ...{ hops: new Map(), upstreams: new Map(), connections: new Map(), phases: new Map() },
      downstream: { received: 0, sent: 0, retransmits: 0 },
      upstream: { received: 0, sent: 0, retransmits: 0 },
      requests: createRequests({ ...labels, ...more }),
    };
    allPaths.push(path);
    return path;
  }

  function record<K>(
    histograms: Map<K, DurationHistogram>,
    key: K,
    { startNs, endNs }: Interval,
    span: HopSpan | undefined,
  ): void {
    let histogram = histograms.get(key);
    if (!histogram) {
      histogram = createHistogram(buckets);
      histograms.set(key, histogram);
    }
    recordDuration(histogram, endNs - startNs, span);
  }

  function countTraffic(traffic: Traffic, side: Side): void {
    traffic.retransmits += newRetransmits(side);
    if (!hasExchange(side)) return;
    traffic.received += side.bytesRead;
    traffic.sent += side.bytesWritten;
  }

  /** One request to an upstream, or one connection to it. */
  function countUpstream(
    { hop, span }: Seen,
    path: Path,
    side: Side,
    outcome: Outcome,
    interval: Interval,
  ): void {
    countTraffic(path.upstream, side);
    if (hop.kind === 'connection') return;
    record(path.upstreams, outcome, interval, span);
    client.record(path.requests, hop, side, outcome, interval.endNs - interval.startNs, span);
  }

  function countPairing(proxy: string, { pairing, ambiguous }: Hop): void {
    let found = pairings.get(proxy);
    if (!found) {
      const name = pairings.size < MAX_LISTENERS ? proxy : OTHER;
      found = pairings.get(name) ?? { proxy: name, certain: new Map(), ambiguous: new Map() };
      pairings.set(name, found);
    }
    const counts = ambiguous ? found.ambiguous : found.certain;
    counts.set(pairing, (counts.get(pairing) ?? 0) + 1);
  }

  function add(hop: Hop, span?: HopSpan): void {
    const seen = { hop, span };
    const { downstream: d, upstream: u } = hop;
    const proxy = hop.proxy?.serviceName ?? String(tgidOf(hop));
    const listener = listenerOf(proxy, d?.localPort ?? 0);
    const path = pathOf(listener, u);
    const times = timesOf(hop);
    const outcome = outcomeOf(hop);
    if (d) countTraffic(path.downstream, d);
    if (hop.kind === 'connection') {
      path.connections.set(outcome, (path.connections.get(outcome) ?? 0) + 1);
    } else {
      countPairing(proxy, hop);
      if (d) {
        record(path.hops, outcome, times.hop, span);
        server.record(listener.requests, hop, d, outcome, times.hop.endNs - times.hop.startNs, span);
      }
    }
    if (u && times.upstream) countUpstream(seen, path, u, outcome, times.upstream);
    for (const sides of [hop.tries, hop.mirrors]) {
      for (const side of sides ?? NO_SIDES) {
        const interval = furtherInterval(side, times.hop);
        countUpstream(seen, pathOf(listener, side), side, upstreamOutcome(side), interval);
      }
    }
    for (const side of hop.attempts) {
      const interval = attemptInterval(side, times.hop);
      countUpstream(seen, pathOf(listener, side), side, attemptOutcome(hop, side), interval);
    }
    for (const phase of times.phases) record(path.phases, phase.name, phase, span);
  }

  function traffic(
    name: MetricName,
    of: (side: Traffic) => readonly (readonly [number, Labels])[],
  ): MetricFamily {
    const points: Point<number>[] = [];
    for (const path of allPaths) {
      for (const side of ['downstream', 'upstream'] as const) {
        for (const [value, labels] of of(path[side]))
          points.push({ value, labels: { ...path.labels, side, ...labels } });
      }
    }
    return { name, kind: 'counter', points: points.filter(({ value }) => value > 0) };
  }

  function histograms<K extends string>(
    name: MetricName,
    label: string,
    of: (path: Path) => Map<K, DurationHistogram>,
  ): MetricFamily {
    const points = allPaths.flatMap((path) =>
      [...of(path)].map(([key, value]) => ({ labels: { ...path.labels, [label]: key }, value })),
    );
    return { name, kind: 'histogram', points };
  }

  function outcomes(): MetricFamily {
    const points = allPaths.flatMap(({ labels, hops, connections }) => [
      ...[...hops].map(([outcome, { count }]) => ({
        labels: { ...labels, kind: 'exchange', outcome },
        value: count,
      })),
      ...[...connections].map(([outcome, value]) => ({
        labels: { ...labels, kind: 'connection', outcome },
        value,
      })),
    ]);
    return { name: 'hopspan.outcomes', kind: 'counter', points };
  }

  function paired(): MetricFamily {
    const points = [...pairings.values()].flatMap(({ proxy, certain, ambiguous }) =>
      ([false, true] as const).flatMap((isAmbiguous) =>
        [...(isAmbiguous ? ambiguous : certain)].map(([pairing, value]) => ({
          labels: { proxy, pairing, ambiguous: isAmbiguous },
          value,
        })),
      ),
    );
    return { name: 'hopspan.pairings', kind: 'counter', points };
  }

  return {
    add,
    advance: () => {},
    families: () =>
      [
        histograms('hopspan.hop.duration', 'outcome', ({ hops }) => hops),
        histograms('hopspan.upstream.duration', 'outcome', ({ upstreams }) => upstreams),
        histograms('hopspan.phase.duration', 'phase', ({ phases }) => phases),
        requests('http.server.request.duration', server.points('http')),
        requests('http.client.request.duration', client.points('http')),
        requests('rpc.server.call.duration', server.points('rpc')),
        requests('rpc.client.call.duration', client.points('rpc')),
        outcomes(),
        paired(),
        traffic('hopspan.io', ({ received, sent }) => [
          [received, { 'network.io.direction': 'receive' }],
          [sent, { 'network.io.direction': 'transmit' }],
        ]),
        traffic('hopspan.retransmits', ({ retransmits }) => [[retransmits, {}]]),
      ].filter(({ points }) => points.length > 0),
  };
}

const requests = (name: MetricName, points: readonly Point<DurationHistogram>[]): MetricFamily => ({
  name,
  kind: 'histogram',
  points,
});

/** Tells address and port apart as a number where they fit into one, for this is asked of every hop. */
function addressKey(side: Side): number | string {
  const { family, remoteAddr, remotePort } = side;
  if (family !== AF_INET) {
    const { address, port } = remoteEndpoint(side);
    return `${address} ${port}`;
  }
  let key = 0;
  for (let i = 0; i < 4; i++) key = key * 256 + (remoteAddr[i] ?? 0);
  return key * 65_536 + remotePort;
}
