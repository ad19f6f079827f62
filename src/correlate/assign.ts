/** That these two may belong together, and how good the evidence is: 1 is the best tier. */
export interface Edge<D, U> {
  readonly down: D;
  readonly up: U;
  readonly tier: number;
}

/**
 * The pairs that follow from the edges. Tier by tier, an edge is taken where it is the only one of both its ends; what it
 * takes away may leave others alone. What is left has several candidates, or none.
 */
export function assign<D, U>(edges: readonly Edge<D, U>[]): Map<D, U> {
  const pairs = new Map<D, U>();
  const taken = new Set<U>();
  const tiers = [...new Set(edges.map(({ tier }) => tier))].toSorted((a, b) => a - b);
  for (const limit of tiers) {
    let open = edges.filter(({ tier }) => tier <= limit);
    for (;;) {
      open = open.filter(({ down, up }) => !pairs.has(down) && !taken.has(up));
      const [downs, ups] = [counted(open, 'down'), counted(open, 'up')];
      const sure = open.filter(({ down, up }) => downs.get(down) === 1 && ups.get(up) === 1);
      if (sure.length === 0) break;
      for (const { down, up } of sure) {
        pairs.set(down, up);
        taken.add(up);
      }
    }
  }
  return pairs;
}

function counted<D, U, End extends 'down' | 'up'>(
  edges: readonly Edge<D, U>[],
  end: End,
): Map<D | U, number> {
  const counts = new Map<D | U, number>();
  for (const edge of edges) counts.set(edge[end], (counts.get(edge[end]) ?? 0) + 1);
  return counts;
}
