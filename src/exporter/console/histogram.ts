// 64 buckets to each power of two: a bucket is at most 1/64 of its lower bound wide, so its middle is at most
// 0.8 % away from any value in it. Below 128 each bucket holds one value.
const SUB_BITS = 6;
const SUB = 1 << SUB_BITS;
/** Nanoseconds; about 39 hours. Longer ones count as this long. */
const MAX = 2 ** 47;
const BUCKETS = (47 - SUB_BITS) * SUB + SUB;

function indexOf(value: number): number {
  if (value < 2 * SUB) return value;
  const exponent = Math.floor(Math.log2(value));
  // log2 may round up to the next power just below it.
  const power = 2 ** exponent > value ? exponent - 1 : exponent;
  return (power - SUB_BITS) * SUB + Math.floor(value / 2 ** (power - SUB_BITS));
}

function middleOf(index: number): number {
  if (index < 2 * SUB) return index;
  const power = Math.floor(index / SUB) - 1;
  const lower = (index - power * SUB) * 2 ** power;
  return lower + 2 ** power / 2;
}

/** Counts durations in buckets of fixed number (about 10 kB); quantiles are right to 1 %. */
export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  #count = 0;

  /** Takes nanoseconds; what is below 0 counts as 0. */
  add(ns: number): void {
    const index = indexOf(Math.floor(Math.min(Math.max(ns, 0), MAX - 1)));
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  /** Nanoseconds below which the share `q` (0 to 1) of all values lies; 0 when there are none. */
  quantile(q: number): number {
    const rank = Math.max(1, Math.ceil(q * this.#count));
    let seen = 0;
    for (const [index, count] of this.#buckets.entries()) {
      seen += count;
      if (seen >= rank) return middleOf(index);
    }
    return 0;
  }
}
