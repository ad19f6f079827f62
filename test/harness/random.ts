/** A number, or a range from which each draw is taken (evenly over the logarithm, so that small ones are common). */
export type Range = number | { readonly min: number; readonly max: number };

/** Numbers in [0, 1) that the seed alone decides (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number. */
export function draw(range: Range, random: () => number): number {
  if (typeof range === 'number') return range;
  const low = Math.log(range.min + 1);
  const high = Math.log(range.max + 2);
  return Math.min(range.max, Math.max(range.min, Math.floor(Math.exp(low + random() * (high - low)) - 1)));
}
