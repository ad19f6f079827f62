/** A number, or a range from which each draw is taken (evenly over the logarithm, so that small ones are common). */
export type Range = number | { readonly min: number; readonly max: number };

/** A whole number; `random` gives numbers in [0, 1). */
export function draw(range: Range, random: () => number): number {
  if (typeof range === 'number') return range;
  const low = Math.log(range.min + 1);
  const high = Math.log(range.max + 2);
  return Math.min(range.max, Math.max(range.min, Math.floor(Math.exp(low + random() * (high - low)) - 1)));
}
