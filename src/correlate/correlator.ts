import {
  type ClockRecord,
  type HostRecord,
  type KernelRecord,
  type ProxyRecord,
  RECEIVER_KIND,
} from '../receiver/kernel-record.ts';
import { KIND, SIDE_FLAGS } from '../records.gen.ts';
import { createChain } from './chain.ts';
import { createContentPairs, type HttpHalf } from './content.ts';
import { createDuplex, type Duplex } from './duplex.ts';
import { type Hop, keyOf, type Pairing } from './hop.ts';
import { createHttpSides, isSameRequest, lendHeads, shareHeads } from './http-sides.ts';
import { createHttp2Sides } from './http2-sides.ts';
import { createLengthPairs } from './lengths.ts';
import { createOwnAnswers } from './own-answers.ts';
import { createPair, type Pair, type PairedExchange } from './pair.ts';
import { carriesEnd, carriesSetUp, isComplete } from './set-up-and-end.ts';
import { hasEnded, hasExchange, isDownstream, isPooled, isPreexisting, isStream, type Side } from './side.ts';
import { createStreamPairs } from './stream-pairs.ts';
import { createTlsConnections } from './tls.ts';
import { createAttempts, isAttempt } from './unpaired.ts';

/** A full-duplex connection's exchange that nothing follows. */
const HELD_NS = 2_000_000_000;
/** How long an ended, unpaired connection waits for the other half. */
const UNPAIRED_WAIT_NS = 1_000_000_000;
/** How long a pair waits for its second connection to end; longer than TCP's last retransmissions. */
const HALF_ENDED_WAIT_NS = 120_000_000_000;
/** A connection that was silent for so long is forgotten, for its end may have been lost. */
const FORGET_NS = 3_600_000_000_000;
/** A failed attempt waits for the downstream connection that it was made for. */
const ATTEMPT_WAIT_NS = 60_000_000_000;

/** Processes of which something is remembered. */
const MAX_PROCESSES = 65_536;

/** What the correlator could not make sense of; all zero in a healthy run. */
export interface CorrelatorStats {
  hops: number;
  /** Pairs whose byte counts deny that they belong together. */
  contradictions: number;
  ambiguous: number;
}

/** Kernel records to hops. Pure: no clock but that of the records, no I/O; the same records give the same hops. */
export interface Correlator {
  push(record: KernelRecord): void;
  /** Gives out what is complete, of at most so many connections; for the end of the stream. True when nothing is left. */
  flush(limit?: number): boolean;
  /** Entries kept for what may come: down to nothing once all connections have ended and their time has passed. */
  size(): number;
  readonly stats: Readonly<CorrelatorStats>;
}

interface PairState {
  readonly pair: Pair;
  readonly duplex: Duplex;
  setUpTold: boolean;
  endTold: boolean;
  exchanges: number;
  /** When the first of the two ended. */
  halfEndedNs: number | undefined;
  lastNs: number;
}

interface HalfState {
  setUpTold: boolean;
  lastNs: number;
}

