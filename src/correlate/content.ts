import { MESSAGE_FLAGS } from '../records.gen.ts';
import { hasExchange, isDownstream, lastByteNs, type Side } from './side.ts';

/** By then after its last byte whatever its proxy sent upstream has come, too: an exchange is held for a second (http-sides.ts). */
const SETTLE_NS = 1_300_000_000;
/** How long an upstream half waits for a slow client's downstream half. */
const UPSTREAM_WAIT_NS = 30_000_000_000;
/** Requests that wait at the same time; the oldest are given apart above it. */
const MAX_GROUPS = 16_384;
/** An id that was seen on more than one request at a time tells nothing; it is asked again after so long. */
const DISTRUST_NS = 60_000_000_000;
/** Headers that tell a request from all others, the surest first. */
const IDS = ['traceparent', 'b3', 'x-b3-spanid', 'uber-trace-id', 'x-request-id'];

/** One half of an exchange, and what was known when it came. */
export interface HttpHalf {
  readonly side: Side;
  readonly setUp: boolean;
}

interface Group {
  readonly downs: HttpHalf[];
  readonly ups: HttpHalf[];
  dueNs: number;
}

/**
 * Pairs the two halves of a request that went through a proxy which speaks HTTP itself, by an id that the request
 * carries and the proxy passes on. A pair must have the same method, path and status, the upstream exchange must lie within
 * the downstream one, and nobody else may carry the id at that time; else the halves are given apart.
 */
export interface ContentPairs {
  /** Takes a half that has an id and a whole answer; true when it did. */
  add(half: HttpHalf): boolean;
  advance(nowNs: number): void;
  /** Gives at most so many requests out; true when none is left. */
  flush(limit: number): boolean;
  size(): number;
}

export interface ContentResult {
  pair(downstream: HttpHalf, upstream: Side): void;
  /** @param ambiguous more than one half fits the other */
  apart(half: HttpHalf, ambiguous: boolean): void;
}

export function createContentPairs(result: ContentResult): ContentPairs {
  /** By process, id, method and path; the longest wait first. */
  const groups = new Map<string, Group>();
  /** Until when, by key; the oldest first. */
  const distrusted = new Map<string, number>();
  let nowNs = 0;

  function settle(key: string, { downs, ups }: Group): void {
    groups.delete(key);
    const [down, otherDown] = downs;
    const [up, otherUp] = ups;
    const ambiguous = otherDown !== undefined || otherUp !== undefined;
    if (down && up && !ambiguous && liesWithin(up.side, down.side)) {
      result.pair(down, up.side);
      return;
    }
    if (ambiguous) distrusted.set(key, nowNs + DISTRUST_NS);
    for (const half of [...downs, ...ups]) result.apart(half, ambiguous);
  }

  return {
    size: () => groups.size + distrusted.size,
    add(half) {
      const key = keyOf(half.side);
      if (!key) return false;
      if (distrusted.has(key)) {
        distrusted.delete(key);
        distrusted.set(key, nowNs + DISTRUST_NS);
        result.apart(half, true);
        return true;
      }
      const down = isDownstream(half.side);
      let group = groups.get(key);
      if (!group) {
        group = { downs: [], ups: [], dueNs: nowNs + UPSTREAM_WAIT_NS };
        groups.set(key, group);
        for (const [oldest, first] of groups) {
          if (groups.size <= MAX_GROUPS) break;
          settle(oldest, first);
        }
      }
      (down ? group.downs : group.ups).push(half);
      if (down && group.downs.length === 1) group.dueNs = lastByteNs(half.side) + SETTLE_NS;
      if (group.downs.length > 1 || group.ups.length > 1) settle(key, group);
      return true;
    },
    advance(ns) {
      nowNs = ns;
      for (const [key, group] of groups) if (group.dueNs <= nowNs) settle(key, group);
      for (const [key, untilNs] of distrusted) {
        if (untilNs > nowNs && distrusted.size <= MAX_GROUPS) break;
        distrusted.delete(key);
      }
    },
    flush(limit) {
      let count = 0;
      for (const [key, group] of groups) {
        if (count++ === limit) return false;
        settle(key, group);
      }
      return true;
    },
  };
}

function keyOf(side: Side): string | undefined {
  const { request, answer } = side.http ?? {};
  if (!hasExchange(side) || !request?.method || !answer) return undefined;
  if (!(request.flags & answer.flags & MESSAGE_FLAGS.OVER)) return undefined;
  const name = IDS.find((header) => request.headers[header]);
  return name && `${side.tgid} ${request.headers[name]} ${request.method} ${request.path}`;
}

/** The request was read before it was sent on, and its answer came before it was passed back. */
function liesWithin(upstream: Side, downstream: Side): boolean {
  return (
    upstream.firstWriteNs >= downstream.firstReadNs &&
    upstream.firstReadNs <= downstream.firstWriteNs &&
    upstream.http?.answer?.statusCode === downstream.http?.answer?.statusCode
  );
}
