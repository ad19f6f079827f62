import { MESSAGE_FLAGS } from '../records.gen.ts';
import {
  answers,
  arrange,
  GATEWAY_STATUSES,
  isSameContent,
  isWhole,
  isWithin,
  type Parts,
  type Trait,
  traitOf,
} from './evidence.ts';
import { assign } from './matching.ts';
import { isDownstream, lastByteNs, type Side } from './side.ts';

/** By then after its last byte whatever its proxy sent upstream has come, too: an exchange is held for a second (http-sides.ts). */
const SETTLE_NS = 1_300_000_000;
/** How much longer a downstream half waits for others that compete with it. */
const GRACE_NS = 2_000_000_000;
/** How long an upstream half waits for a slow client's downstream half, */
const UPSTREAM_WAIT_NS = 30_000_000_000;
/** and where this process has had none that could be read: its clients may speak TLS. */
const UNSEEN_WAIT_NS = 5_000_000_000;
/** Requests of one kind are looked at once in so long, all together. */
const INTERVAL_NS = 250_000_000;
/** Kinds of requests, and halves of them, that wait at the same time; the oldest are given apart above it. */
const MAX_KINDS = 16_384;
const MAX_HALVES = 32_768;
/** What was settled goes on so many at a time: each becomes several spans, and an exporter's queue is bounded. */
const MAX_GIVEN = 256;
/** Possible pairs that are looked into in one go; where there are more, all are ambiguous. */
const MAX_EDGES = 200_000;
const MAX_LEFTOVERS = 1_000_000;
/** An id that was seen on more than one request at a time tells nothing; it is asked again after so long. */
const DISTRUST_NS = 60_000_000_000;
/** Halves that may carry one id before it is distrusted. */
const MAX_CARRIERS = 64;

/** One half of an exchange, and what was known when it came. */
export interface HttpHalf {
  readonly side: Side;
  readonly setUp: boolean;
}

/** What one request led to upstream. */
export interface ContentMatch {
  readonly upstream: Side;
  readonly tries: readonly Side[];
  readonly mirrors: readonly Side[];
}

/**
 * Pairs the halves of requests that went through a proxy which speaks HTTP itself. An id that the request carries and
 * the proxy passes on is the surest evidence. Without one, requests of the same process, thread, method and path are
 * assigned to each other by times, statuses, lengths and user agents; what every possible assignment has in common is
 * a pair, all else is given apart.
 */
export interface ContentPairs {
  /** Takes a half whose request is over, and its answer or its connection; true when it did. */
  add(half: HttpHalf): boolean;
  /** True until the half is told of. */
  has(side: Side): boolean;
  /** It was paired by other evidence, with a half that cannot be read; true when it waited here. */
  withdraw(side: Side): boolean;
  advance(nowNs: number): void;
  /** Gives requests of at most so many kinds out; true when none is left. */
  flush(limit: number): boolean;
  size(): number;
}

export interface ContentResult {
  /** At once, when a half is found to be part of a pair, which is told of later. */
  claim?(side: Side): void;
  pair(downstream: HttpHalf, match: ContentMatch): void;
  /** @param ambiguous more than one half fits the other */
  apart(half: HttpHalf, ambiguous: boolean): void;
}

interface Entry extends Trait {
  readonly half: HttpHalf;
  readonly kind: Kind;
  dueNs: number;
  /** Could have belonged to more than one. */
  ambiguous: boolean;
  gone: boolean;
}

/** Requests that look alike. */
interface Kind {
  readonly key: string;
  downs: Entry[];
  ups: Entry[];
  dueNs: number;
  /** Upstream halves were given apart that may have belonged to requests of this time, and of later ones. */
  spentFromNs: number;
  spentToNs: number;
  /** Until when that is remembered. */
  spentUntilNs: number;
}

interface Carriers {
  downs: Entry[];
  ups: Entry[];
}

