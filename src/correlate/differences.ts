/** Values that are told apart; a proxy adds a few lengths, by the digits of what it writes. */
const MAX_KNOWN = 32;
/** Often enough not to be chance. */
const MIN_SEEN = 3;
/** So many values tell which there are. */
const ENOUGH = 64;
/** Values that are counted at the same time; then those seen once are forgotten. */
const MAX_COUNTED = 512;
/** From so many on all counts are halved, so that what a proxy does now counts more. */
const MAX_TOTAL = 4096;

/** Which values come again and again: by how many bytes, or turns, one side differs from the other. */
export interface Differences {
  add(value: number): void;
  /** One of the most frequent values. */
  knows(value: number): boolean;
  /** Next to one of them: a proxy writes times, whose digits vary. */
  resembles(value: number): boolean;
  /** Enough values have come to know those that matter. */
  readonly hasLearned: boolean;
}

export function createDifferences(): Differences {
  let counts = new Map<number, number>();
  let total = 0;
  let known: Set<number> | undefined;

  function keep(survives: (count: number) => number): void {
    const kept = [...counts].map(([value, count]): [number, number] => [value, survives(count)]);
    counts = new Map(kept.filter(([, count]) => count > 0));
    total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  }

  function mostFrequent(): Set<number> {
    const frequent = [...counts].filter(([, count]) => count >= MIN_SEEN);
    return new Set(
      frequent
        .toSorted(([, a], [, b]) => b - a)
        .slice(0, MAX_KNOWN)
        .map(([value]) => value),
    );
  }

  function often(): Set<number> {
    known ??= mostFrequent();
    return known;
  }

  return {
    get hasLearned() {
      return total >= ENOUGH;
    },
    add(value) {
      counts.set(value, (counts.get(value) ?? 0) + 1);
      total++;
      known = undefined;
      if (counts.size > MAX_COUNTED) keep((count) => count - 1);
      if (total > MAX_TOTAL) keep((count) => count >> 1);
    },
    knows: (value) => often().has(value),
    resembles: (value) => often().has(value - 1) || often().has(value + 1),
  };
}
