import type { SideRecord } from '../records.gen.ts';
import type { ExchangeKey, Hop } from './hop.ts';
import { answerStart, answerTotal, requestStart, requestTotal } from './side.ts';

/** How long a hop waits for the hop that called it, in nanoseconds of the records' clock. */
const WAIT_NS = 5_000_000_000;
/** Exchanges of one upstream connection that are remembered for the hops that they call. */
const MAX_RANGES = 256;
/** Upstream connections that are remembered; the oldest are forgotten. */
const MAX_CONNECTIONS = 65_536;

interface Range {
  readonly requestStart: number;
  readonly answerStart: number;
  /** Exclusive end: the place in both streams, summed. */
  readonly end: number;
  readonly key: ExchangeKey;
  readonly trace: ExchangeKey;
  /** When the caller had written the first byte of the request, and read the last one of the answer; 0 for never. */
  readonly firstWriteNs: number;
  readonly lastReadNs: number;
}

interface Waiting {
  readonly hop: Hop;
  readonly sinceNs: number;
}

/**
 * Finds the hop that called a hop when both proxies are watched. The kernel tells which upstream connection is
 * the other end of a downstream one (SideRecord.chained); on one TCP connection both ends count the same
 * bytes, so an exchange is found again by its place in the two byte streams.
 */
export interface Chain {
  /** Gives the hop on, at once or when its caller is known or cannot come any more. */
  add(hop: Hop): void;
  /** Gives on what has waited long enough. */
  advance(nowNs: number): void;
  /** Gives on all that waits. */
  flush(): void;
}

export function createChain(emit: (hop: Hop) => void): Chain {
  const ranges = new Map<number, Range[]>();
  const waiting = new Map<number, Waiting[]>();

  function place(hop: Hop): void {
    emit(hop);
    const upstream = hop.upstream;
    if (!upstream || hop.kind === 'connection') return;
    const connection = upstream.connection;
    const known = ranges.get(connection) ?? [];
    known.push({
      requestStart: requestStart(upstream),
      answerStart: answerStart(upstream),
      end: requestTotal(upstream) + answerTotal(upstream),
      key: { connection, exchange: upstream.exchange },
      trace: hop.trace,
      firstWriteNs: upstream.firstWriteNs,
      lastReadNs: upstream.lastReadNs,
    });
    if (known.length > MAX_RANGES) known.shift();
    ranges.set(connection, known);
    forgetOldest(ranges);
    const callees = waiting.get(connection);
    if (!callees) return;
    waiting.delete(connection);
    for (const { hop: callee, sinceNs } of callees) resolve(callee, sinceNs);
  }

  function resolve(hop: Hop, sinceNs: number): void {
    const downstream = hop.downstream;
    if (!downstream?.chained || hop.kind === 'connection') {
      place(hop);
      return;
    }
    const range = findRange(
      ranges.get(downstream.chained),
      requestStart(downstream),
      answerStart(downstream),
    );
    if (range) {
      place({ ...causal(hop, downstream, range), trace: range.trace, parent: range.key });
      return;
    }
    const others = waiting.get(downstream.chained) ?? [];
    others.push({ hop, sinceNs });
    waiting.set(downstream.chained, others);
  }

  function release(until: (waitingHop: Waiting) => boolean): void {
    for (const [connection, hops] of waiting) {
      const keep = hops.filter((one) => !until(one));
      if (keep.length === hops.length) continue;
      if (keep.length > 0) waiting.set(connection, keep);
      else waiting.delete(connection);
      for (const one of hops) if (until(one)) place(one.hop);
    }
  }

  return {
    add: (hop) => resolve(hop, hop.clock.monotonicNs),
    advance: (nowNs) => release(({ sinceNs }) => nowNs - sinceNs > WAIT_NS),
    flush: () => release(() => true),
  };
}

/**
 * A byte is written before it arrives and before it is read. The probe behind a send sees the clock when the send
 * returns; over loopback the receiver has the bytes by then, and on another processor may have read them. The
 * caller's times bound the callee's.
 */
function causal(hop: Hop, d: SideRecord, range: Range): Hop {
  const { firstWriteNs, lastReadNs } = range;
  const answered = requestTotal(d) + answerTotal(d) === range.end && lastReadNs > 0;
  const notBefore = (ns: number): number => (ns === 0 ? 0 : Math.max(ns, firstWriteNs));
  const notAfter = (ns: number): number => (answered ? Math.min(ns, lastReadNs) : ns);
  if (d.arrivedNs >= firstWriteNs && d.lastWriteNs <= notAfter(d.lastWriteNs)) return hop;
  return {
    ...hop,
    downstream: {
      ...d,
      arrivedNs: notBefore(d.arrivedNs),
      firstReadNs: notBefore(d.firstReadNs),
      lastReadNs: notBefore(d.lastReadNs),
      firstWriteNs: notAfter(d.firstWriteNs),
      lastWriteNs: notAfter(d.lastWriteNs),
    },
  };
}

/** The exchange that begins at this place, or else the one in whose midst it lies. */
function findRange(known: readonly Range[] | undefined, request: number, answer: number): Range | undefined {
  if (!known) return undefined;
  const exact = known.find((range) => range.requestStart === request && range.answerStart === answer);
  if (exact) return exact;
  const place = request + answer;
  return known.find((range) => range.requestStart + range.answerStart <= place && place < range.end);
}

function forgetOldest(map: Map<number, unknown>): void {
  if (map.size <= MAX_CONNECTIONS) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
