import {
  answerTotal,
  hasEnded,
  hasExchange,
  hasProxyHeader,
  isDownstream,
  isPreexisting,
  mergeSides,
  requestTotal,
  type Side,
} from './side.ts';

/** Records that a pair may gather without a common border before it is cut. */
const MAX_GATHERED = 256;

/** The two sides of one exchange; a side is missing when its connection ended before it took part. */
export interface PairedExchange {
  readonly downstream?: Side;
  readonly upstream?: Side;
  readonly overlapping: boolean;
}

interface Half {
  readonly queue: Side[];
  last: Side | undefined;
  ended: boolean;
}

/**
 * Two paired connections, exchange by exchange. A relay passes on as many bytes as it takes in, so an exchange
 * ends where both sides stand at the same place in both byte streams; records in between are one exchange.
 */
export interface Pair {
  push(record: Side): void;
  /** The next exchange whose sides agree; `force` takes what there is. */
  next(force?: boolean): PairedExchange | undefined;
  /** Both connections have ended and every exchange was taken. */
  finished(): boolean;
  /** The newest record of each side. */
  readonly downstream: Side | undefined;
  readonly upstream: Side | undefined;
  /** Bytes that went in and never came out, or came out and never went in, though both ended in order. */
  contradiction(): boolean;
}

/** @param uneven bytes went over one of the connections before they were a pair: an HTTP CONNECT, a SOCKS greeting */
export function createPair(uneven = false): Pair {
  const down: Half = { queue: [], last: undefined, ended: false };
  const up: Half = { queue: [], last: undefined, ended: false };
  /** What the proxy itself adds: a PROXY protocol header, or bytes from before the probes. */
  let addedUpstream = 0;
  let addedDownstream = 0;
  let first = true;

  /** Under way on both sides when the probes came, or a PROXY header: fixed by the first exchange. */
  function learn(d: Side, u: Side): void {
    const ahead = requestTotal(u) - requestTotal(d);
    if (uneven || [d, u].some((side) => isPreexisting(side) || hasProxyHeader(side))) {
      addedUpstream = ahead;
      addedDownstream = answerTotal(d) - answerTotal(u);
    } else if (d.exchange === u.exchange) addedUpstream = Math.max(0, ahead); // else a record was lost
  }

  /** How many records of each side make up the next exchange; undefined while more must come. */
  function border(force: boolean): { d: number; u: number; overlapping: boolean } | undefined {
    let d = Math.min(1, down.queue.length);
    let u = Math.min(1, up.queue.length);
    for (;;) {
      const dRecord = down.queue[d - 1];
      const uRecord = up.queue[u - 1];
      if (!dRecord && !uRecord) return undefined;
      let needDown = !dRecord;
      let needUp = !uRecord;
      if (dRecord && uRecord) {
        if (first && d === 1 && u === 1) learn(dRecord, uRecord);
        const requests = requestTotal(uRecord) - addedUpstream - requestTotal(dRecord);
        const answers = answerTotal(uRecord) + addedDownstream - answerTotal(dRecord);
        needDown = requests > 0 || answers > 0;
        needUp = requests < 0 || answers < 0;
        if (!needDown && !needUp) return { d, u, overlapping: d > 1 || u > 1 };
      }
      if (needDown && d < down.queue.length) d++;
      else if (needUp && u < up.queue.length) u++;
      else if ((!needDown || down.ended) && (!needUp || up.ended)) {
        return { d, u, overlapping: false };
      } else if (force || down.queue.length + up.queue.length >= MAX_GATHERED) {
        return { d: down.queue.length, u: up.queue.length, overlapping: !force };
      } else return undefined;
    }
  }

  return {
    get downstream() {
      return down.last;
    },
    get upstream() {
      return up.last;
    },
    push(record) {
      const side = isDownstream(record) ? down : up;
      const repeated = side.last !== undefined && saysNothingNew(side.last, record);
      side.last = record;
      if (hasEnded(record)) side.ended = true;
      if (hasExchange(record) && !repeated) side.queue.push(record);
    },
    next(force = false) {
      const found = border(force);
      if (!found) return undefined;
      first = false;
      const d = down.queue.splice(0, found.d);
      const u = up.queue.splice(0, found.u);
      return {
        ...(d.length > 0 ? { downstream: mergeSides(d) } : {}),
        ...(u.length > 0 ? { upstream: mergeSides(u) } : {}),
        overlapping: found.overlapping,
      };
    },
    finished: () => down.ended && up.ended && down.queue.length === 0 && up.queue.length === 0,
    contradiction() {
      const d = down.last;
      const u = up.last;
      if (!d || !u || d.error || u.error) return false;
      return (
        requestTotal(u) - addedUpstream > requestTotal(d) || answerTotal(d) - addedDownstream > answerTotal(u)
      );
    },
  };
}

function saysNothingNew(before: Side, record: Side): boolean {
  return (
    record.exchange === before.exchange &&
    record.totalRead === before.totalRead &&
    record.totalWritten === before.totalWritten
  );
}
