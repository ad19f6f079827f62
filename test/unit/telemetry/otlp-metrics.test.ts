import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import * as sdk from '@opentelemetry/sdk-metrics';
import protobuf from 'protobufjs';
import { createHistogram, recordDuration } from '../../../src/telemetry/histogram.ts';
import type { MetricFamily } from '../../../src/telemetry/metric-family.ts';
import { createMetricProducer } from '../../../src/telemetry/metric-producer.ts';
import { withExemplars } from '../../../src/telemetry/otlp-metrics.ts';
import { spanAt } from '../../harness/exemplars.ts';

/** The fields of OTLP's metrics that are looked at here (opentelemetry/proto/metrics/v1/metrics.proto). */
const SCHEMA = `syntax = "proto3";
message Request { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { repeated ScopeMetrics scope_metrics = 2; }
message ScopeMetrics { repeated Metric metrics = 2; }
message Metric {
  string name = 1;
  oneof data { Numbers sum = 7; Histogram histogram = 9; Exponential exponential_histogram = 10; }
}
message Numbers { repeated Number data_points = 1; }
message Number { double as_double = 4; }
message Histogram { repeated Point data_points = 1; }
message Point { fixed64 count = 4; repeated Exemplar exemplars = 8; }
message Exponential { repeated ExponentialPoint data_points = 1; }
message ExponentialPoint { fixed64 count = 4; repeated Exemplar exemplars = 11; }
message Exemplar { fixed64 time_unix_nano = 2; double as_double = 3; bytes span_id = 4; bytes trace_id = 5; }
`;
const Request = protobuf.parse(SCHEMA).root.lookupType('Request');

interface Decoded {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly Metric[] }[];
  }[];
}
interface Points {
  readonly dataPoints: readonly { readonly count: string; readonly exemplars?: readonly Sent[] }[];
}
interface Metric {
  readonly name: string;
  readonly histogram?: Points;
  readonly exponentialHistogram?: Points;
}
interface Sent {
  readonly timeUnixNano: string;
  readonly asDouble: number;
  readonly spanId: Buffer;
  readonly traceId: Buffer;
}

async function sent(buckets: 'explicit' | 'exponential'): Promise<readonly Metric[]> {
  const without = createHistogram(buckets);
  recordDuration(without, 1_000);
  const value = createHistogram(buckets);
  recordDuration(value, 1_000_000, spanAt(3, [100, 5]));
  recordDuration(value, 1_000_001, spanAt(4, [100, 6]));
  recordDuration(value, 999_999, spanAt(5, [100, 999]));
  recordDuration(value, 2_000_000_000, spanAt(6, [101, 7]));
  const point = (labels: Record<string, string>, histogram: typeof value) => ({ labels, value: histogram });
  const families: MetricFamily[] = [
    { name: 'hopspan.io', kind: 'counter', points: [{ labels: {}, value: 12 }] },
    { name: 'hopspan.phase.duration', kind: 'histogram', points: [point({ a: 'b' }, without)] },
    {
      name: 'hopspan.hop.duration',
      kind: 'histogram',
      points: [point({ proxy: 'x' }, without), point({ proxy: 'y' }, value)],
    },
  ];
  const { resourceMetrics } = await createMetricProducer(sdk, () => families, buckets, 0).collect();
  const bytes = withExemplars(ProtobufMetricsSerializer).serializeRequest(resourceMetrics);
  assert.ok(bytes);
  const options = { longs: String, bytes: Buffer };
  const decoded = Request.toObject(Request.decode(bytes), options) as Decoded;
  return decoded.resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) => metrics),
  );
}

for (const buckets of ['explicit', 'exponential'] as const) {
  describe(`what is sent of ${buckets} histograms`, () => {
    it('has each exemplar at its own point, and all else as the official serialiser writes it', async () => {
      const [counter, phases, hops] = await sent(buckets);
      assert.equal(counter?.name, 'hopspan.io');
      const of = (metric: Metric | undefined) =>
        (metric?.histogram ?? metric?.exponentialHistogram)?.dataPoints;
      assert.deepEqual(
        of(phases)?.map(({ count, exemplars = [] }) => [count, exemplars.length]),
        [['1', 0]],
      );
      const [x, y] = of(hops) ?? [];
      assert.deepEqual([x?.count, x?.exemplars ?? []], ['1', []]);
      assert.equal(y?.count, '4');
      assert.deepEqual(
        y?.exemplars?.map(({ timeUnixNano, asDouble, traceId, spanId }) => [
          ...[timeUnixNano, asDouble, traceId.toString('hex'), spanId.toString('hex')],
        ]),
        [
          ['100000000005', 0.001, '3'.repeat(32), '3'.repeat(16)],
          ['100000000006', 0.001000001, '4'.repeat(32), '4'.repeat(16)],
          ['101000000007', 2, '6'.repeat(32), '6'.repeat(16)],
        ],
      );
    });
  });
}
