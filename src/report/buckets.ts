import { elapsedNs, type HrTime } from '../spans/hop-span.ts';

/** At most so many in a chart over time. */
export const MAX_BUCKETS = 60;

/** Equal parts of the report's time range, of a width that people count in. */
export interface Buckets {
  /** Where the first one begins: a multiple of the width. */
  readonly start: HrTime;
  readonly widthNs: number;
  readonly count: number;
  /** The one in which a moment lies; those before and after the range count to the first and the last. */
  indexOf(time: HrTime): number;
}

const NS_PER_S = 1e9;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400];

export function bucketsOf({ start, end }: { readonly start: HrTime; readonly end: HrTime }): Buckets {
  const totalNs = Math.max(1, elapsedNs(start, end));
  /* One less, since the first begins before the range. */
  const widthNs = niceWidth(totalNs / (MAX_BUCKETS - 1));
  const first: HrTime =
    widthNs >= NS_PER_S
      ? [Math.floor(start[0] / (widthNs / NS_PER_S)) * (widthNs / NS_PER_S), 0]
      : [start[0], Math.floor(start[1] / widthNs) * widthNs];
  const count = Math.floor(elapsedNs(first, end) / widthNs) + 1;
  return {
    ...{ start: first, widthNs, count },
    indexOf: (time) => Math.min(count - 1, Math.max(0, Math.floor(elapsedNs(first, time) / widthNs))),
  };
}

function niceWidth(atLeastNs: number): number {
  if (atLeastNs > NS_PER_S) {
    const days = (atLeastNs / NS_PER_S / 86_400) | 0;
    return (STEPS_S.find((seconds) => seconds * NS_PER_S >= atLeastNs) ?? (days + 1) * 86_400) * NS_PER_S;
  }
  for (let unit = 1000; ; unit *= 10)
    for (const step of [1, 2, 5]) if (step * unit >= atLeastNs) return step * unit;
}
