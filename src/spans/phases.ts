import type { Hop } from '../correlate/hop.ts';
import { endNs, hasExchange, isAnswered, lastByteNs, resetNs, type Side } from '../correlate/side.ts';
import type { SideRecord } from '../records.gen.ts';

/** The phases in the order in which an exchange goes through them, and the span that each stands under. */
export const PHASES = {
  'accept wait': 'hop',
  'read wait': 'hop',
  forward: 'hop',
  'request transfer': 'hop',
  connect: 'upstream',
  'upstream wait': 'upstream',
  'answer read wait': 'upstream',
  'answer forward': 'hop',
  'answer transfer': 'hop',
} as const;

export type PhaseName = keyof typeof PHASES;

/** A span of time on CLOCK_MONOTONIC, in nanoseconds; `endNs` is never before `startNs`. */
export interface Interval {
  readonly startNs: number;
  readonly endNs: number;
}

export interface Phase extends Interval {
  readonly name: PhaseName;
}

export interface HopTimes {
  readonly hop: Interval;
  readonly upstream?: Interval;
  readonly phases: readonly Phase[];
}

const earliestOf = (...times: number[]): number => {
  const known = times.filter((ns) => ns > 0);
  return known.length === 0 ? 0 : Math.min(...known);
};

/** Of the hop that was asked for last: metrics ask just before the spans do. */
let latest: { readonly hop: Hop; readonly times: HopTimes } | undefined;

/** When each part of a hop began and ended; children lie within their parents. */
export function timesOf(hop: Hop): HopTimes {
  if (latest?.hop === hop) return latest.times;
  const times = computeTimes(hop);
  latest = { hop, times };
  return times;
}

function computeTimes(hop: Hop): HopTimes {
  const { downstream: d, upstream: u } = hop;
  const whole = hop.kind === 'connection' ? connectionInterval(hop) : exchangeInterval(hop);
  const upstream = u && (d ? clamp(upstreamInterval(hop, u, whole), whole) : whole);
  const phases: Phase[] = [];
  const add = (name: PhaseName, startNs: number, end: number): void => {
    if (startNs === 0 || end === 0) return;
    const parent = PHASES[name] === 'upstream' && upstream ? upstream : whole;
    phases.push({ name, ...clamp({ startNs, endNs: Math.max(startNs, end) }, parent) });
  };

  const connectsHere = u !== undefined && connectsWithin(hop, u);
  if (hop.setUp && d) add('accept wait', d.establishedNs, d.acceptedNs);
  if (connectsHere) add('connect', u.synNs, u.establishedNs || endNs(u));
  if (hop.kind === 'connection') return { hop: whole, ...(upstream ? { upstream } : {}), phases };

  if (d?.firstReadNs) {
    /* A byte can be read only once its connection is accepted, and many proxies read only once they are connected. */
    const connected = connectsHere && u.establishedNs <= d.firstReadNs ? u.establishedNs : 0;
    const readable = Math.max(d.arrivedNs, hop.setUp ? d.acceptedNs : 0, connected);
    add('read wait', Math.min(readable || d.firstReadNs, d.firstReadNs), d.firstReadNs);
    if (u?.firstWriteNs) {
      const connectedLater = connectsHere ? u.establishedNs : 0;
      add('forward', Math.min(Math.max(d.firstReadNs, connectedLater), u.firstWriteNs), u.firstWriteNs);
    }
  }
  if (u) {
    if (u.writes > 1) add('request transfer', u.firstWriteNs, u.lastWriteNs);
    const asked = u.lastWriteNs || (connectsHere ? u.establishedNs : 0);
    const answered = u.arrivedNs || u.firstReadNs;
    if (asked && (answered || hop.end || resetNs(u))) {
      const until = isAnswered(u) ? answered : (upstream?.endNs ?? 0);
      add('upstream wait', Math.min(asked, until), until);
    }
    if (u.firstReadNs) {
      add('answer read wait', Math.min(u.arrivedNs || u.firstReadNs, u.firstReadNs), u.firstReadNs);
      if (d?.firstWriteNs) add('answer forward', Math.min(u.firstReadNs, d.firstWriteNs), d.firstWriteNs);
    }
  }
  if (d && d.writes > 1) add('answer transfer', d.firstWriteNs, d.lastWriteNs);
  return { hop: whole, ...(upstream ? { upstream } : {}), phases };
}

