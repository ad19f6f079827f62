import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as sdk from '@opentelemetry/sdk-metrics';
import { BOUNDS_S, createHistogram, recordDuration } from '../../../src/telemetry/histogram.ts';
import type { MetricFamily } from '../../../src/telemetry/metric-family.ts';
import { createMetricProducer } from '../../../src/telemetry/metric-producer.ts';

const DURATIONS_NS = [3_000, 40_000, 40_001, 1_234_567, 2_000_000_000];
const labels = { proxy: 'edge', outcome: 'ok' };

/** What a reader gets of one histogram. */
async function collect(buckets: 'explicit' | 'exponential'): Promise<sdk.MetricData> {
  const value = createHistogram(buckets);
  for (const ns of DURATIONS_NS) recordDuration(value, ns);
  const family: MetricFamily = {
    name: 'hopspan.hop.duration',
    kind: 'histogram',
    points: [{ labels, value }],
  };
  const result = await createMetricProducer(sdk, () => [family], buckets, 1_500).collect();
  const [metric] = result.resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
  assert.ok(metric);
  return metric;
}

/** The same durations, counted by one of the SDK's own instruments. */
async function official(type: sdk.AggregationOption): Promise<unknown> {
  const exporter = new sdk.InMemoryMetricExporter(sdk.AggregationTemporality.CUMULATIVE);
  const reader = new sdk.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const views = [{ instrumentName: '*', aggregation: type }];
  const provider = new sdk.MeterProvider({ readers: [reader], views });
  const histogram = provider.getMeter('test').createHistogram('duration');
  for (const ns of DURATIONS_NS) histogram.record(ns / 1e9);
  await provider.forceFlush();
  const value = exporter.getMetrics()[0]?.scopeMetrics[0]?.metrics[0]?.dataPoints[0]?.value;
  await provider.shutdown();
  return value;
}

describe('what the SDK gets', () => {
  it('explicit buckets are those of its own instrument with the same bounds', async () => {
    const metric = await collect('explicit');
    const expected = (await official({
      type: sdk.AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
      options: { boundaries: [...BOUNDS_S] },
    })) as { sum: number };
    const [point] = metric.dataPoints;
    assert.ok(point);
    const { sum, ...value } = point.value as { sum: number };
    const { sum: expectedSum, ...rest } = expected;
    assert.deepEqual(value, rest);
    assert.ok(Math.abs(sum - expectedSum) < 1e-9);
    assert.deepEqual(point.attributes, labels);
    assert.deepEqual(point.startTime, [1, 500_000_000]);
    assert.equal(metric.aggregationTemporality, sdk.AggregationTemporality.CUMULATIVE);
    assert.equal(metric.dataPointType, sdk.DataPointType.HISTOGRAM);
  });

  it('exponential buckets tell of the same durations as its own, at the scale given', async () => {
    const metric = await collect('exponential');
    assert.equal(metric.dataPointType, sdk.DataPointType.EXPONENTIAL_HISTOGRAM);
    const type = sdk.AggregationType.EXPONENTIAL_HISTOGRAM;
    const expected = (await official({ type, options: { maxSize: 160 } })) as Exponential;
    const value = metric.dataPoints[0]?.value as unknown as Exponential;
    assert.deepEqual([value.count, value.zeroCount], [expected.count, expected.zeroCount]);
    const shrunk = expected.scale < value.scale ? value.scale - expected.scale : 0;
    assert.deepEqual(occupied(value, shrunk), occupied(expected, expected.scale - value.scale + shrunk));
  });
});

interface Exponential {
  readonly count: number;
  readonly zeroCount: number;
  readonly scale: number;
  readonly positive: { readonly offset: number; readonly bucketCounts: number[] };
}

/** Buckets that hold something, by index, after the scale was lowered so many times (data model, downscaling). */
function occupied({ positive }: Exponential, times: number): [number, number][] {
  const counts = new Map<number, number>();
  for (const [i, count] of positive.bucketCounts.entries()) {
    const index = (positive.offset + i) >> times;
    if (count > 0) counts.set(index, (counts.get(index) ?? 0) + count);
  }
  return [...counts];
}
