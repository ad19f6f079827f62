import type { SideRecord } from '../records.gen.ts';

/**
 * Upstream connections that ended without a byte relayed, by the downstream connection that called for them.
 * Their evidence is the order of the thread's calls: see struct hs_thread in bpf/connection.h.
 */
export interface Attempts {
  add(upstream: SideRecord, nowNs: number): void;
  /**
   * What was tried for a downstream connection that has ended, in order; each is given once. `rival` tells
   * whether another unpaired downstream connection ended at that place of the thread's calls.
   */
  takeFor(
    downstream: SideRecord,
    rival: (tid: number, closeOp: number) => boolean,
  ): { attempts: SideRecord[]; pairing: 'connect' | 'order' };
  /**
   * What was tried in vain before `thread` opened the connection that relays for this downstream one, so that it is
   * known to have been that thread's.
   */
  takeNamed(downstream: SideRecord, thread: number): SideRecord[];
  /** Those for which nobody came in time. */
  expire(beforeNs: number): SideRecord[];
  /** Attempts that wait, and places of closes that are remembered for the next ones. */
  size(): number;
}

interface Attempt {
  readonly record: SideRecord;
  readonly sinceNs: number;
}

export const closeKey = (tid: number, op: number): string => `${tid}:${op}`;

export function createAttempts(): Attempts {
  const byCandidate = new Map<number, Attempt[]>();
  /** Without a candidate of the kernel's, by thread and place of the close. */
  const byClose = new Map<string, Attempt>();
  /** For the next try of the same downstream connection. */
  const candidateByClose = new Map<string, { candidate: number; sinceNs: number }>();

  function remember(candidate: number, attempt: Attempt): void {
    const list = byCandidate.get(candidate) ?? [];
    list.push(attempt);
    byCandidate.set(candidate, list);
    const { closeTid, closeOp } = attempt.record;
    candidateByClose.set(closeKey(closeTid, closeOp), { candidate, sinceNs: attempt.sinceNs });
  }

  /* A connection handed from the thread that accepted it to another says nothing by its accept. */
  function takeNamed(downstream: SideRecord, thread: number): SideRecord[] {
    const named = byCandidate.get(downstream.connection) ?? [];
    byCandidate.delete(downstream.connection);
    const sure = named.filter(({ record }) => record.tid === thread);
    for (const attempt of named) if (!sure.includes(attempt)) awaitOrder(attempt);
    return sure.map(({ record }) => record);
  }

  function awaitOrder(attempt: Attempt): void {
    byClose.set(closeKey(attempt.record.closeTid, attempt.record.closeOp), attempt);
  }

  return {
    takeNamed,
    size: () => byCandidate.size + byClose.size + candidateByClose.size,
    add(record, sinceNs) {
      const attempt = { record, sinceNs };
      const candidate =
        record.candidate || candidateByClose.get(closeKey(record.tid, record.openOp - 1))?.candidate;
      if (candidate) remember(candidate, attempt);
      else awaitOrder(attempt);
    },
    takeFor(downstream, rival) {
      const { closeTid, closeOp } = downstream;
      const sure = takeNamed(downstream, closeTid);
      if (sure.length > 0) return { attempts: sure, pairing: 'connect' };
      /* The thread let go of both in one go, and of nothing in between. */
      const near = [closeOp - 1, closeOp + 1].flatMap((op) => {
        const attempt = byClose.get(closeKey(closeTid, op));
        return attempt && couldServe(attempt.record, downstream) ? [attempt] : [];
      });
      const [only] = near;
      if (near.length !== 1 || !only || closeOp === 0) return { attempts: [], pairing: 'order' };
      const beyond = 2 * only.record.closeOp - closeOp;
      if (rival(closeTid, beyond)) return { attempts: [], pairing: 'order' };
      byClose.delete(closeKey(only.record.closeTid, only.record.closeOp));
      return { attempts: [only.record], pairing: 'order' };
    },
    expire(beforeNs) {
      const expired: SideRecord[] = [];
      for (const [key, list] of byCandidate) {
        const late = list.filter(({ sinceNs }) => sinceNs < beforeNs);
        if (late.length === 0) continue;
        expired.push(...late.map(({ record }) => record));
        const rest = list.filter(({ sinceNs }) => sinceNs >= beforeNs);
        if (rest.length > 0) byCandidate.set(key, rest);
        else byCandidate.delete(key);
      }
      for (const [key, { record, sinceNs }] of byClose) {
        if (sinceNs >= beforeNs) continue;
        expired.push(record);
        byClose.delete(key);
      }
      for (const [key, { sinceNs }] of candidateByClose) if (sinceNs < beforeNs) candidateByClose.delete(key);
      return expired;
    },
  };
}

function couldServe(upstream: SideRecord, downstream: SideRecord): boolean {
  return (
    upstream.tgid === downstream.tgid &&
    downstream.acceptedNs !== 0 &&
    upstream.synNs >= downstream.acceptedNs &&
    upstream.closeOp !== 0
  );
}
