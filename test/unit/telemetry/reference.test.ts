import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { METRICS_BEGIN, METRICS_END, metricsMarkdown } from '../../../src/telemetry/reference.ts';
import { parse } from '../config/harness.ts';

const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');

test('the table of docs/metrics.md is that of the code', () => {
  const [, rest = ''] = page.split(METRICS_BEGIN);
  const [written = ''] = rest.split(METRICS_END);
  assert.equal(written.trim(), metricsMarkdown(), 'write it anew: node scripts/metrics-reference.ts');
});

test('the example of docs/metrics.md is valid, without a warning', () => {
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(page) ?? [];
  const service = 'service:\n  pipelines: {traces: {receivers: [ebpf], exporters: [console]}}';
  const text = `receivers: {ebpf: }\nexporters: {console: }\n${example.replace('service:', service)}`;
  const { config, warnings } = parse(text);
  assert.deepEqual(warnings, []);
  assert.equal(config.telemetry.metricReaders.length, 2);
  assert.ok(config.healthCheck);
});
