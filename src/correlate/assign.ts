/** That these two may belong together, and how surprising it would be. */
export interface Edge<D, U> {
  readonly down: D;
  readonly up: U;
  readonly bits: number;
}

/**
 * The pairs that follow from the edges. An edge is taken where every other one of both its ends is more surprising by
 * `marginBits`; what it takes away may leave others alone. What is left has several candidates, or none.
 */
export function assign<D, U>(edges: readonly Edge<D, U>[], marginBits: number): Map<D, U> {
  const pairs = new Map<D, U>();
  const taken = new Set<U>();
  let open = edges;
  for (;;) {
    open = open.filter(({ down, up }) => !pairs.has(down) && !taken.has(up));
    const [downs, ups] = [leastTwo(open, 'down'), leastTwo(open, 'up')];
    const isSure = ({ down, up, bits }: Edge<D, U>): boolean =>
      [downs.get(down), ups.get(up)].every(
        (least) => least && bits === least[0] && bits + marginBits <= least[1],
      );
    const sure = open.filter(isSure);
    if (sure.length === 0) return pairs;
    for (const { down, up } of sure) {
      pairs.set(down, up);
      taken.add(up);
    }
  }
}

/** The two least of the bits of each end's edges. */
function leastTwo<D, U, End extends 'down' | 'up'>(
  edges: readonly Edge<D, U>[],
  end: End,
): Map<D | U, [number, number]> {
  const least = new Map<D | U, [number, number]>();
  for (const { [end]: key, bits } of edges) {
    const [first, second] = least.get(key) ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    least.set(key, bits < first ? [bits, first] : [first, Math.min(second, bits)]);
  }
  return least;
}
