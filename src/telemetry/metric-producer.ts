import type { HrTime } from '@opentelemetry/api';
import type { MetricData, MetricProducer } from '@opentelemetry/sdk-metrics';
import { VERSION } from '../version.ts';
import {
  BOUNDS_S,
  type Buckets,
  type DurationHistogram,
  type Exemplar,
  exponentialOf,
  SCALE,
} from './histogram.ts';
import type { MetricFamily, Point } from './metric-family.ts';
import { METRICS } from './metric-table.ts';

const NS_PER_S = 1e9;
const MS_PER_S = 1000;

/** The part of the SDK that is needed here; it is loaded late. */
export type MetricsSdk = typeof import('@opentelemetry/sdk-metrics');

/** What data points have beside the SDK's fields, which know of no exemplars. */
export interface WithExemplars {
  readonly exemplars?: readonly Exemplar[];
}

/**
 * Figures that hopspan has summed up itself, for a reader of the SDK, whose own instruments would take as long for one
 * duration as hopspan takes for a hop. Always cumulative since `startMs`, milliseconds since the Unix epoch.
 */
export function createMetricProducer(
  sdk: MetricsSdk,
  families: () => readonly MetricFamily[],
  buckets: Buckets,
  startMs: number,
): MetricProducer {
  const startTime = hrTime(startMs);
  return {
    collect: async () => {
      const endTime = hrTime(Date.now());
      const metrics = families().map((family) => toData(sdk, family, buckets, startTime, endTime));
      const scopeMetrics = [{ scope: { name: 'hopspan', version: VERSION }, metrics }];
      return { resourceMetrics: { resource: NO_RESOURCE, scopeMetrics }, errors: [] };
    },
  };
}

/** The reader takes the SDK's. */
const NO_RESOURCE = {
  attributes: {},
  merge: () => NO_RESOURCE,
  getRawAttributes: () => [],
} as const;

function toData(
  { AggregationTemporality, DataPointType }: MetricsSdk,
  family: MetricFamily,
  buckets: Buckets,
  startTime: HrTime,
  endTime: HrTime,
): MetricData {
  const { unit, meaning } = METRICS[family.name];
  const base = {
    descriptor: { name: family.name, unit, description: meaning, valueType: 1 },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const pointOf = <T>({ labels }: Point<unknown>, value: T) => ({
    ...{ startTime, endTime, attributes: labels, value },
  });
  if (family.kind === 'counter') {
    const dataPoints = family.points.map((point) => pointOf(point, point.value));
    return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints };
  }
  const histogramOf = <T>(point: Point<DurationHistogram>, value: T) => ({
    ...pointOf(point, value),
    exemplars: point.value.exemplars.filter((exemplar) => exemplar !== undefined),
  });
  if (buckets === 'exponential') {
    const dataPoints = family.points.map((point) => histogramOf(point, exponentialValue(point.value)));
    return { ...base, dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM, dataPoints };
  }
  const dataPoints = family.points.map((point) => histogramOf(point, explicitValue(point.value)));
  return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints };
}

function common({ count, sumNs, minNs, maxNs }: DurationHistogram) {
  return { count, sum: sumNs / NS_PER_S, min: minNs / NS_PER_S, max: maxNs / NS_PER_S };
}

function explicitValue(histogram: DurationHistogram) {
  const boundaries = [...BOUNDS_S];
  return { ...common(histogram), buckets: { boundaries, counts: [...histogram.buckets] } };
}

function exponentialValue(histogram: DurationHistogram) {
  const { zeroCount, offset, bucketCounts } = exponentialOf(histogram);
  return {
    ...common(histogram),
    ...{ scale: SCALE, zeroCount, positive: { offset, bucketCounts } },
    negative: { offset: 0, bucketCounts: [] },
  };
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / MS_PER_S), Math.round((ms % MS_PER_S) * 1e6)];
}
