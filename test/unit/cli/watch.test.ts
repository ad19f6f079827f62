import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { watchConfig } from '../../../src/cli/watch.ts';
import { HopspanError } from '../../../src/errors.ts';

describe('what watch configures', () => {
  test('without flags: the known proxies, on the console, soon', () => {
    const { config, warnings } = watchConfig({}, {});
    const [receiver, ...more] = config.receivers;
    assert.deepEqual(more, []);
    assert.deepEqual(
      receiver?.targets.map((target) => target.by === 'executable' && target.executable),
      ['envoy', 'nginx', 'haproxy'],
    );
    assert.equal(receiver?.idleTimeoutMs, 1000);
    assert.deepEqual(config.exporters, [
      { type: 'console', name: 'console', color: 'auto', format: 'waterfall' },
    ]);
    assert.deepEqual(config.pipelines[0]?.exporters, ['console']);
    assert.deepEqual(warnings, []);
  });

  test('--json is the other format', () => {
    const { config } = watchConfig({ json: true }, {});
    assert.deepEqual(
      config.exporters.map((each) => each.type === 'console' && each.format),
      ['json'],
    );
  });

  test('--diff compares headers, which is off else', () => {
    for (const diff of [true, false]) {
      const { config } = watchConfig(diff ? { diff } : {}, {});
      assert.equal(config.receivers[0]?.headerDiff, diff);
    }
  });

  test('flags are the targets, each as often as it was given', () => {
    const { config } = watchConfig({ executable: ['envoy', 'caddy'], pid: ['12'], listenPort: ['8000'] }, {});
    assert.deepEqual(config.receivers[0]?.targets, [
      { by: 'executable', executable: 'envoy' },
      { by: 'executable', executable: 'caddy' },
      { by: 'pid', pid: 12 },
      { by: 'listen_port', listenPort: 8000 },
    ]);
  });

  test('the environment names the service and chooses no exporter, not even a wrong one', () => {
    const { config, warnings } = watchConfig(
      {},
      {
        OTEL_SERVICE_NAME: 'edge',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
        OTEL_TRACES_EXPORTER: 'otlp',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense',
      },
    );
    assert.deepEqual(
      config.exporters.map(({ type }) => type),
      ['console'],
    );
    assert.ok(config.receivers[0]?.targets.every(({ serviceName }) => serviceName === 'edge'));
    assert.deepEqual(config.resourceAttributes, { 'deployment.environment.name': 'test' });
    assert.deepEqual(warnings, []);
  });

  for (const [name, options, flag] of [
    ['a process id', { pid: ['0'] }, '--pid'],
    ['a port', { listenPort: ['65536'] }, '--listen-port'],
    ['an executable', { executable: ['/usr/bin/envoy'] }, '--executable'],
    ['a path', { path: ['envoy'] }, '--path'],
  ] as const) {
    test(`${name} that cannot be is told with its flag`, () => {
      assert.throws(
        () => watchConfig(options, {}),
        (error) =>
          error instanceof HopspanError &&
          error.exitCode === 2 &&
          error.message.startsWith(`${flag}: found `),
      );
    });
  }
});
