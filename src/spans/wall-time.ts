import type { ClockRecord } from '../receiver/kernel-record.ts';
import type { HrTime } from './hop-span.ts';

const NS_PER_S = 1e9;

/** Monotonic nanoseconds as wall-clock time, by the latest reading of both clocks. */
export function wallTime(ns: number, clock: ClockRecord): HrTime {
  const total = clock.wallNanos + (ns - clock.monotonicNs);
  const carry = Math.floor(total / NS_PER_S);
  return [clock.wallSeconds + carry, Math.round(total - carry * NS_PER_S)];
}
