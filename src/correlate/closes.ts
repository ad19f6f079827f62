import type { SideRecord } from '../records.gen.ts';
import { isDownstream } from './side.ts';

/** Closes further apart than this are not of one go, in nanoseconds. */
const ONE_GO_NS = 1_000_000_000;
/** No thread lets go of more connections at once than this, of which anything is said. */
const MAX_RUN = 4096;

/**
 * Connections that relayed nothing, by their places among the calls of the threads that let go of them. The
 * longest run of such closes that follow each other is what a thread let go of in one go.
 */
export interface Closes {
  add(record: SideRecord, nowNs: number): void;
  /**
   * The failed attempt that was made for this downstream connection, where the run is of pairs: each attempt
   * beside its connection, in whichever order the proxy lets go of the two.
   */
  partnerOf(downstream: SideRecord): SideRecord | undefined;
  /**
   * The failed attempt because of which the thread let go of this downstream connection: directly before it, or
   * before its neighbours of the same listener. One that fails takes all with it that waited for the same pool.
   */
  causeOf(downstream: SideRecord): SideRecord | undefined;
  expire(beforeNs: number): void;
  size(): number;
}

interface Close {
  readonly record: SideRecord;
  readonly sinceNs: number;
}

const keyOf = (tid: number, op: number): string => `${tid}:${op}`;

export function createCloses(): Closes {
  const closes = new Map<string, Close>();

  function beside(record: SideRecord, step: 1 | -1): SideRecord | undefined {
    if (record.closeOp === 0) return undefined;
    const next = closes.get(keyOf(record.closeTid, record.closeOp + step))?.record;
    return next && Math.abs(letGoNs(next) - letGoNs(record)) <= ONE_GO_NS ? next : undefined;
  }

  /** From this one's neighbour to the end of the run; undefined where it is no run of pairs. */
  function alternating(record: SideRecord, step: 1 | -1): SideRecord[] | undefined {
    const found: SideRecord[] = [];
    let last = record;
    for (let next = beside(last, step); next; next = beside(last, step)) {
      if (isDownstream(next) === isDownstream(last) || found.length === MAX_RUN) return undefined;
      found.push(next);
      last = next;
    }
    return found;
  }

  return {
    add(record, sinceNs) {
      if (record.closeOp !== 0) closes.set(keyOf(record.closeTid, record.closeOp), { record, sinceNs });
    },
    partnerOf(downstream) {
      const before = alternating(downstream, -1);
      const after = alternating(downstream, 1);
      if (!before || !after || (before.length + 1 + after.length) % 2 !== 0) return undefined;
      const partner = before.length % 2 === 1 ? before[0] : after[0];
      return partner && couldServe(partner, downstream) ? partner : undefined;
    },
    causeOf(downstream) {
      let last = downstream;
      for (let steps = 0; steps < MAX_RUN; steps++) {
        const before = beside(last, -1);
        if (!before) return undefined;
        if (!isDownstream(before)) return couldFail(before, downstream) ? before : undefined;
        if (before.localPort !== downstream.localPort) return undefined;
        last = before;
      }
      return undefined;
    },
    expire(beforeNs) {
      for (const [key, { sinceNs }] of closes) if (sinceNs < beforeNs) closes.delete(key);
    },
    size: () => closes.size,
  };
}

/** When the proxy let go: an attempt that failed is released in close(), a connection sends its FIN or RST there. */
export function letGoNs(record: SideRecord): number {
  return isDownstream(record) ? record.finSentNs || record.closedNs : record.releasedNs;
}

function couldServe(attempt: SideRecord, downstream: SideRecord): boolean {
  return (
    attempt.tgid === downstream.tgid && downstream.acceptedNs !== 0 && attempt.synNs >= downstream.acceptedNs
  );
}

/** An attempt may be older than a connection that waits for it, but failed in its lifetime. */
function couldFail(attempt: SideRecord, downstream: SideRecord): boolean {
  return (
    attempt.tgid === downstream.tgid &&
    attempt.synNs !== 0 &&
    attempt.establishedNs === 0 &&
    attempt.releasedNs >= downstream.acceptedNs
  );
}
