/** So many values tell which there are. */
const ENOUGH = 64;
/** Values that are counted at the same time; then those seen once are forgotten. */
const MAX_COUNTED = 512;
/** From so many on all counts are halved, so that what a proxy does now counts more. */
const MAX_TOTAL = 4096;
/** What a proxy may add to a message, and take away, where it was never seen to: some headers. Bytes. */
const MAX_ADDED = 2048;
const MAX_TAKEN = 512;

/** Which values come how often: by how many bytes one side differs from the other. */
export interface Differences {
  add(value: number): void;
  /**
   * How surprising the value is: the negative binary logarithm of its probability, by the values that came. Infinite where
   * it cannot be.
   */
  bits(value: number): number;
  /** Enough values have come to know those that matter. */
  readonly hasLearned: boolean;
}

export function createDifferences(): Differences {
  let counts = new Map<number, number>();
  /** The sum of the counts. */
  let total = 0;
  /** Values that came, and those of them that were new then; halved like the counts. */
  let added = 0;
  let fresh = 0;

  function keep(survives: (count: number) => number): void {
    const kept = [...counts].map(([value, count]): [number, number] => [value, survives(count)]);
    counts = new Map(kept.filter(([, count]) => count > 0));
    total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  }

  return {
    get hasLearned() {
      return added >= ENOUGH;
    },
    add(value) {
      const count = counts.get(value) ?? 0;
      counts.set(value, count + 1);
      total++;
      added++;
      if (count === 0) fresh++;
      if (counts.size > MAX_COUNTED) keep((each) => each - 1);
      if (added <= MAX_TOTAL) return;
      keep((each) => each >> 1);
      added >>= 1;
      fresh >>= 1;
    },
    bits(value) {
      const share = (each: number): number => (total === 0 ? 0 : (counts.get(each) ?? 0) / total);
      const isUsual = value >= -MAX_TAKEN && value <= MAX_ADDED;
      /* What is new is next to what came, for a proxy writes times, whose digits vary; or anything that is usual. */
      const near = (share(value - 1) + share(value + 1)) / 2;
      const any = isUsual ? 1 / (MAX_TAKEN + 1 + MAX_ADDED) : 0;
      const isNew = (fresh + 1) / (added + 2);
      return -Math.log2((1 - isNew) * share(value) + (isNew * (near + any)) / 2);
    },
  };
}
