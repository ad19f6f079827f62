/** What is known of an assignment of upstream halves to downstream ones. */
export interface Assignment {
  /** By upstream half: the downstream half that it has in every largest assignment; -1 where there is a choice, or none. */
  readonly sure: Int32Array;
  /** Halves that could stand in for each other, together with their partners; each in one block at most. */
  readonly blocks: readonly Block[];
}

export interface Block {
  readonly downs: readonly number[];
  readonly ups: readonly number[];
}

const NOBODY = -1;

/**
 * Which upstream halves can belong to one downstream half only, when each has one of its own and none is
 * shared. An edge is in every maximum matching of a bipartite graph where no alternating cycle goes through it, and no
 * alternating path from an unmatched vertex reaches it (Dulmage and Mendelsohn's decomposition).
 * @param candidates by upstream half, the downstream halves that it could belong to
 */
export function assign(downCount: number, candidates: readonly (readonly number[])[]): Assignment {
  const { downOf, upOf } = largestMatching(downCount, candidates);
  const holders: number[][] = Array.from({ length: downCount }, () => []);
  for (const [up, downs] of candidates.entries()) for (const down of downs) holders[down]?.push(up);
  const tangle = createTangle(candidates.length, downCount);

  for (const [up, down] of downOf.entries()) {
    if (down === NOBODY && (candidates[up]?.length ?? 0) > 0) reachFromUp(up);
  }
  for (const [down, up] of upOf.entries()) {
    if (up === NOBODY && (holders[down]?.length ?? 0) > 0) reachFromDown(down);
  }
  for (const ring of rings(candidates, downOf, upOf, tangle.isTangled)) {
    const [first] = ring;
    for (const up of ring) {
      tangle.join(first as number, up);
      tangle.joinDown(up, downOf[up] as number);
    }
  }

  /** Downstream halves that an unmatched upstream half could take, and whatever their upstream halves could take then. */
  function reachFromUp(start: number): void {
    const stack = [start];
    tangle.join(start, start);
    for (let up = stack.pop(); up !== undefined; up = stack.pop()) {
      for (const down of candidates[up] ?? []) {
        const next = upOf[down] as number;
        const isNew = !tangle.isTangledDown(down);
        tangle.joinDown(up, down);
        if (next === NOBODY || !isNew) continue;
        tangle.joinDown(next, down);
        stack.push(next);
      }
    }
  }

  /** The same from a downstream half without an upstream one. */
  function reachFromDown(start: number): void {
    const stack = [start];
    const seen = new Set<number>(stack);
    for (let down = stack.pop(); down !== undefined; down = stack.pop()) {
      for (const up of holders[down] ?? []) {
        tangle.joinDown(up, down);
        const next = downOf[up] as number;
        if (next === NOBODY || seen.has(next)) continue;
        seen.add(next);
        tangle.joinDown(up, next);
        stack.push(next);
      }
    }
  }

  const sure = new Int32Array(candidates.length).fill(NOBODY);
  for (const [up, down] of downOf.entries()) if (down !== NOBODY && !tangle.isTangled(up)) sure[up] = down;
  return { sure, blocks: tangle.blocks() };
}

interface Matching {
  readonly downOf: Int32Array;
  readonly upOf: Int32Array;
}

