import type { HopSpan, HrTime } from '../spans/hop-span.ts';

const NS_PER_S = 1e9;
/** Of one bucket: an exemplar is for somebody who looks now. */
const EXEMPLAR_S = 1;

/**
 * Upper bounds in seconds: from what a proxy's event loop takes to what a person waits for, and among them those that
 * the semantic conventions give for HTTP (HTTP metrics, http.server.request.duration).
 */
export const BOUNDS_S: readonly number[] = [
  ...[0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025],
  ...[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30],
];
const BOUNDS_NS = Float64Array.from(BOUNDS_S, (seconds) => Math.round(seconds * NS_PER_S));

/** Eight buckets for each power of two: each is 9 % wide (OpenTelemetry data model, exponential scale). */
export const SCALE = 3;
/** Of the first kept bucket: 2^-30 s is a nanosecond. What is longer than 2^12 s counts in the last. */
const FIRST = -30 * 2 ** SCALE;
const EXPONENTIAL_BUCKETS = 42 * 2 ** SCALE;

/** One of the durations and the span that has it (OpenTelemetry, metrics data model, Exemplars). */
export interface Exemplar {
  readonly traceId: string;
  readonly spanId: string;
  readonly ns: number;
  /** When the span ended. */
  readonly time: HrTime;
}

/** Durations that were counted; all buckets are inclusive of their upper bound. */
export interface DurationHistogram {
  count: number;
  sumNs: number;
  minNs: number;
  maxNs: number;
  /** One more than `BOUNDS_S`: the last has what is above all of them. */
  readonly buckets: Float64Array;
  /** Those of the exponential histogram, where it is wanted. */
  readonly exponential: Float64Array | undefined;
  /** One for each of `buckets` at most. */
  readonly exemplars: (Exemplar | undefined)[];
}

/** Which buckets are kept. */
export type Buckets = 'explicit' | 'exponential';

export function createHistogram(buckets: Buckets): DurationHistogram {
  return {
    ...{ count: 0, sumNs: 0, minNs: Number.POSITIVE_INFINITY, maxNs: 0 },
    buckets: new Float64Array(BOUNDS_NS.length + 1),
    exponential: buckets === 'exponential' ? new Float64Array(EXPONENTIAL_BUCKETS) : undefined,
    exemplars: [],
  };
}

/**
 * @param ns a duration in nanoseconds
 * @param span becomes the bucket's exemplar, where that is none of its second
 */
export function recordDuration(histogram: DurationHistogram, ns: number, span?: HopSpan): void {
  histogram.count++;
  histogram.sumNs += ns;
  if (ns < histogram.minNs) histogram.minNs = ns;
  if (ns > histogram.maxNs) histogram.maxNs = ns;
  const index = bucketOf(ns);
  histogram.buckets[index] = (histogram.buckets[index] as number) + 1;
  if (span) keepExemplar(histogram.exemplars, index, ns, span);
  if (!histogram.exponential || ns <= 0) return;
  const exact = Math.ceil(Math.log2(ns / NS_PER_S) * 2 ** SCALE) - 1;
  const at = Math.min(Math.max(exact - FIRST, 0), EXPONENTIAL_BUCKETS - 1);
  histogram.exponential[at] = (histogram.exponential[at] as number) + 1;
}

function keepExemplar(
  exemplars: (Exemplar | undefined)[],
  index: number,
  ns: number,
  { traceId, spanId, end }: HopSpan,
): void {
  const kept = exemplars[index];
  if (kept && Math.abs(end[0] - kept.time[0]) < EXEMPLAR_S) return;
  exemplars[index] = { traceId, spanId, ns, time: end };
}

/** The first bucket whose bound is not below `ns`. */
export function bucketOf(ns: number): number {
  let low = 0;
  let high = BOUNDS_NS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((BOUNDS_NS[middle] as number) < ns) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The range of exponential buckets that were used, and what was zero. */
export function exponentialOf({ count, exponential }: DurationHistogram): {
  zeroCount: number;
  offset: number;
  bucketCounts: number[];
} {
  const kept = exponential ?? new Float64Array(0);
  const first = kept.findIndex((n) => n > 0);
  if (first < 0) return { zeroCount: count, offset: 0, bucketCounts: [] };
  const bucketCounts = [...kept.subarray(first, kept.findLastIndex((n) => n > 0) + 1)];
  const above = bucketCounts.reduce((sum, n) => sum + n, 0);
  return { zeroCount: count - above, offset: first + FIRST, bucketCounts };
}
