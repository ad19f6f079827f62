import { wallClockNs } from '../native/clock.ts';
import { type ClockRecord, RECEIVER_KIND } from './kernel-record.ts';

const NS_PER_S = 1_000_000_000n;
const SAMPLES = 5;
/** A change of the offset below this is taken for the noise of reading two clocks. */
const NOISE_NS = 200_000;

/** CLOCK_MONOTONIC now, in nanoseconds; what bpf_ktime_get_ns() counts. */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}

/** Wall-clock minus monotonic time in nanoseconds: the tightest of a few readings. */
function readOffset(): bigint {
  let best = 0n;
  let narrowest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < SAMPLES; i++) {
    const before = process.hrtime.bigint();
    const wall = wallClockNs();
    const after = process.hrtime.bigint();
    if (Number(after - before) < narrowest) {
      narrowest = Number(after - before);
      best = wall - (before + after) / 2n;
    }
  }
  return best;
}

/**
 * A source of clock records. Both clocks are slewed alike by adjtimex(), so their offset changes only when
 * the wall clock is set; smaller differences are reading noise and are not followed, which keeps the spans of
 * one trace on one time line.
 */
export function createClock(read: () => bigint = readOffset): () => ClockRecord {
  let offset = read();
  return () => {
    const current = read();
    const change = Number(current - offset);
    if (Math.abs(change) > NOISE_NS) offset = current;
    const now = process.hrtime.bigint();
    const wall = now + offset;
    return {
      kind: RECEIVER_KIND.CLOCK,
      monotonicNs: Number(now),
      wallSeconds: Number(wall / NS_PER_S),
      wallNanos: Number(wall % NS_PER_S),
    };
  };
}