export function createContentPairs(result: ContentResult): ContentPairs {
  /** What was settled longest ago first. */
  const kinds = new Map<string, Kind>();
  const carriers = new Map<string, Carriers>();
  /** Until when, by id; the oldest first. */
  const distrusted = new Map<string, number>();
  /** Processes whose threads hand requests to each other, so that the thread says nothing. */
  const handing = new Set<number>();
  /** Processes that have had a downstream half. */
  const seen = new Set<number>();
  const entries = new Map<Side, Entry>();
  const settled: (() => void)[] = [];
  let waiting = 0;
  let nowNs = 0;

  function kindOf({ side, request, answer }: Trait): Kind {
    if (answer && request.tid !== answer.tid && handing.size < MAX_KINDS) handing.add(side.tgid);
    const tid = handing.has(side.tgid) ? 0 : request.tid;
    const body = isWhole(request) ? request.bodyBytes : 'cut';
    const key = `${side.tgid} ${tid} ${request.method} ${body} ${request.path}`;
    let kind = kinds.get(key);
    if (!kind) {
      const never = Number.POSITIVE_INFINITY;
      kind = { key, downs: [], ups: [], dueNs: never, spentFromNs: never, spentToNs: 0, spentUntilNs: 0 };
      kinds.set(key, kind);
    }
    return kind;
  }

  function leave(entry: Entry): void {
    entry.gone = true;
    waiting--;
    for (const id of entry.ids) {
      const found = carriers.get(id);
      if (!found) continue;
      found.downs = found.downs.filter((other) => other !== entry);
      found.ups = found.ups.filter((other) => other !== entry);
      if (found.downs.length + found.ups.length === 0) carriers.delete(id);
    }
  }

  function apart(entry: Entry, ambiguous: boolean): void {
    leave(entry);
    settled.push(() => {
      if (entries.delete(entry.side)) result.apart(entry.half, ambiguous || entry.ambiguous);
    });
  }

  function pair(down: Entry, { served, tries, mirrors }: Parts<Entry>): void {
    for (const entry of [down, served, ...tries, ...mirrors]) {
      leave(entry);
      entries.delete(entry.side);
      result.claim?.(entry.side);
    }
    const sides = (entries: readonly Entry[]): Side[] => entries.map(({ side }) => side);
    const match = { upstream: served.side, tries: sides(tries), mirrors: sides(mirrors) };
    settled.push(() => result.pair(down.half, match));
  }

  function distrust(id: string): void {
    carriers.delete(id);
    distrusted.delete(id);
    distrusted.set(id, nowNs + DISTRUST_NS);
  }

  function carry(entry: Entry): void {
    for (const id of entry.ids) {
      if (distrusted.has(id)) {
        distrust(id);
        continue;
      }
      const found = carriers.get(id) ?? { downs: [], ups: [] };
      carriers.set(id, found);
      (isDownstream(entry.side) ? found.downs : found.ups).push(entry);
      if (found.downs.length + found.ups.length > MAX_CARRIERS) distrust(id);
    }
  }

  /** By an id that nobody else carries at that time; the path may differ, for proxies rewrite it. */
  function pairById(down: Entry): boolean {
    for (const id of down.ids) {
      const found = carriers.get(id);
      const ups = found?.ups.filter((up) => isWithin(up, down)) ?? [];
      if (!found || ups.length === 0) continue;
      const parts = arrange(down, ups);
      const rivals = found.downs.filter((other) => other !== down && ups.some((up) => isWithin(up, other)));
      if (parts && rivals.length === 0) {
        pair(down, parts);
        return true;
      }
      if (rivals.length > 0 || !parts) distrust(id);
    }
    return false;
  }

  /** The half carries an id that another one of the other direction carries as well: it is that one's, or nobody's. */
  const isSpokenFor = (up: Entry, down: Entry): boolean =>
    up.ids.some((id) => (carriers.get(id)?.downs.length ?? 0) > 0) &&
    !up.ids.some((id) => down.ids.includes(id));

  const isOwn = (up: Entry, down: Entry): boolean =>
    answers(up, down) && isSameContent(up, down) && !isSpokenFor(up, down);

  function settle(kind: Kind, force: boolean): void {
    kind.downs = kind.downs.filter(({ gone }) => !gone);
    kind.ups = kind.ups.filter(({ gone }) => !gone);
    const isRipe = (entry: Entry): boolean => force || entry.dueNs <= nowNs;
    for (const down of kind.downs) if (isRipe(down)) pairById(down);
    if (kind.downs.some((down) => !down.gone && isRipe(down))) assignKind(kind, isRipe, force);
    for (const up of kind.ups) if (!up.gone && (force || up.dueNs <= nowNs)) spend(kind, up, false);
    if (force) for (const down of kind.downs) if (!down.gone) apart(down, false);
    kind.downs = kind.downs.filter(({ gone }) => !gone);
    kind.ups = kind.ups.filter(({ gone }) => !gone);
    schedule(kind);
  }

  function schedule(kind: Kind): void {
    kinds.delete(kind.key);
    const isEmpty = kind.downs.length + kind.ups.length === 0;
    if (isEmpty && kind.spentUntilNs <= nowNs) return;
    const dues = [...kind.downs, ...kind.ups].reduce(
      (first, { dueNs }) => Math.min(first, dueNs),
      Number.POSITIVE_INFINITY,
    );
    kind.dueNs = isEmpty ? kind.spentUntilNs : Math.max(dues, nowNs + INTERVAL_NS);
    kinds.set(kind.key, kind);
  }

  function assignKind(kind: Kind, isRipe: (entry: Entry) => boolean, force: boolean): void {
    const all = kind.downs.filter(({ gone }) => !gone);
    const ups = kind.ups.filter(({ gone }) => !gone);
    const [only, otherDown] = all;
    const [up, otherUp] = ups;
    if (only && up && !otherDown && !otherUp && isOwn(up, only)) {
      pair(only, { served: up, tries: [], mirrors: [] });
      return;
    }
    const fitting = fit(all, ups, isOwn);
    const downs = all.filter(isRipe);
    if (!fitting) {
      for (const down of downs) apart(down, true);
      const untilNs = downs.reduce((last, { beganNs }) => Math.max(last, beganNs), 0);
      for (const up of ups) if (up.beganNs <= untilNs) spend(kind, up);
      return;
    }
    const placeOf = new Map(downs.map((down, place) => [down, place]));
    const candidates = fitting.map((fits) => fits.flatMap((down) => placeOf.get(down) ?? []));
    /** Waits for downstream halves that compete, and for whose own upstream halves it may be too early. */
    const mayWait = (up: number): boolean =>
      !force && (fitting[up] ?? []).some((down) => !isRipe(down) && nowNs - down.dueNs < GRACE_NS);
    const tooLate = (down: Entry): boolean => nowNs - down.dueNs > GRACE_NS;
    const { sure, blocks } = assign(downs.length, candidates);
    const triesOf = leftovers(all, ups, fitting);
    const busy = new Set<Entry>();

    for (const [at, place] of sure.entries()) {
      const up = ups[at];
      const down = downs[place];
      if (!up || !down) continue;
      busy.add(down);
      if (mayWait(at) && !tooLate(down)) continue;
      const others = triesOf.get(down) ?? [];
      const parts = arrange(down, [up, ...others]) ?? { served: up, tries: [], mirrors: [] };
      pair(down, parts);
    }
    for (const block of blocks) {
      const members = block.downs.flatMap((place) => downs[place] ?? []);
      for (const down of members) busy.add(down);
      if (block.ups.some(mayWait) && !members.some(tooLate)) continue;
      const own = block.ups.flatMap((at) => ups[at] ?? []);
      const [only, other] = members;
      const parts = only && !other && arrange(only, [...own, ...(triesOf.get(only) ?? [])]);
      if (only && parts) {
        pair(only, parts);
        continue;
      }
      for (const down of members) apart(down, true);
      for (const up of own) spend(kind, up);
    }
    const unused = ups.filter((up, at) => !up.gone && (fitting[at] ?? []).length === 0);
    for (const down of downs) {
      if (!down.gone && !busy.has(down)) giveUnfit(kind, down, unused);
    }
  }

  /** Fits no upstream half; unless the proxy has changed the answer's length on its way (compression). */
  function giveUnfit(kind: Kind, down: Entry, unused: readonly Entry[]): void {
    const loose = unused.filter(
      (up) => !up.gone && isSameContent(up, down) && answers(up, down, true) && !isSpokenFor(up, down),
    );
    const parts = loose.length > 0 ? arrange(down, loose) : undefined;
    const rivals = kind.downs.some(
      (other) => other !== down && !other.gone && loose.some((up) => answers(up, other, true)),
    );
    if (parts && !rivals) {
      pair(down, parts);
      return;
    }
    const wasSpent = down.beganNs <= kind.spentToNs && down.endedNs >= kind.spentFromNs;
    const wasTried = unused.some((up) => !up.gone && isWithin(up, down) && isSameContent(up, down));
    /* So slow that its upstream half may have been given up and forgotten. */
    const wasSlow = down.endedNs - down.answeredNs > UPSTREAM_WAIT_NS;
    apart(down, wasTried || wasSpent || wasSlow);
  }

  function spend(kind: Kind, up: Entry, ambiguous = true): void {
    kind.spentFromNs = Math.min(kind.spentFromNs, up.beganNs);
    kind.spentToNs = Math.max(kind.spentToNs, up.beganNs);
    kind.spentUntilNs = nowNs + UPSTREAM_WAIT_NS;
    apart(up, ambiguous);
  }

  function give(limit: number): void {
    for (const tell of settled.splice(0, limit)) tell();
  }

  function makeRoom(): void {
    if (settled.length > MAX_HALVES) give(settled.length - MAX_HALVES);
    for (const kind of kinds.values()) {
      if (waiting <= MAX_HALVES && kinds.size <= MAX_KINDS) return;
      settle(kind, true);
      kinds.delete(kind.key);
    }
  }

  return {
    size: () => kinds.size + waiting + settled.length + distrusted.size,
    add(half) {
      const trait = traitOf(half.side);
      if (!trait) return false;
      const down = isDownstream(half.side);
      const dueNs = down
        ? Math.max(lastByteNs(half.side), trait.answer ? 0 : trait.endedNs) + SETTLE_NS
        : nowNs + (seen.has(half.side.tgid) ? UPSTREAM_WAIT_NS : UNSEEN_WAIT_NS);
      if (down && seen.size < MAX_KINDS) seen.add(half.side.tgid);
      const entry: Entry = { ...trait, half, kind: kindOf(trait), dueNs, ambiguous: false, gone: false };
      (down ? entry.kind.downs : entry.kind.ups).push(entry);
      entry.kind.dueNs = Math.min(entry.kind.dueNs, dueNs);
      entries.set(half.side, entry);
      waiting++;
      carry(entry);
      makeRoom();
      return true;
    },
    has: (side) => entries.has(side),
    withdraw(side) {
      const entry = entries.get(side);
      if (!entry) return false;
      entries.delete(side);
      if (!entry.gone) leave(entry);
      return true;
    },
    advance(ns) {
      nowNs = ns;
      for (const kind of kinds.values()) if (kind.dueNs <= nowNs) settle(kind, false);
      for (const [id, untilNs] of distrusted) {
        if (untilNs > nowNs && distrusted.size <= MAX_KINDS) break;
        distrusted.delete(id);
      }
      give(MAX_GIVEN);
    },
    flush(limit) {
      for (const kind of kinds.values()) {
        if (settled.length >= limit) break;
        settle(kind, true);
        kinds.delete(kind.key);
      }
      give(limit);
      return settled.length + kinds.size === 0;
    },
  };
}

