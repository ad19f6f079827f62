import type { ExchangeKey } from '../correlate/hop.ts';

/** What a span is of its hop; part of its id, so that no two spans of an exchange share one. */
export const SPAN_PART = { TRACE: 1, HOP: 2, UPSTREAM: 3, PHASE: 16, CONNECTION: 64 } as const;

/** A 32-bit finaliser with full avalanche (the one of MurmurHash3). */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Every 16-bit number as four hexadecimal digits: ids are made for every span, and this is their dearest part. */
const HEX = Array.from({ length: 65_536 }, (_, value) => value.toString(16).padStart(4, '0'));

/** A 32-bit number as eight hexadecimal digits. */
export function hex(word: number): string {
  return (HEX[word >>> 16] as string) + (HEX[word & 0xffff] as string);
}

/**
 * Trace and span ids that look random, differ between runs and are the same whenever the same records are
 * replayed: a hash of the run's seed and of what the span stands for.
 */
export interface Ids {
  /** @param part 0, or SPAN_PART.CONNECTION for a trace of the connection's own */
  traceId(root: ExchangeKey, part: number): string;
  spanId(key: ExchangeKey, part: number): string;
}

/** @param seed 32 hexadecimal digits */
export function createIds(seed: string): Ids {
  const words = [0, 8, 16, 24].map((at) => Number.parseInt(seed.slice(at, at + 8), 16) >>> 0);
  const word = (index: number, key: ExchangeKey, part: number): number => {
    let h = mix((words[index] ?? 0) ^ Math.imul(part + 1, 0x9e3779b1));
    h = mix(h ^ (key.connection >>> 0));
    h = mix(h ^ Math.floor(key.connection / 4294967296) ^ Math.imul(index + 1, 0x7feb352d));
    return mix(h ^ key.exchange);
  };
  return {
    traceId: (root, part) => {
      const own = part + SPAN_PART.TRACE;
      return (
        hex(word(0, root, own) || 1) +
        hex(word(1, root, own)) +
        hex(word(2, root, own)) +
        hex(word(3, root, own))
      );
    },
    spanId: (key, part) => hex(word(0, key, part) || 1) + hex(word(1, key, part)),
  };
}
