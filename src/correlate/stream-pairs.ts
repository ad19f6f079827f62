import { isSameRequest } from './http-sides.ts';
import { isDownstream, type Side } from './side.ts';

/** Both sides of a stream end with the same bytes; a record that is later than this was lost. Nanoseconds. */
const WAIT_NS = 5_000_000_000;

/**
 * The two sides of each stream of an HTTP/2 connection that is relayed byte for byte: the same number on both connections
 * of the pair. Streams overlap and end in any order, so byte counts tell no borders here.
 */
export interface StreamPairs {
  add(side: Side): void;
  advance(nowNs: number): void;
  flush(): void;
  size(): number;
}

export interface StreamPairsResult {
  pair(downstream: Side, upstream: Side): void;
  /** @param contradiction the other side is there, and carries another request */
  apart(side: Side, contradiction: boolean): void;
}

export function createStreamPairs(result: StreamPairsResult): StreamPairs {
  /** By downstream connection and number, the longest wait first. */
  const waiting = new Map<string, { readonly side: Side; readonly sinceNs: number }>();
  let nowNs = 0;

  function giveUp(beforeNs: number): void {
    for (const [key, { side, sinceNs }] of waiting) {
      if (sinceNs > beforeNs) return;
      waiting.delete(key);
      result.apart(side, false);
    }
  }

  return {
    add(side) {
      const key = `${isDownstream(side) ? side.connection : side.peer} ${side.exchange}`;
      const other = waiting.get(key)?.side;
      if (!other || other.role === side.role) {
        waiting.set(key, { side, sinceNs: nowNs });
        if (other) result.apart(other, false);
        return;
      }
      waiting.delete(key);
      const [d, u] = isDownstream(side) ? [side, other] : [other, side];
      if (isSameRequest(d, u)) result.pair(d, u);
      else for (const half of [d, u]) result.apart(half, true);
    },
    advance(ns) {
      nowNs = ns;
      giveUp(nowNs - WAIT_NS);
    },
    flush: () => giveUp(Number.POSITIVE_INFINITY),
    size: () => waiting.size,
  };
}
