import { type Hop, tgidOf } from '../correlate/hop.ts';
import { hasExchange, isStream, type Side } from '../correlate/side.ts';
import { endpointText, remoteEndpoint } from '../spans/addresses.ts';
import { findPinned, type Pinned } from './pinned.ts';

/** Requests are looked at in windows of so long; nanoseconds of the records' clock. */
export const WINDOW_NS = 10_000_000_000;
/** Listeners, and upstreams of all of them; what is beyond counts under OTHER. */
export const MAX_LISTENERS = 64;
export const MAX_UPSTREAMS = 1024;
const MAX_CONNECTIONS = 16_384;
/** Of the connections that carried nothing in a window, those above this are summed up. */
const KEPT_CONNECTIONS = 4096;
const MAX_FINDINGS = 1024;
export const OTHER = 'other';

/** Requests of one window, and of all windows so far. */
export interface Count {
  window: number;
  total: number;
}

export interface UpstreamCount extends Count {
  /** `address:port`, or OTHER */
  readonly name: string;
  /** When it was last known to be in use. */
  lastNs: number;
}

export interface ConnectionCount extends Count {
  readonly id: number;
  /** The client's `address:port`. */
  readonly client: string;
  readonly listener: ListenerCount;
  /** When it began, as far as is known. */
  readonly sinceNs: number;
  /** Of `window`: streams of HTTP/2 that were relayed to one upstream. */
  relayed: number;
  relayedTo: UpstreamCount | undefined;
}

export interface ListenerCount extends Count {
  /** `service.name` of the proxy, or OTHER */
  readonly proxy: string;
  /** 0 where the listener of upstream requests is not known. */
  readonly port: number;
  readonly upstreams: Map<string, UpstreamCount>;
  readonly connections: Set<ConnectionCount>;
  /** Connections that are not kept any more, and their requests. */
  readonly others: { connections: number; requests: number };
}

/** A window that is over. */
export interface BalanceWindow {
  readonly durationNs: number;
  /** Those with requests in it. */
  readonly listeners: readonly ListenerCount[];
  /** Found for the first time. */
  readonly found: readonly Pinned[];
}

/**
 * Counts requests by listener, downstream connection and upstream endpoint, and finds connections that pin them to one
 * upstream. An exchange of a protocol that is not read counts as a request. Pure: its clock is that of the records, and
 * its memory is bounded.
 */
export interface Balance {
  add(hop: Hop): void;
  /** @param nowNs CLOCK_MONOTONIC in nanoseconds, as in clock records */
  advance(nowNs: number): void;
  /** Ends the window that is open. */
  flush(): void;
  /** Everything so far; of the current window, too. */
  listeners(): readonly ListenerCount[];
  /** Everything found so far. */
  findings(): readonly Pinned[];
}

