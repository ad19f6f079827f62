import type { HrTime } from '../../spans/hop-span.ts';
import type { ReportModel } from '../model.ts';
import { formatClock, formatRound } from './text.ts';

const MAX_TICKS = 4;
const NS_PER_S = 1e9;

export type TimeParts = NonNullable<ReportModel['buckets']>;

/** Of a logarithmic scale; nanoseconds, above 0. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

export function plus([seconds, nanos]: HrTime, ns: number): HrTime {
  const total = nanos + ns;
  const carry = Math.floor(total / NS_PER_S);
  return [seconds + carry, Math.round(total - carry * NS_PER_S)];
}

/** Seconds since the first part began, told as the time of day; ticks where parts begin. */
export function timeAxis({ start, widthNs, count }: TimeParts): object {
  const every = Math.max(1, Math.ceil(count / MAX_TICKS));
  const ticks = Array.from(
    { length: Math.ceil(count / every) },
    (_, index) => (index * every * widthNs) / NS_PER_S,
  );
  const rangeNs = count * widthNs;
  const digits = rangeNs < 5 * NS_PER_S ? (rangeNs < NS_PER_S / 20 ? 4 : 3) : 0;
  const tickFormat = (seconds: number): string => {
    const clock = formatClock(plus(start, seconds * NS_PER_S), digits);
    return digits > 0 ? clock.slice(3) : clock;
  };
  return { type: 'linear', domain: [0, rangeNs / NS_PER_S], ticks, tickFormat, label: null };
}

/** From zero, with whole numbers on it. */
export function countAxis(bars: readonly { readonly count: number }[]): object {
  const max = bars.reduce((most, { count }) => Math.max(most, count), 1);
  return {
    domain: [0, max],
    ticks: Math.min(4, max),
    tickFormat: (value: number) => (Number.isInteger(value) ? String(value) : ''),
    label: null,
  };
}

/** Nanoseconds on a logarithmic scale. */
export const durationAxis = (range: Range): object => ({
  type: 'log',
  domain: [range.min, range.max],
  ticks: logTicks(range),
  tickFormat: formatRound,
  label: null,
});

/** Powers of ten within a range; with 2 and 5 between where these are few. */
function logTicks({ min, max }: Range): number[] {
  const decades = Math.log10(max / min);
  const steps = decades > 3 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(min)); power <= max; power *= 10)
    for (const step of steps)
      if (step * power >= min * 0.999 && step * power <= max * 1.001) ticks.push(step * power);
  return decades > 6 ? ticks.filter((_, index) => index % 2 === 0) : ticks;
}