/** Downstream halves that are waiting for an answer at some moment, by what that answer turned out to be. */
interface Open {
  add(down: Entry): void;
  /** Those that this one may have answered, and some more. */
  of(up: Entry): Entry[];
}

function createOpen(): Open {
  const byAnswer = new Map<string, Entry[]>();
  const GATEWAY = 'gateway';
  const UNKNOWN = 'unknown';
  const answerOf = ({ answer }: Entry): string =>
    answer && answer.flags & MESSAGE_FLAGS.OVER ? `${answer.statusCode} ${answer.bodyBytes}` : UNKNOWN;

  function put(key: string, down: Entry): void {
    const list = byAnswer.get(key);
    if (list) list.push(down);
    else byAnswer.set(key, [down]);
  }

  return {
    add(down) {
      const key = answerOf(down);
      const isGateway = key !== UNKNOWN && GATEWAY_STATUSES.has(down.answer?.statusCode ?? 0);
      put(isGateway ? GATEWAY : key, down);
    },
    of(up) {
      const key = answerOf(up);
      const keys = key === UNKNOWN ? [...byAnswer.keys()] : [key, UNKNOWN, GATEWAY];
      return keys.flatMap((each) => {
        const list = byAnswer.get(each);
        if (!list) return [];
        const left = list.filter((down) => Math.min(down.answeredNs, down.endedNs) >= up.beganNs);
        if (left.length === 0) byAnswer.delete(each);
        else if (left.length < list.length) byAnswer.set(each, left);
        return left;
      });
    },
  };
}

