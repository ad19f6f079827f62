import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mistakesOf, parse, yaml } from './harness.ts';

const PIPELINES = 'pipelines: {traces: {receivers: [ebpf], exporters: [console]}}';
const withMetrics = (metrics: string): string =>
  yaml({ service: `{${PIPELINES}, telemetry: {metrics: ${metrics}}}` });
const withExtensions = (extensions: string, asked: string): string =>
  yaml({ more: `extensions: ${extensions}`, service: `{${PIPELINES}, extensions: ${asked}}` });
const remarks = (text: string): string[] =>
  mistakesOf(() => parse(text)).map((line) => line.replace(/^f\.yaml:\d+:\d+: /, ''));

describe('extensions', () => {
  it('health_check listens on loopback unless told otherwise', () => {
    const { config } = parse(withExtensions('{health_check: }', '[health_check]'));
    assert.deepEqual(config.healthCheck, { listen: { host: '127.0.0.1', port: 13_133 } });
    const other = parse(withExtensions('{health_check: {endpoint: "[::1]:80"}}', '[health_check]'));
    assert.deepEqual(other.config.healthCheck, { listen: { host: '::1', port: 80 } });
  });

  it('one that is defined and not asked for is warned of and not started', () => {
    const { config, warnings } = parse(withExtensions('{health_check: }', '[]'));
    assert.equal(config.healthCheck, undefined);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /"health_check" is not in service.extensions/);
  });

  for (const [extensions, asked, remark] of [
    ['{health: }', '[]', 'found the unknown extension "health", expected health_check'],
    [
      '{}',
      '[health_check]',
      'found the extension "health_check", which is not defined under extensions, expected health_check',
    ],
    ['5', '[]', 'found 5 for extensions, expected a mapping'],
    ['{health_check: }', 'health_check', 'found no list in service.extensions, expected [health_check]'],
    [
      '{health_check: {endpoint: nowhere}}',
      '[health_check]',
      'found "nowhere" for extensions.health_check.endpoint, expected HOST:PORT to listen on, such as 127.0.0.1:4317, 0.0.0.0:4317 or [::1]:4317',
    ],
    [
      '{health_check: {path: /}}',
      '[health_check]',
      'found the key "path" in extensions.health_check, expected endpoint',
    ],
  ] as const) {
    it(remark, () => assert.deepEqual(remarks(withExtensions(extensions, asked)), [remark]));
  }
});

describe('readers of metrics', () => {
  it('none by default; OTLP at level normal', () => {
    assert.deepEqual(parse(yaml()).config.telemetry.metricReaders, []);
    assert.deepEqual(parse(withMetrics('{level: normal}')).config.telemetry.metricReaders, [
      { kind: 'otlp' },
    ]);
    const silenced = parse(withMetrics('{level: none, readers: [{periodic: }]}'));
    assert.deepEqual(silenced.config.telemetry.metricReaders, []);
  });

  it("in the Collector's shape, Prometheus on loopback unless told otherwise", () => {
    const { telemetry } = parse(
      withMetrics(
        '{readers: [{periodic: {exporter: {otlp: }}}, {pull: {exporter: {prometheus: }}}, {pull: {exporter: {prometheus: {host: "::", port: 1}}}}]}',
      ),
    ).config;
    assert.equal(telemetry.metricsLevel, 'normal');
    assert.deepEqual(telemetry.metricReaders, [
      { kind: 'otlp' },
      { kind: 'prometheus', listen: { host: '127.0.0.1', port: 9464 } },
      { kind: 'prometheus', listen: { host: '::', port: 1 } },
    ]);
  });

  it('exponential buckets over OTLP by the variable of the specification', () => {
    const name = 'OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION';
    const { telemetry } = parse(yaml(), { [name]: 'base2_exponential_bucket_histogram' }).config;
    assert.equal(telemetry.metricBuckets, 'exponential');
    assert.deepEqual(
      mistakesOf(() => parse(yaml(), { [name]: 'linear' })),
      [`${name}: found "linear", expected explicit_bucket_histogram or base2_exponential_bucket_histogram`],
    );
  });

  for (const [metrics, remark] of [
    ['{readers: []}', 'found no reader in service.telemetry.metrics.readers, expected periodic or pull'],
    [
      '{readers: [{}]}',
      'found neither periodic nor pull in service.telemetry.metrics.readers[0], expected one of them',
    ],
    [
      '{readers: [{periodic: , pull: }]}',
      'found both periodic and pull in service.telemetry.metrics.readers[0], expected one of them',
    ],
    ['{readers: 1}', 'found 1 for service.telemetry.metrics.readers, expected a list of readers'],
    [
      '{readers: [{pull: {exporter: {prometheus: {port: 70000}}}}]}',
      'found 70000 for service.telemetry.metrics.readers[0].pull.exporter.prometheus.port, expected an integer from 0 to 65535',
    ],
  ] as const) {
    it(remark, () => assert.deepEqual(remarks(withMetrics(metrics)), [remark]));
  }
});
