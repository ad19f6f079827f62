import type { KernelRecord } from '../../src/receiver/kernel-record.ts';
import { ROLE, SIDE_FLAGS, type SideRecord } from '../../src/records.gen.ts';
import { makeClock, makeHost, makeProxy } from './kernel-records.ts';
import { type Probed, pairUp, probed } from './probed.ts';
import { downstreamRecord, upstreamRecord } from './side-record.ts';

const MS = 1_000_000;
const SECOND = 1_000_000_000;
const START_NS = 1_000 * SECOND;
const CLOCK_NS = 50 * MS;
const ECONNREFUSED = 111;

/** A record and when it was made. */
export interface Timed {
  readonly ns: number;
  readonly record: SideRecord;
}

/** What really happened, by connection number. */
export interface StreamTruth {
  /** The upstream connection that relayed for a downstream one. */
  readonly relayedBy: ReadonlyMap<number, number>;
  /** The downstream connection for which an upstream one was tried in vain. */
  readonly triedFor: ReadonlyMap<number, number>;
  /** The upstream connection of the proxy before, at the other end of a downstream one. */
  readonly calledBy: ReadonlyMap<number, number>;
}

export interface RandomStream {
  /** In the order in which the probes made them. */
  readonly sides: readonly Timed[];
  readonly truth: StreamTruth;
}

interface Thread {
  readonly tgid: number;
  readonly tid: number;
  ops: number;
  /** Downstream connections that led to no upstream one yet. */
  readonly unclaimed: Set<number>;
}