/** @param onWindow is told of windows in which there were requests; its counts hold only during the call */
export function createBalance(onWindow: (window: BalanceWindow) => void = () => {}): Balance {
  const listeners = new Map<string, ListenerCount>();
  const connections = new Map<number, ConnectionCount>();
  const findings = new Map<string, Pinned>();
  let upstreams = 0;
  let startNs = 0;
  let nowNs = 0;

  function upstreamOf(listener: ListenerCount, side: Side): UpstreamCount {
    const name = endpointText(remoteEndpoint(side));
    const known = listener.upstreams.get(name);
    if (known) return known;
    const key = upstreams < MAX_UPSTREAMS ? name : OTHER;
    const other = listener.upstreams.get(key);
    if (other) return other;
    const upstream: UpstreamCount = { name: key, window: 0, total: 0, lastNs: 0 };
    listener.upstreams.set(key, upstream);
    upstreams++;
    return upstream;
  }

  function listenerOf(proxy: string, port: number): ListenerCount {
    const key = `${proxy} ${port}`;
    const known = listeners.get(key);
    if (known) return known;
    if (listeners.size >= MAX_LISTENERS && proxy !== OTHER) return listenerOf(OTHER, 0);
    const listener: ListenerCount = {
      ...{ proxy, port, window: 0, total: 0, upstreams: new Map(), connections: new Set() },
      others: { connections: 0, requests: 0 },
    };
    listeners.set(key, listener);
    return listener;
  }

  function countDownstream(d: Side, listener: ListenerCount): ConnectionCount | undefined {
    count(listener);
    const connection = connectionOf(d, listener);
    if (connection) count(connection);
    else listener.others.requests++;
    return connection;
  }

  function connectionOf(d: Side, listener: ListenerCount): ConnectionCount | undefined {
    const known = connections.get(d.connection);
    if (known || connections.size >= MAX_CONNECTIONS) return known;
    const connection: ConnectionCount = {
      ...{ id: d.connection, client: endpointText(remoteEndpoint(d)), listener, window: 0, total: 0 },
      ...{ sinceNs: d.establishedNs || nowNs, relayed: 0, relayedTo: undefined },
    };
    connections.set(d.connection, connection);
    listener.connections.add(connection);
    return connection;
  }

  function roll(): void {
    const durationNs = nowNs - startNs;
    startNs = nowNs;
    const active = [...listeners.values()].filter(isActive);
    if (active.length === 0) return;
    const found: Pinned[] = [];
    for (const listener of active) {
      const pinned = findPinned(listener);
      const key = pinned && `${pinned.proxy} ${pinned.port} ${pinned.connection}`;
      if (!pinned || !key || findings.has(key) || findings.size >= MAX_FINDINGS) continue;
      findings.set(key, pinned);
      found.push(pinned);
    }
    onWindow({ durationNs, listeners: active, found });
    forget();
    for (const listener of active) clear(listener);
  }

  /** Makes room; what was busy in this window stays. */
  function forget(): void {
    let tooMany = connections.size - KEPT_CONNECTIONS;
    for (const connection of connections.values()) {
      if (tooMany <= 0) break;
      if (connection.window > 0) continue;
      drop(connection);
      tooMany--;
    }
    if (connections.size < MAX_CONNECTIONS) return;
    for (const connection of connections.values()) drop(connection); // all are busy: the next window begins anew
  }

  function drop(connection: ConnectionCount): void {
    const { others, connections: own } = connection.listener;
    connections.delete(connection.id);
    own.delete(connection);
    others.connections++;
    others.requests += connection.total;
  }

  return {
    add(hop) {
      nowNs = Math.max(nowNs, hop.clock.monotonicNs);
      startNs ||= nowNs;
      const { downstream: d, upstream: u } = hop;
      const proxy = hop.proxy?.serviceName ?? String(tgidOf(hop));
      const listener = listenerOf(proxy, d?.localPort ?? 0);
      const carries = (side: Side): boolean => hop.kind === 'exchange' && isRequest(side);
      const connection = d && carries(d) ? countDownstream(d, listener) : undefined;
      for (const side of upstreamSides(hop)) {
        const upstream = upstreamOf(listener, side);
        upstream.lastNs = nowNs;
        if (!carries(side)) continue;
        count(upstream);
        if (!d) count(listener);
        if (side !== u || !connection || hop.pairing !== 'buffer' || !isStream(side)) continue;
        connection.relayed++;
        connection.relayedTo = upstream;
      }
    },
    advance(ns) {
      nowNs = Math.max(nowNs, ns);
      startNs ||= nowNs;
      if (nowNs - startNs >= WINDOW_NS) roll();
    },
    flush: roll,
    listeners: () => [...listeners.values()],
    findings: () => [...findings.values()],
  };
}

/** Upstream connections that were established for a hop, and what they carried. */
function upstreamSides({ attempts, tries = [], mirrors = [], upstream }: Hop): Side[] {
  const sides: Side[] = [...attempts, ...tries, ...mirrors, ...(upstream ? [upstream] : [])];
  return sides.filter((side) => side.establishedNs > 0 || hasExchange(side));
}

const isRequest = (side: Side): boolean =>
  hasExchange(side) && (side.http === undefined || side.http.request !== undefined);

const isActive = ({ window }: Count): boolean => window > 0;

function count(counted: Count): void {
  counted.window++;
  counted.total++;
}

function clear(listener: ListenerCount): void {
  listener.window = 0;
  for (const upstream of listener.upstreams.values()) upstream.window = 0;
  for (const connection of listener.connections) {
    connection.window = 0;
    connection.relayed = 0;
  }
}
