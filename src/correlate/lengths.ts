import { SIDE_FLAGS } from '../records.gen.ts';
import { assign } from './assign.ts';
import type { HttpHalf } from './content.ts';
import { createDifferences, type Differences } from './differences.ts';
import { hasExchange, isDownstream, isTls, isWhole, MANY_THREADS, type Side } from './side.ts';
import { contentLengths } from './tls.ts';

/**
 * By then after a downstream half came, all that could be taken for it has come, too: exchanges go up at the latest when
 * they were quiet for a second (src/receiver/ebpf.ts, http-sides.ts).
 */
const SETTLE_NS = 1_600_000_000;
/** How long an upstream half waits for its downstream half: the client may be slow to take the answer. */
const UPSTREAM_WAIT_NS = 10_000_000_000;
const SETTLE_INTERVAL_NS = 200_000_000;
/** Halves of each kind that wait; above it the oldest are settled with what there is. */
const MAX_WAITING = 32_768;
/** So much more surprising must every other pair be: a thousand times. */
const MARGIN_BITS = 10;
/** A request that waited for a connection, or an answer that waited for the client, may be so surprising at most. */
const MAX_LATE_BITS = 18;
/** Steps from the halves that are due to those that contend for the same, and on. */
const REACH = 2;
const MAX_PROCESSES = 4096;
/** Learned differences are kept of so many ways through proxies; those least used are forgotten. */
const MAX_ROUTES = 1024;

/**
 * Pairs the two halves of an exchange of which at least one cannot be read, since TLS ends or begins at the proxy: by
 * the turns of the event loop in which it was read and passed on, on both ways, and by how many bytes the proxy adds to a
 * request and takes from an answer. How often it adds how many is learned from turns that leave no choice.
 */
export interface LengthPairs {
  /** Some of this process's connections cannot be read: those that can may belong to them. */
  expect(tgid: number): void;
  /** Takes a half whose turns are known; true when it did. */
  add(half: HttpHalf): boolean;
  /** True when it waits here; it will be told to be ambiguous where nothing is found, if `ambiguous`. */
  keep(side: Side, ambiguous: boolean): boolean;
  /** It is paired by something better; true when it waited here. */
  withdraw(side: Side): boolean;
  advance(nowNs: number): void;
  /** Gives out at most so many; true when none is left. */
  flush(limit: number): boolean;
  size(): number;
}

export interface LengthResult {
  pair(downstream: HttpHalf, upstream: HttpHalf): void;
  /** @param ambiguous others fit as well */
  apart(half: HttpHalf, ambiguous: boolean): void;
}

interface Node {
  readonly half: HttpHalf;
  readonly side: Side;
  readonly request: number;
  readonly answer: number;
  dueNs: number;
  /** Has waited once more, for want of anything learned. */
  waited: boolean;
  /** Has been told apart, and still contends with others. */
  told: boolean;
  contested: boolean;
}

/** One half that may belong to the other, by the turns. */
interface Candidate {
  readonly down: Node;
  readonly up: Node;
  /** Sent on in the turn in which it was read, or in the next one; else the request waited for a connection. */
  readonly prompt: boolean;
  /** Both ends of the answer went back at once; else one of them. */
  readonly whole: boolean;
}

/** What a proxy does to what passes from one of its ports to one upstream address. */
interface Route {
  readonly requests: Differences;
  readonly answers: Differences;
  /** First answers over TLS, with which the proxy may send session tickets. */
  readonly firstAnswers: Differences;
}