export function createCorrelator(emit: (hop: Hop) => void): Correlator {
  const stats: CorrelatorStats = { hops: 0, contradictions: 0, ambiguous: 0 };
  const proxies = new Map<number, ProxyRecord>();
  /** By the downstream connection. */
  const pairs = new Map<number, PairState>();
  const halves = new Map<number, HalfState>();
  /** Ended without a pair: by connection, waiting for an attempt that explains them. */
  const orphans = new Map<number, { record: Side; setUp: boolean; sinceNs: number }>();
  const attempts = createAttempts();
  const tls = createTlsConnections();
  const httpSides = createHttpSides((side) => onSide(tls.complete(side)));
  const http2Sides = createHttp2Sides((side) => (isStream(side) ? onStream(side) : onSide(side)));
  const streamPairs = createStreamPairs({
    pair: (d, u) =>
      give({
        kind: 'exchange',
        downstream: d,
        upstream: u,
        pairing: 'buffer',
        setUp: carriesSetUp(d, u),
        end: carriesEnd(d, u),
      }),
    apart(side, contradiction) {
      if (contradiction) stats.contradictions++;
      onStream({ ...side, peer: 0 });
    },
  });
  const content = createContentPairs({
    claim: (side) => void lengths.withdraw(side),
    pair: ({ side, setUp }, match) => giveHalf(side, { ...match, pairing: 'content' }, setUp),
    apart(half, ambiguous) {
      if (!lengths.keep(half.side, ambiguous)) giveApart(half, ambiguous);
    },
  });
  const lengths = createLengthPairs({
    pair({ side, setUp }, upstream) {
      for (const end of [side, upstream.side]) content.withdraw(end);
      const [downstream, other] = lendHeads(side, upstream.side);
      giveHalf(downstream, { upstream: other, pairing: 'length' }, setUp);
    },
    apart(half, ambiguous) {
      if (!content.has(half.side)) giveApart(half, ambiguous);
    },
  });
  const ownAnswers = createOwnAnswers(attempts.take, ({ side, setUp, attempts: tried, failure }) => {
    const upstream = tried.at(-1);
    if (upstream) giveHalf(side, { upstream, attempts: tried.slice(0, -1), pairing: 'connect' }, setUp);
    else if (failure) giveHalf(side, { failure, ambiguous: true }, setUp);
    else giveHalf(side, { ownAnswer: isOwnAnswer(side) }, setUp);
  });
  /** Processes whose upstream connections carry requests that are seen, and those with others. */
  const readable = new Set<number>();
  const opaque = new Set<number>();
  const chain = createChain((hop) => {
    stats.hops++;
    if (hop.ambiguous) stats.ambiguous++;
    emit(hop);
  });
  /**
   * Up to when all records have come. Under load they wait in the ring while the clock goes on: then it is the newest
   * one's time.
   */
  let horizonNs = 0;
  let newestNs = 0;
  let isMoving = false;
  let host: HostRecord | undefined;
  let clock: ClockRecord = { kind: RECEIVER_KIND.CLOCK, monotonicNs: 0, wallSeconds: 0, wallNanos: 0 };

  type HopParts = Pick<Hop, 'kind' | 'pairing' | 'setUp' | 'end'> &
    Partial<
      Pick<
        Hop,
        | 'downstream'
        | 'upstream'
        | 'attempts'
        | 'tries'
        | 'mirrors'
        | 'ownAnswer'
        | 'failure'
        | 'ambiguous'
        | 'overlapping'
      >
    >;

  function give(parts: HopParts): void {
    const side = parts.downstream ?? parts.upstream;
    if (!side?.tgid) return; // never accepted by a watched process
    const key = keyOf(side);
    chain.add({
      key,
      trace: key,
      attempts: [],
      ambiguous: false,
      overlapping: false,
      proxy: proxies.get(side.tgid),
      host,
      clock,
      ...parts,
    });
  }

  function noteUpstream(record: Side): void {
    if (!hasExchange(record) || isDownstream(record) || record.peer) return;
    const known = record.http ? readable : opaque;
    if (known.size < MAX_PROCESSES) known.add(record.tgid);
  }

  /** An answer that no upstream can have given, for all that this process asks of upstreams is seen. */
  const isOwnAnswer = ({ tgid, http }: Side): boolean =>
    http?.answer !== undefined && readable.has(tgid) && !opaque.has(tgid);

  function onSide(record: Side): void {
    noteUpstream(record);
    if (isDownstream(record) && hasEnded(record)) attempts.servedBy(record, record.closeTid);
    if (record.peer) {
      const downstream = isDownstream(record) ? record.connection : record.peer;
      let state = pairs.get(downstream);
      if (!state) {
        state = {
          pair: createPair(halves.has(record.connection) || halves.has(record.peer)),
          duplex: createDuplex(),
          setUpTold: halves.get(downstream)?.setUpTold ?? false,
          endTold: false,
          exchanges: 0,
          halfEndedNs: undefined,
          lastNs: 0,
        };
        pairs.set(downstream, state);
        for (const connection of [record.connection, record.peer]) halves.delete(connection);
      }
      state.pair.push(record);
      state.lastNs = clock.monotonicNs;
      if (hasEnded(record)) state.halfEndedNs ??= clock.monotonicNs;
      drainPair(downstream, state, false);
      return;
    }
    if (isPooled(record) && hasEnded(record)) {
      givePooled(record);
      if (!hasExchange(record)) return;
    }
    const setUp = claimSetUp(record);
    if (isDownstream(record) && hasEnded(record)) attempts.addDownstream(record, clock.monotonicNs);
    if (takes({ side: record, setUp })) return;
    if (hasEnded(record)) onUnpairedEnd(record, setUp);
    else giveHalf(record, {}, setUp);
  }

  function onStream(side: Side): void {
    noteUpstream(side);
    if (side.peer) {
      streamPairs.add(side);
      return;
    }
    const setUp = carriesSetUp(side);
    if (!content.add({ side, setUp })) giveHalf(side, {}, setUp);
  }

  function tell(state: PairState, { downstream: d, upstream: u, overlapping }: PairedExchange): void {
    if (d && u && !isSameRequest(d, u)) {
      stats.contradictions++;
      for (const side of [d, u]) {
        const half = { side, setUp: false };
        if (!takes(half)) giveHalf(side, {}, false);
      }
      return;
    }
    const setUp = state.exchanges === 0 && carriesSetUp(d, u);
    const end = carriesEnd(d, u);
    state.exchanges++;
    state.setUpTold ||= setUp;
    state.endTold ||= end;
    if (setUp && d && u) attempts.servedBy(d, u.tid);
    const tried = setUp && d && u ? attempts.takeNamed(d, u.tid) : [];
    give({
      kind: 'exchange',
      ...(d ? { downstream: shareHeads(d, u) } : {}),
      ...(u ? { upstream: shareHeads(u, d) } : {}),
      attempts: tried,
      pairing: 'buffer',
      setUp,
      end,
      overlapping,
    });
  }

  function drainPair(downstream: number, state: PairState, force: boolean): void {
    for (let next = state.pair.next(force); next; next = state.pair.next(force)) {
      if (force && !isComplete(next.downstream)) continue;
      const borders = next.downstream?.http ?? next.upstream?.http;
      for (const exchange of borders ? [next] : state.duplex.push(next)) tell(state, exchange);
    }
    const over = state.pair.finished() || (force && state.pair.downstream && hasEnded(state.pair.downstream));
    if (over || force) for (const exchange of state.duplex.release()) tell(state, exchange);
    if (!over) return;
    pairs.delete(downstream);
    if (state.pair.contradiction()) stats.contradictions++;
    const d = state.pair.downstream;
    const u = state.pair.upstream;
    const known = d !== undefined && !isPreexisting(d);
    if (state.endTold && (state.setUpTold || !known)) return;
    give({
      kind: (d ?? u)?.exchange === 0 ? 'exchange' : 'connection',
      ...(d ? { downstream: d } : {}),
      ...(u ? { upstream: u } : {}),
      pairing: 'buffer',
      setUp: known,
      end: true,
    });
  }

  /** The first record of an unpaired connection tells of its set-up. */
  function claimSetUp(record: Side): boolean {
    const state = halves.get(record.connection) ?? { setUpTold: false, lastNs: 0 };
    state.lastNs = clock.monotonicNs;
    const setUp = !state.setUpTold && carriesSetUp(record);
    state.setUpTold = true;
    if (hasEnded(record)) halves.delete(record.connection);
    else halves.set(record.connection, state);
    return setUp;
  }

  function giveApart({ side, setUp }: HttpHalf, ambiguous: boolean): void {
    if (ambiguous) giveHalf(side, { ambiguous }, setUp);
    else if (hasEnded(side) && !side.http?.answer) onUnpairedEnd(side, setUp);
    else if (isDownstream(side) && side.http) ownAnswers.add(side, setUp, horizonNs);
    else giveHalf(side, {}, setUp);
  }

  /** Whether what pairs exchanges of a proxy that speaks HTTP or ends TLS has taken it. */
  function takes(half: HttpHalf): boolean {
    const byLengths = lengths.add(half); // first, for the other may settle at once
    return content.add(half) || byLengths;
  }

  /** An exchange of a connection that relays nothing to another one we know: nothing to wait for. */
  function giveHalf(record: Side, parts: Partial<HopParts>, setUp: boolean): void {
    const d = isDownstream(record) ? record : undefined;
    const u = d ? undefined : record;
    give({
      kind: hasExchange(record) || record.exchange === 0 ? 'exchange' : 'connection',
      ...(d ? { downstream: d } : {}),
      ...(u ? { upstream: u } : {}),
      pairing: 'none',
      setUp,
      end: hasEnded(record),
      ...parts,
    });
  }

  /** The connection itself, of which requests of different clients have made use. */
  function givePooled(record: Side): void {
    halves.delete(record.connection);
    const { http: _, ...facts } = record;
    const flags = record.flags & ~SIDE_FLAGS.EXCHANGE;
    const upstream = { ...facts, flags, exchange: 0 };
    give({ kind: 'connection', upstream, pairing: 'none', setUp: true, end: true });
  }

  function waitForAttempts(record: Side, setUp: boolean): void {
    orphans.set(record.connection, { record, setUp, sinceNs: clock.monotonicNs });
  }

  function onUnpairedEnd(record: Side, setUp: boolean): void {
    if (isDownstream(record)) waitForAttempts(record, setUp);
    else if (isAttempt(record)) {
      attempts.add(record, clock.monotonicNs);
      ownAnswers.addFailed(record, horizonNs);
    } else giveHalf(record, {}, setUp);
  }

  function settleOrphans(beforeNs: number): void {
    for (const [connection, { record, setUp, sinceNs }] of orphans) {
      if (sinceNs > beforeNs) return; // in order of their ends
      orphans.delete(connection);
      const { failure, ambiguous, ...found } = attempts.takeFor(record);
      const upstream = found.attempts.at(-1);
      const pairing: Pairing = upstream ? found.pairing : 'none';
      const parts = {
        ...(upstream ? { upstream } : {}),
        ...(failure ? { failure } : {}),
        attempts: found.attempts.slice(0, -1),
        pairing,
        ambiguous,
      };
      giveHalf(record, parts, setUp);
    }
  }

  function note(...times: number[]): void {
    newestNs = Math.max(newestNs, ...times);
    isMoving = true;
  }

  function advance(nowNs: number): void {
    horizonNs = isMoving ? Math.max(horizonNs, Math.min(newestNs, nowNs)) : nowNs;
    isMoving = false;
    httpSides.advance(horizonNs);
    http2Sides.advance(horizonNs);
    streamPairs.advance(horizonNs);
    content.advance(horizonNs);
    lengths.advance(horizonNs);
    ownAnswers.settle(horizonNs);
    settleOrphans(horizonNs - UNPAIRED_WAIT_NS);
    for (const record of attempts.expire(nowNs - ATTEMPT_WAIT_NS))
      giveHalf(record, { ambiguous: true }, claimSetUp(record));
    for (const [downstream, state] of pairs) {
      for (const exchange of state.duplex.release(nowNs - HELD_NS)) tell(state, exchange);
      const { halfEndedNs, lastNs } = state;
      const silent = nowNs - lastNs > FORGET_NS;
      if (silent || (halfEndedNs !== undefined && nowNs - halfEndedNs > HALF_ENDED_WAIT_NS)) {
        drainPair(downstream, state, true);
        const d = state.pair.downstream;
        if (silent || !d || hasEnded(d)) pairs.delete(downstream);
      }
    }
    for (const [connection, { lastNs }] of halves) if (nowNs - lastNs > FORGET_NS) halves.delete(connection);
    chain.advance(nowNs);
  }

  return {
    stats,
    size: () =>
      pairs.size +
      halves.size +
      orphans.size +
      attempts.size() +
      chain.size() +
      httpSides.size() +
      http2Sides.size() +
      streamPairs.size() +
      content.size() +
      ownAnswers.size() +
      lengths.size() +
      tls.size(),
    push(record) {
      switch (record.kind) {
        case KIND.SIDE:
          note(record.lastReadNs, record.lastWriteNs, record.releasedNs);
          if (!http2Sides.onSide(record)) httpSides.onSide(record);
          return;
        case RECEIVER_KIND.HTTP_MESSAGE:
          note(record.lastNs);
          return (record.stream ? http2Sides : httpSides).onMessage(record);
        case RECEIVER_KIND.TLS_HELLO:
          lengths.expect(record.tgid);
          return tls.onHello(record);
        case RECEIVER_KIND.CLOCK:
          clock = record;
          return advance(record.monotonicNs);
        case RECEIVER_KIND.PROXY:
          proxies.set(record.tgid, record);
          return;
        case RECEIVER_KIND.HOST:
          host = record;
          return;
        case KIND.PROCESS:
        case KIND.FREEZE:
        case RECEIVER_KIND.NETWORK:
          return;
      }
    },
    flush(limit = Number.POSITIVE_INFINITY) {
      if (!httpSides.flush(limit) || !http2Sides.flush(limit)) return false;
      streamPairs.flush();
      if (!content.flush(limit) || !lengths.flush(limit)) return false;
      let count = 0;
      for (const [downstream, state] of pairs) {
        if (count++ === limit) return false;
        drainPair(downstream, state, true);
        pairs.delete(downstream);
      }
      ownAnswers.settle(Number.POSITIVE_INFINITY);
      settleOrphans(Number.POSITIVE_INFINITY);
      for (const record of attempts.expire(Number.POSITIVE_INFINITY))
        giveHalf(record, { ambiguous: true }, claimSetUp(record));
      chain.flush();
      return true;
    },
  };
}
