import koffi from 'koffi';
import { libc } from './memory.ts';

const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;
const clockGettime = libc.func('int clock_gettime(int clock, void *time)');
const time = Buffer.alloc(16);
koffi.address(time); // keeps koffi's first-call set-up out of the first reading

function read(clock: number): bigint {
  clockGettime(clock, time);
  return time.readBigInt64LE(0) * 1_000_000_000n + time.readBigInt64LE(8);
}

/** CLOCK_REALTIME in nanoseconds since the Unix epoch; JavaScript's own clocks are coarse or do not follow it. */
export function wallClockNs(): bigint {
  return read(CLOCK_REALTIME);
}

/** CLOCK_BOOTTIME in nanoseconds: CLOCK_MONOTONIC and the time that the host was suspended (clock_gettime(2)). */
export function bootClockNs(): bigint {
  return read(CLOCK_BOOTTIME);
}
