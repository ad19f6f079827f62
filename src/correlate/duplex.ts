import type { PairedExchange } from './pair.ts';
import { hasEnded, lastByteNs, mergeSides, type Side } from './side.ts';

/** An answer that came before its request adds so much to the score, an orderly exchange takes one away. */
const GAIN = 50;
/** From here on bytes go both ways at once, until the score is down to nothing. */
const LIMIT = 150;
const MAX_SCORE = 500;
/** Exchanges of such a connection are told once in so long, in nanoseconds. */
const HOLD_NS = 1_000_000_000;

/**
 * A chat has no exchanges: bytes go both ways at once, and the direction turns hundreds of times a second. What gives it
 * away is that nobody waits: answers lie in the kernel before the request that they would answer is written, and requests
 * before the answer before them is. Such a connection is told as one overlapping exchange a second.
 */
export interface Duplex {
  /** The exchange, or what it completes; nothing while it is held. */
  push(exchange: PairedExchange): PairedExchange[];
  /** What has been held since before `beforeNs`. */
  release(beforeNs?: number): PairedExchange[];
}

export function createDuplex(): Duplex {
  let score = 0;
  let bothWays = false;
  let held: PairedExchange | undefined;
  let sinceNs = 0;
  let lastWriteNs = 0;

  function release(): PairedExchange[] {
    if (!held) return [];
    const whole = held;
    held = undefined;
    return [whole];
  }

  return {
    push(exchange) {
      const early = answerCameFirst(exchange.upstream) || requestCameEarly(exchange.downstream, lastWriteNs);
      lastWriteNs = exchange.downstream?.lastWriteNs ?? 0;
      score = early ? Math.min(score + GAIN, MAX_SCORE) : Math.max(score - 1, 0);
      bothWays = bothWays ? score > 0 : score >= LIMIT;
      if (!bothWays) return [...release(), exchange];
      if (!held) sinceNs = endOf(exchange);
      held = join(held, exchange);
      const over = [exchange.downstream, exchange.upstream].some((side) => side && hasEnded(side));
      return over || endOf(exchange) - sinceNs >= HOLD_NS ? release() : [];
    },
    release: (beforeNs = Number.POSITIVE_INFINITY) => (sinceNs < beforeNs ? release() : []),
  };
}

/** The request was there before the answer to the one before it was written: nobody waited for that answer. */
function requestCameEarly(downstream: Side | undefined, lastWriteNs: number): boolean {
  return downstream !== undefined && downstream.arrivedNs > 0 && downstream.arrivedNs < lastWriteNs;
}

function answerCameFirst(upstream: Side | undefined): boolean {
  return upstream !== undefined && upstream.arrivedNs > 0 && upstream.arrivedNs < upstream.firstWriteNs;
}

function endOf({ downstream, upstream }: PairedExchange): number {
  return Math.max(downstream ? lastByteNs(downstream) : 0, upstream ? lastByteNs(upstream) : 0);
}

function join(held: PairedExchange | undefined, next: PairedExchange): PairedExchange {
  const merge = (a: Side | undefined, b: Side | undefined): Side | undefined =>
    a && b ? mergeSides([a, b]) : (a ?? b);
  const downstream = merge(held?.downstream, next.downstream);
  const upstream = merge(held?.upstream, next.upstream);
  return { ...(downstream ? { downstream } : {}), ...(upstream ? { upstream } : {}), overlapping: true };
}
