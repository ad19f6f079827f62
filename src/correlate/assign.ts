/** That these two may belong together, and how surprising it would be. */
interface Edge {
  readonly down: unknown;
  readonly up: unknown;
  readonly bits: number;
}

/**
 * The pairs that follow from the edges, by their downstream halves. An edge is taken where every other one of both its
 * ends is more surprising by `marginBits`; what it takes away may leave others alone. What is left has several candidates,
 * or none.
 */
export function assign<E extends Edge>(edges: readonly E[], marginBits: number): Map<E['down'], E> {
  const pairs = new Map<E['down'], E>();
  const taken = new Set<E['up']>();
  let open = edges;
  for (;;) {
    open = open.filter(({ down, up }) => !pairs.has(down) && !taken.has(up));
    const [downs, ups] = [leastTwo(open, 'down'), leastTwo(open, 'up')];
    const isSure = ({ down, up, bits }: E): boolean =>
      [downs.get(down), ups.get(up)].every(
        (least) => least && bits === least[0] && bits + marginBits <= least[1],
      );
    const sure = open.filter(isSure);
    if (sure.length === 0) return pairs;
    for (const edge of sure) {
      pairs.set(edge.down, edge);
      taken.add(edge.up);
    }
  }
}

/** The two least of the bits of each end's edges. */
function leastTwo(edges: readonly Edge[], end: 'down' | 'up'): Map<unknown, [number, number]> {
  const least = new Map<unknown, [number, number]>();
  for (const { [end]: key, bits } of edges) {
    const [first, second] = least.get(key) ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    least.set(key, bits < first ? [bits, first] : [first, Math.min(second, bits)]);
  }
  return least;
}
