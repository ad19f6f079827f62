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

const DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const digit = (value: number): number => DIGITS[value & 15] as number;

/**
 * Two 32-bit numbers as sixteen hexadecimal digits. Ids are made for every span: made in one piece they are strings
 * that lie flat, where concatenation makes trees that are flattened when they are encoded.
 */
export function hex(high: number, low: number): string {
  return String.fromCharCode(
    digit(high >>> 28),
    digit(high >>> 24),
    digit(high >>> 20),
    digit(high >>> 16),
    digit(high >>> 12),
    digit(high >>> 8),
    digit(high >>> 4),
    digit(high),
    digit(low >>> 28),
    digit(low >>> 24),
    digit(low >>> 20),
    digit(low >>> 16),
    digit(low >>> 12),
    digit(low >>> 8),
    digit(low >>> 4),
    digit(low),
  );
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
    h = mix(h ^ key.exchange);
    return key.after ? mix(h ^ (key.after >>> 0) ^ Math.floor(key.after / 4294967296)) : h;
  };
  return {
    traceId: (root, part) => {
      const own = part + SPAN_PART.TRACE;
      return hex(word(0, root, own) || 1, word(1, root, own)) + hex(word(2, root, own), word(3, root, own));
    },
    spanId: (key, part) => hex(word(0, key, part) || 1, word(1, key, part)),
  };
}