function exchangeInterval(hop: Hop): Interval {
  const { downstream: d, upstream: u } = hop;
  const main = d ?? u;
  if (!main) return { startNs: 0, endNs: 0 };
  const began = hop.setUp ? (d ? d.establishedNs || d.acceptedNs : main.synNs) : 0;
  const startNs =
    began ||
    earliestOf(d?.arrivedNs ?? 0, d?.firstReadNs ?? 0) ||
    earliestOf(u?.arrivedNs ?? 0, u?.firstReadNs ?? 0, u?.firstWriteNs ?? 0, main.firstWriteNs) ||
    endNs(main);
  return { startNs, endNs: Math.max(startNs, exchangeEnd(hop, main)) };
}

function exchangeEnd(hop: Hop, main: Side): number {
  const { downstream: d, upstream: u } = hop;
  const reset = Math.max(d ? resetNs(d) : 0, u ? resetNs(u) : 0);
  if (d && isAnswered(d)) return Math.max(d.lastWriteNs, d.lastReadNs, u?.lastReadNs ?? 0, reset);
  const moved = Math.max(
    ...[main.lastReadNs, main.lastWriteNs, u?.lastReadNs ?? 0, u?.lastWriteNs ?? 0, reset],
  );
  if (!hop.end) return moved;
  return Math.max(moved, lastOf(d), d && u ? endNs(u) : lastOf(u));
}

/** The upstream connection was made for this exchange, and not ahead of it or for another. */
function connectsWithin({ downstream, setUp, pairing, tries }: Hop, u: SideRecord): boolean {
  if (u.synNs === 0 || u.exchange > 1) return false;
  if (setUp && !tries?.length && u.synNs >= (downstream?.establishedNs ?? 0)) return true;
  const before = tries?.at(-1);
  const neededNs = before ? lastByteNs(before) : (downstream?.firstReadNs ?? 0);
  return pairing === 'content' && downstream !== undefined && u.synNs >= neededNs;
}

/** Set-up to end of the connection itself. */
function connectionInterval(hop: Hop): Interval {
  const main = hop.downstream ?? hop.upstream;
  if (!main) return { startNs: 0, endNs: 0 };
  const startNs =
    main.synNs || main.establishedNs || earliestOf(main.firstReadNs, main.firstWriteNs) || endNs(main);
  return { startNs, endNs: Math.max(startNs, lastOf(main)) };
}

/** When the proxy had let go of the connection, or TCP of it. */
function lastOf(record: SideRecord | undefined): number {
  if (!record) return 0;
  return Math.max(record.finReceivedNs, record.finSentNs, record.finSentNs ? 0 : record.closedNs);
}

function upstreamInterval(hop: Hop, u: Side, whole: Interval): Interval {
  const connects = connectsWithin(hop, u);
  const startNs = connects
    ? u.synNs
    : earliestOf(u.firstWriteNs, u.arrivedNs, u.firstReadNs) || whole.startNs;
  if (hop.kind === 'connection')
    return { startNs: u.synNs || startNs, endNs: Math.max(startNs, endNs(u) || whole.endNs) };
  const answered = hasExchange(u) && isAnswered(u);
  const endedNs = answered
    ? u.lastReadNs
    : hop.end
      ? endNs(u) || whole.endNs
      : Math.max(u.lastWriteNs, startNs, resetNs(u));
  return { startNs, endNs: Math.max(startNs, endedNs) };
}

/** Of a request that a hop led to beside the one that answered it. */
export function furtherInterval(side: Side, hop: Interval): Interval {
  const endedNs = side.lastReadNs || endNs(side) || side.lastWriteNs;
  return clamp({ startNs: side.firstWriteNs, endNs: endedNs }, hop);
}

/** Of an upstream connection that failed. */
export function attemptInterval(attempt: SideRecord, hop: Interval): Interval {
  return clamp({ startNs: attempt.synNs, endNs: endNs(attempt) }, hop);
}

/** The part of `inner` that lies within `outer`. */
export function clamp(inner: Interval, outer: Interval): Interval {
  const startNs = Math.min(Math.max(inner.startNs, outer.startNs), outer.endNs);
  return { startNs, endNs: Math.min(Math.max(inner.endNs, startNs), outer.endNs) };
}