/** By upstream half, the downstream halves that it could have given its answer; undefined where these are too many. */
function fit(
  downs: readonly Entry[],
  ups: readonly Entry[],
  isOwn: (up: Entry, down: Entry) => boolean,
): Entry[][] | undefined {
  const begun = downs.toSorted((a, b) => a.beganNs - b.beganNs);
  const order = ups.map((up, at) => ({ up, at })).toSorted((a, b) => a.up.beganNs - b.up.beganNs);
  const fits: Entry[][] = ups.map(() => []);
  const open = createOpen();
  let next = 0;
  let looked = 0;
  for (const { up, at } of order) {
    for (let down = begun[next]; down && down.beganNs <= up.beganNs; down = begun[++next]) open.add(down);
    const waiting = open.of(up);
    looked += waiting.length;
    if (looked > MAX_EDGES) return undefined;
    const found = waiting.filter((down) => isOwn(up, down));
    /* A proxy that passes on the authority does so for all. */
    const named = found.filter((down) => down.request.authority === up.request.authority);
    fits[at] = named.length > 0 ? named : found;
  }
  return fits;
}

/** Upstream halves whose answer nobody can have got, by the only downstream half that they were made for. */
function leftovers(
  downs: readonly Entry[],
  ups: readonly Entry[],
  fitting: readonly (readonly Entry[])[],
): Map<Entry, Entry[]> {
  const found = new Map<Entry, Entry[]>();
  const unfit = ups.filter((_, at) => (fitting[at]?.length ?? 0) === 0);
  const isTooMuch = unfit.length * downs.length > MAX_LEFTOVERS;
  for (const up of unfit) {
    if (isTooMuch) {
      up.ambiguous = true;
      continue;
    }
    const within = downs.filter((down) => isWithin(up, down) && isSameContent(up, down));
    const [only, other] = within;
    up.ambiguous = other !== undefined;
    if (only && !other) found.set(only, [...(found.get(only) ?? []), up]);
  }
  return found;
}
