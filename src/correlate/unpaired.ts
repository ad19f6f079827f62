import type { SideRecord } from '../records.gen.ts';
import { createCloses, letGoNs } from './closes.ts';

/** Nameless attempts that are remembered of one thread. */
const MAX_NAMELESS = 256;

/** What an unpaired downstream connection came to. */
export interface Tried {
  /** Made for it, in order; each is given once. */
  readonly attempts: SideRecord[];
  readonly pairing: 'connect' | 'order';
  /** Failed and took the connection with it, though it was made for another or nobody knows for whom. */
  readonly failure?: SideRecord;
  /** Attempts are about that may have been made for it. */
  readonly ambiguous: boolean;
}

/**
 * Upstream connections that ended without a byte relayed, by the downstream connection that called for them.
 * Their evidence is the order of the thread's calls: see struct hs_thread in bpf/connection.h.
 */
export interface Attempts {
  /** An upstream connection that ended. */
  add(upstream: SideRecord, nowNs: number): void;
  /** A downstream connection that ended unpaired; they are all added some time before they are asked for. */
  addDownstream(downstream: SideRecord, nowNs: number): void;
  takeFor(downstream: SideRecord): Tried;
  /**
   * What was tried in vain before `thread` opened the connection that relays for this downstream one, so that it is
   * known to have been that thread's.
   */
  takeNamed(downstream: SideRecord, thread: number): SideRecord[];
  /** Takes this attempt; false where it was taken before. */
  take(attempt: SideRecord): boolean;
  /** A downstream connection was served or let go of by this thread. */
  servedBy(downstream: SideRecord, thread: number): void;
  /** Those for which nobody came in time. */
  expire(beforeNs: number): SideRecord[];
  /** Attempts that wait, and places of closes that are remembered for the next ones. */
  size(): number;
}

interface Attempt {
  readonly record: SideRecord;
  readonly sinceNs: number;
  /** The downstream connection that the kernel named, until it is found to have been another thread's. */
  candidate: number;
}

/**
 * Without a byte; or with the request of a client whose connection the proxy had closed before it wrote that request
 * upstream, so that the two were not paired by its memory.
 */
export function isAttempt(upstream: SideRecord): boolean {
  if (upstream.totalRead !== 0) return false;
  return upstream.totalWritten === 0 || (upstream.candidate !== 0 && upstream.exchange === 1);
}

function agree(upstream: SideRecord, downstream: SideRecord): boolean {
  return upstream.totalWritten === 0 || upstream.totalWritten === downstream.totalRead;
}

export function createAttempts(): Attempts {
  /** All that nobody has taken yet, by their connection, in the order in which they came. */
  const waiting = new Map<number, Attempt>();
  const byCandidate = new Map<number, Attempt[]>();
  const closes = createCloses();
  /**
   * Processes whose threads hand connections to each other (HAProxy): there a thread connects for others, and the
   * one connection that it has itself accepted says nothing.
   */
  const handing = new Set<number>();
  /** By thread: when the last attempts were made for which the kernel named nobody, in the order of their ends. */
  const nameless = new Map<number, { synNs: number; sinceNs: number }[]>();

  const isNamed = ({ candidate, record }: Attempt): boolean => candidate !== 0 && !handing.has(record.tgid);

  function takeNamed(downstream: SideRecord, thread: number): SideRecord[] {
    const named = byCandidate.get(downstream.connection) ?? [];
    byCandidate.delete(downstream.connection);
    const taken: SideRecord[] = [];
    for (const attempt of named) {
      const { connection, tid } = attempt.record;
      if (!waiting.has(connection)) continue;
      if (tid === thread && isNamed(attempt) && agree(attempt.record, downstream)) {
        waiting.delete(connection);
        taken.push(attempt.record);
      } else attempt.candidate = 0;
    }
    return taken;
  }

  /** An attempt that the order of closing leaves for this connection alone, and that is named for no other. */
  function takePartner(downstream: SideRecord): SideRecord[] {
    const partner = closes.partnerOf(downstream);
    const attempt = partner && waiting.get(partner.connection);
    if (!attempt || isNamed(attempt)) return [];
    waiting.delete(attempt.record.connection);
    return [attempt.record];
  }

  function noteNameless({ tid, synNs }: SideRecord, sinceNs: number): void {
    const list = nameless.get(tid) ?? [];
    list.push({ synNs, sinceNs });
    if (list.length > MAX_NAMELESS) list.shift();
    nameless.set(tid, list);
  }

  /** An attempt of the thread that let this connection go, in its lifetime, for nobody knows whom. */
  function mayHaveTried(downstream: SideRecord): boolean {
    const list = nameless.get(downstream.closeTid) ?? [];
    if (list.length === MAX_NAMELESS) return true;
    const untilNs = letGoNs(downstream);
    return list.some(({ synNs }) => synNs >= downstream.acceptedNs && synNs <= untilNs);
  }

  function forget({ record }: Attempt): void {
    waiting.delete(record.connection);
    const rest = byCandidate.get(record.candidate)?.filter((other) => other.record !== record);
    if (rest && rest.length > 0) byCandidate.set(record.candidate, rest);
    else byCandidate.delete(record.candidate);
  }

  return {
    takeNamed,
    take(record) {
      const attempt = waiting.get(record.connection);
      if (attempt) forget(attempt);
      return attempt !== undefined;
    },
    size: () => waiting.size + byCandidate.size + closes.size() + nameless.size,
    add(record, sinceNs) {
      const { candidate, connection } = record;
      const attempt = { record, sinceNs, candidate };
      waiting.set(connection, attempt);
      closes.add(record, sinceNs);
      if (candidate === 0) noteNameless(record, sinceNs);
      else byCandidate.set(candidate, [...(byCandidate.get(candidate) ?? []), attempt]);
    },
    addDownstream: (record, sinceNs) => closes.add(record, sinceNs),
    servedBy(downstream, thread) {
      if (thread !== 0 && downstream.tid !== thread) handing.add(downstream.tgid);
    },
    takeFor(downstream) {
      const { closeTid } = downstream;
      const sure = takeNamed(downstream, closeTid);
      if (sure.length > 0) return { attempts: sure, pairing: 'connect', ambiguous: false };
      const partner = takePartner(downstream);
      if (partner.length > 0) return { attempts: partner, pairing: 'order', ambiguous: false };
      const failure = closes.causeOf(downstream);
      const ambiguous = failure !== undefined || mayHaveTried(downstream);
      return { attempts: [], pairing: 'order', ambiguous, ...(failure ? { failure } : {}) };
    },
    expire(beforeNs) {
      const expired = [...waiting.values()].filter(({ sinceNs }) => sinceNs < beforeNs);
      expired.forEach(forget);
      closes.expire(beforeNs);
      for (const [tid, list] of nameless) {
        const recent = list.filter(({ sinceNs }) => sinceNs >= beforeNs);
        if (recent.length > 0) nameless.set(tid, recent);
        else nameless.delete(tid);
      }
      return expired.map(({ record }) => record);
    },
  };
}