/** Many connections at once through one proxy, some on through a second one; well-formed, the same for each seed. */
export function randomStream(random: () => number, connections: number): RandomStream {
  const sides: Timed[] = [];
  const truth = {
    relayedBy: new Map<number, number>(),
    triedFor: new Map<number, number>(),
    calledBy: new Map<number, number>(),
  };
  const whole = (below: number): number => Math.floor(random() * below);
  const chance = (share: number): boolean => random() < share;
  const threads = [0, 1].map((proxy) =>
    [0, 1].map((n): Thread => {
      const tgid = 100 * (proxy + 1);
      return { tgid, tid: tgid + 1 + n, ops: 0, unclaimed: new Set() };
    }),
  );
  /** What is to happen, and when; equal times in the order of planning. */
  const agenda: { ns: number; run: () => void }[] = [];
  let nowNs = START_NS;
  let ids = 0;

  function track(record: SideRecord): Probed {
    return probed(record, (emitted) => sides.push({ ns: nowNs, record: emitted }));
  }

  function accept(thread: Thread, proxy: number, flags: number, chained?: Probed): Probed {
    const { tgid, tid } = thread;
    const connection = track(
      downstreamRecord({
        ...{ connection: ++ids, tgid, tid, flags, openOp: flags ? 0 : ++thread.ops, localPort: 8000 + proxy },
        ...{ establishedNs: flags ? 0 : nowNs - 10, acceptedNs: flags ? 0 : nowNs, remotePort: 10_000 + ids },
        chained: chained?.record.connection ?? 0,
      }),
    );
    if (!flags) thread.unclaimed.add(ids);
    if (chained) truth.calledBy.set(ids, chained.record.connection);
    return connection;
  }

  function connect(thread: Thread, established: boolean, flags = 0): Probed {
    const [candidate = 0, ...others] = flags ? [] : thread.unclaimed;
    const named = others.length === 0 ? candidate : 0;
    thread.unclaimed.delete(named);
    const { tgid, tid } = thread;
    const setUp = { openOp: flags ? 0 : ++thread.ops, synNs: flags ? 0 : nowNs, candidate: named };
    return track(
      upstreamRecord({
        ...{ ...setUp, connection: ++ids, tgid, tid, flags, localPort: 20_000 + ids },
        establishedNs: established && !flags ? nowNs + 5 : 0,
      }),
    );
  }

  function close(thread: Thread, connection: Probed, fields: Partial<SideRecord> = {}): void {
    const { connection: id, candidate, peer } = connection.record;
    thread.unclaimed.delete(id);
    if (candidate && !peer) thread.unclaimed.add(candidate); // for its next try
    connection.end(nowNs, { closeOp: ++thread.ops, closeTid: thread.tid, ...fields });
  }

  /** One client: accepted, tried for, relayed, closed; steps are planned one after the other. */
  function planClient(startNs: number): void {
    const [own, others] = threads as [Thread[], Thread[]];
    const thread = own[whole(2)] as Thread;
    /* One that is older than the probes has its upstream connection. */
    const flags = chance(0.05) ? SIDE_FLAGS.PREEXISTING : 0;
    const tries = !flags && chance(0.2) ? 1 + whole(2) : 0;
    let ns = startNs;
    const step = (run: () => void, apartNs = 1 + whole(20 * MS)): void => {
      ns += apartNs;
      agenda.push({ ns, run });
    };
    let d: Probed;
    let u: Probed | undefined;
    let inner: { d: Probed; u: Probed; thread: Thread } | undefined;
    step(() => {
      d = accept(thread, 0, flags);
    });
    for (let n = 0; n < tries; n++) {
      let tried: Probed;
      step(() => {
        tried = connect(thread, false);
        truth.triedFor.set(tried.record.connection, d.record.connection);
      });
      step(
        () => close(thread, tried, { error: ECONNREFUSED, finReceivedNs: 0, finSentNs: 0 }),
        chance(0.5) ? 0 : MS,
      );
    }
    if (tries === 0 || chance(0.4)) {
      step(() => {
        u = connect(thread, true, flags);
      });
      if (!flags && chance(0.4)) {
        step(() => {
          const second = others[whole(2)] as Thread;
          const innerD = accept(second, 1, 0, u);
          inner = { d: innerD, u: connect(second, true), thread: second };
        });
      }
      planTalk(step, () => [d, u as Probed, ...(inner ? [inner.d, inner.u] : [])]);
      step(() => {
        if (!inner) return;
        close(inner.thread, inner.u);
        close(inner.thread, inner.d);
      });
      step(() => close(thread, u as Probed), 0);
    }
    step(() => close(thread, d), chance(0.8) ? 0 : whole(3 * SECOND));
  }

  /** Exchanges along a row of connections, some pipelined, the last perhaps unanswered. */
  function planTalk(step: (run: () => void, apartNs?: number) => void, row: () => Probed[]): void {
    const relay = (connections: readonly Probed[], bytes: number): void => {
      for (let i = 0; i < connections.length; i += 2) {
        const [from, to] = [connections[i], connections[i + 1]] as [Probed, Probed];
        from.read(bytes, ++nowNs);
        to.write(bytes, ++nowNs);
        if (!from.record.peer) {
          const [d, u] = from.record.role === ROLE.DOWNSTREAM ? [from, to] : [to, from];
          pairUp(d, u);
          truth.relayedBy.set(d.record.connection, u.record.connection);
          for (const thread of threads.flat()) thread.unclaimed.delete(d.record.connection);
        }
      }
    };
    if (chance(0.1)) step(() => relay(row().toReversed(), 1 + whole(100)));
    const exchanges = whole(6) + 1;
    for (let n = 0; n < exchanges; n++) {
      const requests = chance(0.1) ? 2 : 1;
      for (let r = 0; r < requests; r++) step(() => relay(row(), 1 + whole(5000)));
      if (n === exchanges - 1 && chance(0.2)) return;
      const parts = 1 + whole(3);
      for (let p = 0; p < parts; p++) step(() => relay(row().toReversed(), 1 + whole(5000)));
      if (chance(0.1)) step(() => {}, 2 * SECOND);
    }
  }

  for (let n = 0; n < connections; n++) planClient(START_NS + whole(SECOND));
  agenda.sort((a, b) => a.ns - b.ns);
  for (const { ns, run } of agenda) {
    nowNs = Math.max(nowNs, ns);
    run();
  }
  return { sides, truth };
}

/** The whole stream that a receiver would make of these: host, proxies, and its clock as time passes. */
export function streamOf(sides: readonly Timed[]): KernelRecord[] {
  const records: KernelRecord[] = [makeHost(), makeClock(START_NS)];
  for (const tgid of [100, 200]) records.push(makeProxy({ tgid, serviceName: `proxy-${tgid}` }));
  let clockNs = START_NS;
  for (const { ns, record } of sides) {
    while (clockNs + CLOCK_NS < ns) {
      clockNs += CLOCK_NS;
      records.push(makeClock(clockNs));
    }
    records.push(record);
  }
  records.push(makeClock(clockNs + CLOCK_NS));
  return records;
}
