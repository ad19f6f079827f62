import { type ExchangeKey, type Hop, keyOf } from './hop.ts';
import {
  answerStart,
  answerTotal,
  isStream,
  isUnchained,
  requestStart,
  requestTotal,
  type Side,
} from './side.ts';

/** How long a hop waits for the hop that called it, in nanoseconds of the records' clock. */
const WAIT_NS = 5_000_000_000;
/** Exchanges of one upstream connection that are remembered for the hops that they call. */
const MAX_RANGES = 256;
/** Exchanges of all upstream connections that are remembered; what was used longest ago is forgotten. */
const MAX_REMEMBERED = 131_072;
/** How long an upstream connection's exchanges are remembered after the last of them: longer than a hop can take. */
const REMEMBER_NS = 300_000_000_000;

/** An exchange's place in the byte streams of its upstream connection; ends are exclusive. */
interface Range {
  readonly requestStart: number;
  readonly requestEnd: number;
  readonly answerStart: number;
  readonly answerEnd: number;
  readonly key: ExchangeKey;
  readonly trace: ExchangeKey;
  readonly rootSide: Side | undefined;
  /** When the caller had written the first byte of the request, and read the last one of the answer; 0 for never. */
  readonly firstWriteNs: number;
  readonly lastReadNs: number;
}

interface Remembered {
  readonly ranges: Range[];
  usedNs: number;
}

interface Waiting {
  readonly hop: Hop;
  readonly sinceNs: number;
}

/**
 * Finds the hop that called a hop when both proxies are watched. The kernel tells which upstream connection is
 * the other end of a downstream one (Side.chained); on one TCP connection both ends count the same
 * bytes, so an exchange is found again by its place in the two byte streams.
 */
export interface Chain {
  /** Gives the hop on, at once or when its caller is known or cannot come any more. */
  add(hop: Hop): void;
  /** Gives on what has waited long enough. */
  advance(nowNs: number): void;
  /** Gives on all that waits. */
  flush(): void;
  /** Hops that wait and exchanges that are remembered. */
  size(): number;
}

export function createChain(emit: (hop: Hop) => void): Chain {
  /** By upstream connection, in the order of their last use. */
  const remembered = new Map<number, Remembered>();
  let rangeCount = 0;
  /** By the upstream connection of the caller. */
  const waiting = new Map<number, Waiting[]>();

  function place(hop: Hop): void {
    emit(hop);
    if (hop.kind === 'connection') return;
    for (const upstream of [hop.upstream, ...(hop.tries ?? []), ...(hop.mirrors ?? [])]) {
      if (upstream && !isUnchained(upstream)) placeUnder(hop, upstream);
    }
  }

  function placeUnder(hop: Hop, upstream: Side): void {
    remember(upstream.connection, hop.clock.monotonicNs, {
      requestStart: requestStart(upstream),
      requestEnd: requestTotal(upstream),
      answerStart: answerStart(upstream),
      answerEnd: answerTotal(upstream),
      key: keyOf(upstream),
      trace: hop.trace,
      rootSide: hop.rootSide ?? (hop.downstream?.http ? hop.downstream : undefined),
      firstWriteNs: upstream.firstWriteNs,
      lastReadNs: upstream.lastReadNs,
    });
    const callees = waiting.get(upstream.connection);
    if (!callees) return;
    waiting.delete(upstream.connection);
    for (const { hop: callee, sinceNs } of callees) resolve(callee, sinceNs);
  }

  function remember(connection: number, nowNs: number, range: Range): void {
    const known = remembered.get(connection) ?? { ranges: [], usedNs: nowNs };
    known.usedNs = nowNs;
    known.ranges.push(range);
    rangeCount++;
    if (known.ranges.length > MAX_RANGES) {
      known.ranges.shift();
      rangeCount--;
    }
    remembered.delete(connection);
    remembered.set(connection, known);
    forget(() => rangeCount > MAX_REMEMBERED);
  }

  /** Forgets from the longest unused on, while `isOver` says so. */
  function forget(isOver: (known: Remembered) => boolean): void {
    for (const [connection, known] of remembered) {
      if (!isOver(known)) return;
      remembered.delete(connection);
      rangeCount -= known.ranges.length;
    }
  }

  function resolve(hop: Hop, sinceNs: number): void {
    const downstream = hop.downstream;
    if (!downstream?.chained || hop.kind === 'connection') {
      place(hop);
      return;
    }
    const range = findRange(remembered.get(downstream.chained)?.ranges, downstream);
    if (range) {
      place({ ...causal(hop, downstream, range), trace: range.trace, parent: range.key, ...rootOf(range) });
      return;
    }
    const others = waiting.get(downstream.chained) ?? [];
    others.push({ hop, sinceNs });
    waiting.set(downstream.chained, others);
  }

  /**
   * Gives on, without a parent, what waits since before `lateNs`. A hop whose caller waits as well goes after it, as
   * its child; unless it waits since before `tooLateNs`.
   */
  function release(lateNs: number, tooLateNs: number): void {
    for (;;) {
      const late = [...waiting].filter(([, hops]) => hops.some(({ sinceNs }) => sinceNs < lateNs));
      if (late.length === 0) return;
      const callers = new Set([...waiting.values()].flat().map(({ hop }) => hop.upstream?.connection));
      let released = 0;
      for (const [connection, hops] of late) {
        const beforeNs = callers.has(connection) ? tooLateNs : lateNs;
        const over = hops.filter(({ sinceNs }) => sinceNs < beforeNs);
        if (over.length === 0 || waiting.get(connection) !== hops) continue;
        const rest = hops.filter(({ sinceNs }) => sinceNs >= beforeNs);
        if (rest.length > 0) waiting.set(connection, rest);
        else waiting.delete(connection);
        for (const { hop } of over) place(hop);
        released += over.length;
      }
      if (released === 0) return;
    }
  }

  return {
    add: (hop) => resolve(hop, hop.clock.monotonicNs),
    advance(nowNs) {
      if (waiting.size > 0) release(nowNs - WAIT_NS, nowNs - 2 * WAIT_NS);
      forget(({ usedNs }) => nowNs - usedNs > REMEMBER_NS);
    },
    flush() {
      release(Number.POSITIVE_INFINITY, 0);
      release(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    },
    size: () => rangeCount + [...waiting.values()].reduce((sum, hops) => sum + hops.length, 0),
  };
}

/**
 * A byte is written before it arrives and before it is read. The probe behind a send sees the clock when the send
 * returns; over loopback the receiver has the bytes by then, and on another processor may have read them. The
 * caller's times bound the callee's.
 */
function causal(hop: Hop, d: Side, range: Range): Hop {
  const { firstWriteNs, lastReadNs } = range;
  const whole = isStream(d) || (requestTotal(d) === range.requestEnd && answerTotal(d) === range.answerEnd);
  const answered = whole && lastReadNs > 0;
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

const rootOf = ({ rootSide }: Range): Pick<Hop, 'rootSide'> => (rootSide ? { rootSide } : {});

/** The exchange that carried the first byte: of the request, or of the answer where there is no request. */
function findRange(known: readonly Range[] | undefined, d: Side): Range | undefined {
  if (isStream(d)) return known?.find(({ key }) => key.exchange === d.exchange);
  const request = requestStart(d);
  const answer = answerStart(d);
  return requestTotal(d) > request
    ? known?.find((range) => range.requestStart <= request && request < range.requestEnd)
    : known?.find((range) => range.answerStart <= answer && answer < range.answerEnd);
}
