import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { defaultConfig } from '../../../src/config/defaults.ts';
import { isLoopback, listenersOf } from '../../../src/config/listeners.ts';
import { checkListeners } from '../../../src/doctor/listeners.ts';
import { parse } from './harness.ts';

/** All that can listen, at its default address or at `host`. */
function everything(host?: string): string {
  const endpoint = (port: number): string => (host === undefined ? '' : `{endpoint: "${host}:${port}"}`);
  const reader = host === undefined ? '' : `host: "${host.replace(/[[\]]/g, '')}"`;
  return `
receivers: {ebpf: , otlp: {protocols: {grpc: ${endpoint(4317)}, http: ${endpoint(4318)}}}}
exporters: {console: }
extensions: {health_check: ${endpoint(13_133)}}
service:
  extensions: [health_check]
  telemetry: {metrics: {readers: [{periodic: }, {pull: {exporter: {prometheus: {${reader}}}}}]}}
  pipelines: {traces: {receivers: [ebpf, otlp], exporters: [console]}}`;
}

describe('listeners', () => {
  it('there are none without a file', () => {
    const { config } = defaultConfig({});
    assert.deepEqual(listenersOf(config), []);
    assert.deepEqual(checkListeners(listenersOf(config)).found, 'none: hopspan listens nowhere');
  });

  it('all of them are on loopback by default, and nothing is said', () => {
    const { config, warnings } = parse(everything());
    const listeners = listenersOf(config);
    assert.deepEqual(
      listeners.map(({ listen }) => `${listen.host}:${listen.port}`),
      ['127.0.0.1:4317', '127.0.0.1:4318', '127.0.0.1:13133', '127.0.0.1:9464'],
    );
    assert.deepEqual(warnings, []);
    const { status, found } = checkListeners(listeners);
    assert.equal(status, 'ok');
    assert.equal(found, 'on loopback only: 127.0.0.1:4317, 127.0.0.1:4318, 127.0.0.1:13133, 127.0.0.1:9464');
  });

  for (const host of ['0.0.0.0', '[::]', '192.0.2.1', 'hopspan.example']) {
    it(`one line for each that listens on ${host}, at its place`, () => {
      const { config, warnings } = parse(everything(host));
      const bare = host.replace(/[[\]]/g, '');
      assert.deepEqual(
        warnings.map((line) => line.replace(/^f\.yaml:(\d+):\d+: /, '$1 ')),
        [
          `2 anybody who can reach ${bare} can send spans: hopspan asks for no credentials there`,
          `2 anybody who can reach ${bare} can send spans: hopspan asks for no credentials there`,
          `4 anybody who can reach ${bare} can ask for its health: hopspan asks for no credentials there`,
          `7 anybody who can reach ${bare} can read its metrics: hopspan asks for no credentials there`,
        ],
      );
      const finding = checkListeners(listenersOf(config));
      assert.equal(finding.status, 'warn');
      assert.ok(finding.found.includes(`the network can reach ${host}:4317, `), finding.found);
    });
  }

  it('what is not started is not spoken of', () => {
    const text = everything('0.0.0.0').replace('extensions: [health_check]', 'extensions: []');
    const { warnings } = parse(text.replace('metrics: {', 'metrics: {level: none, '));
    assert.equal(warnings.filter((line) => line.includes('anybody')).length, 2);
  });

  it('only the three loopback forms are', () => {
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost', 'LOCALHOST'])
      assert.ok(isLoopback(host), host);
    for (const host of ['127.0.0.1.example', '127.example', '::', '10.0.0.1', 'localhost.example'])
      assert.ok(!isLoopback(host), host);
  });

  it('are all that listens in the sources', () => {
    const files = readdirSync(new URL('../../../src', import.meta.url), {
      recursive: true,
      encoding: 'utf8',
    });
    const listening = files
      .filter((file) => file.endsWith('.ts'))
      .filter((file) =>
        /\.listen\(|bindAsync\(/.test(readFileSync(new URL(`../../../src/${file}`, import.meta.url), 'utf8')),
      );
    assert.deepEqual(listening.toSorted(), [
      'receiver/otlp/grpc.ts',
      'receiver/otlp/http.ts',
      'telemetry/http-server.ts',
    ]);
  });
});