export function createLengthPairs(result: LengthResult): LengthPairs {
  /** In the order in which they came. */
  const downs = new Map<Side, Node>();
  const ups = new Map<Side, Node>();
  /** Told, though they still contend; in the order in which they were. */
  const ghosts = new Set<Node>();
  const downsByTurn = createIndex(({ firstWriteTurn, lastWriteTurn }) => [firstWriteTurn, lastWriteTurn]);
  const upsByTurn = createIndex(({ firstReadTurn, lastReadTurn }) => [firstReadTurn, lastReadTurn]);
  const routes = new Map<string, Route>();
  /** Processes with connections that cannot be read; those forgotten that have shown one longest ago. */
  const hiding = new Set<number>();
  /** At the end of the stream, before its last halves are settled one after the other. */
  let hasLearnedAll = false;
  let nowNs = 0;
  let settledNs = 0;

  function expect(tgid: number): void {
    hiding.delete(tgid);
    hiding.add(tgid);
    for (const oldest of hiding) {
      if (hiding.size <= MAX_PROCESSES) break;
      hiding.delete(oldest);
    }
  }

  function routeOf({ down: { side: d }, up: { side: u } }: Candidate): Route {
    const key = `${d.tgid} ${d.localPort} ${u.remotePort} ${u.remoteAddr}`;
    const route = routes.get(key) ?? {
      requests: createDifferences(),
      answers: createDifferences(),
      firstAnswers: createDifferences(),
    };
    routes.delete(key);
    routes.set(key, route);
    for (const oldest of routes.keys()) {
      if (routes.size <= MAX_ROUTES) break;
      routes.delete(oldest);
    }
    return route;
  }

  /** Those who contend for the same upstream halves as `due`, and on to some distance; the last ones at its edge. */
  function contenders(due: Iterable<Node>): { edges: Candidate[]; rim: Set<Node> } {
    const edges: Candidate[] = [];
    const seen = new Set(due);
    let ring = new Set(seen);
    for (let step = 0; step < REACH; step++) {
      const next = new Set<Node>();
      for (const down of ring) {
        for (const up of upsByTurn.near(down.side, [down.side.firstWriteTurn, down.side.lastWriteTurn], -1)) {
          const candidate = candidateOf(down, up);
          if (!candidate) continue;
          edges.push(candidate);
          for (const rival of downsByTurn.near(up.side, [up.side.firstReadTurn, up.side.lastReadTurn], 1)) {
            if (seen.has(rival) || !candidateOf(rival, up)) continue;
            seen.add(rival);
            next.add(rival);
          }
        }
      }
      ring = next;
    }
    for (const down of ring) {
      for (const up of upsByTurn.near(down.side, [down.side.firstWriteTurn, down.side.lastWriteTurn], -1)) {
        const candidate = candidateOf(down, up);
        if (candidate) edges.push(candidate);
      }
    }
    return { edges, rim: ring };
  }

  /** Turns that leave no choice tell what the proxy adds and takes. */
  function learn(due: ReadonlySet<Node>, edges: readonly Candidate[]): void {
    const plain = edges.filter(({ prompt, whole }) => prompt && whole);
    const count = new Map<Node, number>();
    for (const { down, up } of plain) for (const end of [down, up]) count.set(end, (count.get(end) ?? 0) + 1);
    for (const edge of plain) {
      const { down, up } = edge;
      if (!due.has(down) || count.get(down) !== 1 || count.get(up) !== 1) continue;
      const route = routeOf(edge);
      route.requests.add(up.request - down.request);
      (isFirst(down) ? route.firstAnswers : route.answers).add(down.answer - up.answer);
    }
  }

  /** How surprising it would be that the proxy changed both lengths so. */
  function bitsOf(edge: Candidate): number {
    const { down, up } = edge;
    const { requests, answers, firstAnswers } = routeOf(edge);
    const kinds = isFirst(down) ? [firstAnswers, answers] : [answers];
    const answer = down.answer - up.answer;
    return requests.bits(up.request - down.request) + Math.min(...kinds.map((each) => each.bits(answer)));
  }

  function isEarly(edge: Candidate): boolean {
    const { answers, firstAnswers } = routeOf(edge);
    return !(isFirst(edge.down) ? firstAnswers : answers).hasLearned;
  }

  function remove(node: Node): void {
    if (isDownstream(node.side)) {
      downs.delete(node.side);
      ghosts.delete(node);
      downsByTurn.delete(node);
    } else {
      ups.delete(node.side);
      upsByTurn.delete(node);
    }
  }

  /** @param last nothing can be waited for any more */
  function settle(due: ReadonlySet<Node>, last: boolean): void {
    const { edges: candidates, rim } = contenders(due);
    learn(due, candidates);
    const edges = candidates
      .map((candidate) => ({ ...candidate, bits: bitsOf(candidate) }))
      .filter(({ bits, whole }) => bits <= (whole ? Number.MAX_VALUE : MAX_LATE_BITS));
    /* Not all is known of what those at the edge may be: each has one more choice, so that none is sure. */
    const phantoms = [...rim].map((down) => ({ down, up: { ...down }, prompt: true, bits: 0 }));
    const pairs = assign([...edges, ...phantoms], MARGIN_BITS);
    /* Came before enough was learned of where it went. */
    const early = new Set(candidates.filter(isEarly).map(({ down }) => down));
    for (const { down, up } of edges) {
      down.contested = true;
      up.contested = true;
    }
    for (const down of due) {
      const edge = pairs.get(down);
      /* A request may have waited for a connection, and contends; but then its lengths must tell that it did. */
      const refused = edge && !edge.prompt && edge.bits > MAX_LATE_BITS;
      if (edge && !refused) {
        remove(down);
        remove(edge.up);
        result.pair(down.half, edge.up.half);
      } else if (!down.waited && !last && early.has(down)) {
        downs.delete(down.side);
        downs.set(down.side, Object.assign(down, { waited: true, dueNs: nowNs + SETTLE_NS }));
      } else {
        downs.delete(down.side);
        down.told = true;
        ghosts.add(down);
        result.apart(down.half, down.contested && !refused);
      }
    }
  }

  function expire(beforeNs: number): void {
    for (const up of ups.values()) {
      if (up.dueNs > beforeNs && ups.size <= MAX_WAITING) break;
      remove(up);
      result.apart(up.half, up.contested);
    }
    for (const ghost of ghosts) {
      if (ghost.dueNs + SETTLE_NS > beforeNs && ghosts.size <= MAX_WAITING) break;
      remove(ghost);
    }
  }

  /** False when more than `limit` were due. */
  function settleUntil(ns: number, limit = Number.POSITIVE_INFINITY): boolean {
    const due = new Set<Node>();
    for (const down of downs.values()) {
      if (due.size === limit) break;
      if (down.dueNs > ns && downs.size - due.size <= MAX_WAITING) break;
      due.add(down);
    }
    if (due.size > 0) settle(due, ns === Number.POSITIVE_INFINITY);
    if (due.size === limit) return false;
    expire(ns);
    return true;
  }

  return {
    expect,
    size: () => downs.size + ups.size + ghosts.size,
    add(half) {
      const { side } = half;
      if (!hasTurns(side) || (side.http && !hiding.has(side.tgid))) return false;
      expect(side.tgid);
      const down = isDownstream(side);
      const dueNs = nowNs + (down ? SETTLE_NS : UPSTREAM_WAIT_NS);
      const node = {
        half,
        side,
        ...contentLengths(side),
        dueNs,
        waited: false,
        told: false,
        contested: false,
      };
      (down ? downs : ups).set(side, node);
      (down ? downsByTurn : upsByTurn).add(node);
      return true;
    },
    keep(side, ambiguous) {
      const node = downs.get(side) ?? ups.get(side);
      if (node && ambiguous) node.contested = true;
      return node !== undefined;
    },
    withdraw(side) {
      const node = downs.get(side) ?? ups.get(side);
      if (node) remove(node);
      return node !== undefined;
    },
    advance(ns) {
      nowNs = ns;
      if (nowNs - settledNs < SETTLE_INTERVAL_NS) return;
      settledNs = nowNs;
      settleUntil(nowNs);
    },
    flush(limit) {
      const all = new Set(downs.values());
      if (!hasLearnedAll && all.size > 0) learn(all, contenders(all).edges);
      hasLearnedAll = true;
      return settleUntil(Number.POSITIVE_INFINITY, limit);
    },
  };
}

