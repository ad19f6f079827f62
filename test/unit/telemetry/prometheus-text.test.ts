import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as resources from '@opentelemetry/resources';
import * as sdk from '@opentelemetry/sdk-metrics';
import { createHistogram, recordDuration } from '../../../src/telemetry/histogram.ts';
import type { MetricFamily } from '../../../src/telemetry/metric-family.ts';
import { createMetricProducer } from '../../../src/telemetry/metric-producer.ts';
import { metricsText, OPEN_METRICS, PLAIN_TEXT } from '../../../src/telemetry/prometheus-text.ts';
import { spanAt } from '../../harness/exemplars.ts';

async function metrics(): Promise<sdk.ResourceMetrics> {
  const value = createHistogram('explicit');
  recordDuration(value, 1_000_000, spanAt(7, [100, 5_000_000]));
  recordDuration(value, 40_000_000_000, spanAt(8, [101, 0]));
  recordDuration(value, 2_000_000_000);
  const families: MetricFamily[] = [
    { name: 'hopspan.hop.duration', kind: 'histogram', points: [{ labels: { proxy: 'a"b\\c\nd' }, value }] },
    {
      name: 'hopspan.io',
      kind: 'counter',
      points: [{ labels: { 'network.io.direction': 'receive' }, value: 12 }],
    },
  ];
  const { resourceMetrics } = await createMetricProducer(sdk, () => families, 'explicit', 0).collect();
  const resource = resources.resourceFromAttributes({ 'service.name': 'hopspan' });
  return { ...resourceMetrics, resource };
}

describe('metrics as text', () => {
  it('in the older format have no exemplar', async () => {
    const text = metricsText(await metrics(), PLAIN_TEXT);
    const lines = text.split('\n');
    assert.ok(!text.includes('trace_id') && !text.includes('EOF') && !text.includes('UNIT'));
    assert.ok(lines.includes('# TYPE target_info gauge'));
    assert.ok(lines.includes('target_info{service_name="hopspan"} 1'));
    assert.ok(lines.includes('# TYPE hopspan_io_bytes_total counter'));
    assert.ok(lines.includes('hopspan_io_bytes_total{network_io_direction="receive"} 12'));
    assert.ok(lines.includes('hopspan_hop_duration_seconds_bucket{proxy="a\\"b\\\\c\\nd",le="1"} 1'));
    assert.ok(lines.includes('hopspan_hop_duration_seconds_bucket{proxy="a\\"b\\\\c\\nd",le="+Inf"} 3'));
    assert.ok(lines.includes('hopspan_hop_duration_seconds_count{proxy="a\\"b\\\\c\\nd"} 3'));
  });

  it('in OpenMetrics name the span of a duration at its bucket', async () => {
    const text = metricsText(await metrics(), OPEN_METRICS);
    const lines = text.split('\n');
    assert.equal(lines.at(-2), '# EOF');
    assert.ok(lines.includes('# TYPE hopspan_io_bytes counter'));
    assert.ok(lines.includes('# UNIT hopspan_hop_duration_seconds seconds'));
    const named = lines.filter((line) => line.includes('trace_id'));
    const ids = (digit: number) => `trace_id="${`${digit}`.repeat(32)}",span_id="${`${digit}`.repeat(16)}"`;
    assert.deepEqual(
      named.map((line) => line.slice(line.indexOf('le='))),
      [`le="0.001"} 1 # {${ids(7)}} 0.001 100.005000000`, `le="+Inf"} 3 # {${ids(8)}} 40 101.000000000`],
    );
    assert.ok(text.includes('le="1.0"} 1\n'));
    assert.ok(!lines.slice(0, -1).includes(''));
  });
});