function largestMatching(downCount: number, candidates: readonly (readonly number[])[]): Matching {
  const downOf = new Int32Array(candidates.length).fill(NOBODY);
  const upOf = new Int32Array(downCount).fill(NOBODY);
  for (const [up, downs] of candidates.entries()) {
    /* The last to have come is the likeliest: few searches are left to be made. */
    const free = downs.findLast((down) => upOf[down] === NOBODY);
    if (free === undefined) continue;
    downOf[up] = free;
    upOf[free] = up;
  }
  /** What a search in vain has seen helps no later one. */
  const dead = new Uint8Array(downCount);
  for (const [up, down] of downOf.entries()) if (down === NOBODY) augment(up);
  return { downOf, upOf };

  function augment(start: number): void {
    const cameFrom = new Map<number, number>();
    const queue = [start];
    for (const up of queue) {
      for (const down of candidates[up] ?? []) {
        if (dead[down] || cameFrom.has(down)) continue;
        cameFrom.set(down, up);
        const next = upOf[down] as number;
        if (next === NOBODY) {
          flip(down, cameFrom);
          return;
        }
        queue.push(next);
      }
    }
    for (const down of cameFrom.keys()) dead[down] = 1;
  }

  function flip(end: number, cameFrom: ReadonlyMap<number, number>): void {
    for (let down = end; down !== NOBODY; ) {
      const up = cameFrom.get(down) as number;
      const before = downOf[up] as number;
      downOf[up] = down;
      upOf[down] = up;
      down = before;
    }
  }
}

/** Sets of matched upstream halves that can pass their downstream halves round: strongly connected ones (Tarjan). */
function rings(
  candidates: readonly (readonly number[])[],
  downOf: Int32Array,
  upOf: Int32Array,
  isTangled: (up: number) => boolean,
): number[][] {
  const found: number[][] = [];
  const order = new Int32Array(candidates.length);
  const low = new Int32Array(candidates.length);
  const onStack = new Uint8Array(candidates.length);
  const stack: number[] = [];
  let count = 0;
  const takesPart = (up: number): boolean => up !== NOBODY && downOf[up] !== NOBODY && !isTangled(up);

  for (const root of candidates.keys()) {
    if (order[root] || !takesPart(root)) continue;
    const calls: { up: number; at: number }[] = [];
    enter(root, calls);
    for (let call = calls.at(-1); call; call = calls.at(-1)) {
      const { up } = call;
      const down = candidates[up]?.[call.at++];
      if (down === undefined) {
        calls.pop();
        leave(up, calls.at(-1)?.up);
        continue;
      }
      const next = upOf[down] as number;
      if (next === up || !takesPart(next)) continue;
      if (!order[next]) enter(next, calls);
      else if (onStack[next]) low[up] = Math.min(low[up] as number, order[next] as number);
    }
  }
  return found;

  function enter(up: number, calls: { up: number; at: number }[]): void {
    order[up] = low[up] = ++count;
    stack.push(up);
    onStack[up] = 1;
    calls.push({ up, at: 0 });
  }

  function leave(up: number, parent: number | undefined): void {
    if (parent !== undefined) low[parent] = Math.min(low[parent] as number, low[up] as number);
    if (low[up] !== order[up]) return;
    const ring = stack.splice(stack.lastIndexOf(up));
    for (const member of ring) onStack[member] = 0;
    if (ring.length > 1) found.push(ring);
  }
}

/** Halves that have become entangled: a union-find over upstream halves first, downstream ones behind them. */
function createTangle(upCount: number, downCount: number) {
  const parent = new Int32Array(upCount + downCount).fill(NOBODY);
  const find = (node: number): number => {
    let root = node;
    while (parent[root] !== root) root = parent[root] as number;
    for (let at = node; parent[at] !== root; ) {
      const next = parent[at] as number;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  const union = (a: number, b: number): void => {
    if (parent[a] === NOBODY) parent[a] = a;
    if (parent[b] === NOBODY) parent[b] = b;
    parent[find(a)] = find(b);
  };
  return {
    isTangled: (up: number): boolean => parent[up] !== NOBODY,
    isTangledDown: (down: number): boolean => parent[upCount + down] !== NOBODY,
    join: union,
    joinDown: (up: number, down: number): void => union(up, upCount + down),
    blocks(): Block[] {
      const byRoot = new Map<number, { downs: number[]; ups: number[] }>();
      for (const node of parent.keys()) {
        if (parent[node] === NOBODY) continue;
        const root = find(node);
        const block = byRoot.get(root) ?? { downs: [], ups: [] };
        byRoot.set(root, block);
        if (node < upCount) block.ups.push(node);
        else block.downs.push(node - upCount);
      }
      return [...byRoot.values()];
    },
  };
}