/** A whole exchange, all of whose reads and writes one event loop has done, in turns that were counted. */
function hasTurns(side: Side): boolean {
  const { firstReadTurn, firstWriteTurn, opTid, tlsRecordsRead, tlsRecordsWritten } = side;
  if (!hasExchange(side) || side.peer || side.flags & SIDE_FLAGS.SERVER_FIRST || side.cut) return false;
  if (!firstReadTurn || !firstWriteTurn || !opTid || opTid === MANY_THREADS) return false;
  return isTls(side) ? tlsRecordsRead > 0 && tlsRecordsWritten > 0 : isWhole(side);
}

/** Turns are counted in 32 bits. */
const turnsBetween = (from: number, to: number): number => (to - from) | 0;
const atOnce = (from: number, to: number): boolean => to === from || turnsBetween(from, to) === 1;

/** Nothing goes out before it came in, and at least one end of the answer was passed back at once. */
function candidateOf(down: Node, up: Node): Candidate | undefined {
  const [d, u] = [down.side, up.side];
  if (d.tgid !== u.tgid || d.opTid !== u.opTid) return undefined;
  if (turnsBetween(d.firstReadTurn, u.firstWriteTurn) < 0) return undefined;
  if (turnsBetween(d.lastReadTurn, u.lastWriteTurn) < 0) return undefined;
  if (turnsBetween(u.lastReadTurn, d.lastWriteTurn) < 0) return undefined;
  const first = atOnce(u.firstReadTurn, d.firstWriteTurn);
  const last = atOnce(u.lastReadTurn, d.lastWriteTurn);
  if (!first && !last) return undefined;
  if (d.http && u.http) return undefined; // what can be read is paired by that (content.ts)
  const prompt = atOnce(d.firstReadTurn, u.firstWriteTurn) || atOnce(d.lastReadTurn, u.lastWriteTurn);
  return { down, up, prompt, whole: first && last };
}

const isFirst = ({ side }: Node): boolean => isTls(side) && side.exchange === 2;

interface Index {
  add(node: Node): void;
  delete(node: Node): void;
  /** Those of the same thread in one of these turns, or the one `step` further. */
  near(side: Side, turns: readonly number[], step: 1 | -1): Set<Node>;
}

function createIndex(turnsOf: (side: Side) => number[]): Index {
  const nodes = new Map<number, Set<Node>>();
  /* Exact: thread ids have 22 bits at most (PID_MAX_LIMIT). */
  const keyOf = (tid: number, turn: number): number => tid * 2 ** 30 + ((turn >>> 0) % 2 ** 30);

  return {
    add(node) {
      for (const turn of turnsOf(node.side)) {
        const key = keyOf(node.side.opTid, turn);
        const found = nodes.get(key);
        if (found) found.add(node);
        else nodes.set(key, new Set([node]));
      }
    },
    delete(node) {
      for (const turn of turnsOf(node.side)) {
        const key = keyOf(node.side.opTid, turn);
        const found = nodes.get(key);
        found?.delete(node);
        if (found?.size === 0) nodes.delete(key);
      }
    },
    near(side, turns, step) {
      const found = new Set<Node>();
      for (const turn of turns) {
        for (const each of [turn, turn + step]) {
          for (const node of nodes.get(keyOf(side.opTid, each)) ?? []) found.add(node);
        }
      }
      return found;
    },
  };
}
