/** What did not fit into a bounded table. */
export const OTHER = 'other';

/** A table that takes no more than `limit` names; what is beyond counts under `OTHER`. */
export class Bounded<V> {
  readonly #entries = new Map<string, V>();
  readonly #limit: number;
  readonly #make: (key: string) => V;

  constructor(limit: number, make: (key: string) => V) {
    this.#limit = limit;
    this.#make = make;
  }

  of(key: string): V {
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    if (this.#entries.size >= this.#limit && key !== OTHER) return this.of(OTHER);
    const value = this.#make(key);
    this.#entries.set(key, value);
    return value;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  entries(): [string, V][] {
    return [...this.#entries];
  }

  values(): V[] {
    return [...this.#entries.values()];
  }
}

/** Counts by name, bounded. */
export class Counts {
  readonly #counts: Bounded<{ n: number }>;

  constructor(limit: number) {
    this.#counts = new Bounded(limit, () => ({ n: 0 }));
  }

  add(key: string, n = 1): void {
    this.#counts.of(key).n += n;
  }

  /** The largest first; `OTHER` last. */
  sorted(): Count[] {
    return this.#counts
      .entries()
      .map(([name, { n }]) => ({ name, count: n }))
      .sort((a, b) => Number(a.name === OTHER) - Number(b.name === OTHER) || b.count - a.count);
  }
}

export interface Count {
  readonly name: string;
  readonly count: number;
}
