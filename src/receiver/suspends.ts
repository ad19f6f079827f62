import { bootClockNs } from '../native/clock.ts';
import { FREEZE_HOW, type FreezeRecord, KIND } from '../records.gen.ts';

/** No suspend is as short as this. */
const NOISE_NS = 10_000_000;
const SAMPLES = 5;

/**
 * CLOCK_BOOTTIME less CLOCK_MONOTONIC: the time that the host was suspended since it started, or less, where this process
 * had to wait between reading the one and the other.
 */
function readSuspended(): number {
  return Number(bootClockNs() - process.hrtime.bigint());
}

/** Tells when the host was suspended between two looks: that is all that CLOCK_MONOTONIC, which stood still, can say. */
export function createSuspends(
  nowNs: number,
  read: () => number = readSuspended,
): (nowNs: number) => FreezeRecord | undefined {
  let suspendedNs = Math.max(...Array.from({ length: SAMPLES }, read));
  let fromNs = nowNs;
  return (toNs) => {
    const lastedNs = read() - suspendedNs;
    const lookedNs = fromNs;
    fromNs = toNs;
    if (lastedNs < NOISE_NS) return undefined;
    suspendedNs += lastedNs;
    return {
      ...{ kind: KIND.FREEZE, how: FREEZE_HOW.SUSPEND, tgid: 0, signal: 0 },
      ...{ fromNs: lookedNs, toNs, lastedNs },
    };
  };
}
