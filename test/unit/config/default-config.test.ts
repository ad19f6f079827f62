import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig } from '../../../src/config/defaults.ts';
import type { OtlpExporterConfig } from '../../../src/config/types.ts';
import { DEFAULT_LOGS } from '../../../src/telemetry/log.ts';
import { mistakesOf } from './harness.ts';

test('without variables: the known proxies, to the console', () => {
  const { config, warnings } = defaultConfig({});
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.receivers[0]?.targets, [
    { by: 'executable', executable: 'envoy' },
    { by: 'executable', executable: 'nginx' },
    { by: 'executable', executable: 'haproxy' },
  ]);
  assert.deepEqual(config.exporters, [
    { type: 'console', name: 'console', color: 'auto', format: 'waterfall' },
  ]);
  assert.deepEqual(config.pipelines, [
    { name: 'traces', receivers: ['ebpf'], processors: [], exporters: ['console'] },
  ]);
  assert.deepEqual(config.telemetry, {
    logs: DEFAULT_LOGS,
    metricsLevel: 'none',
    metricReaders: [],
    metricBuckets: 'explicit',
    metricIntervalMs: 60_000,
    metricProtocol: 'grpc',
  });
});

const CHOICES: readonly [NodeJS.ProcessEnv, readonly string[]][] = [
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, ['otlp']],
  [{ OTEL_TRACES_EXPORTER: 'console' }, ['console']],
  [{ OTEL_TRACES_EXPORTER: 'none' }, []],
  [{ OTEL_TRACES_EXPORTER: ' otlp , console,otlp ' }, ['otlp', 'console']],
  [{ OTEL_TRACES_EXPORTER: '' }, ['console']],
  [{ OTEL_TRACES_EXPORTER: 'console', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a' }, ['console']],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a' }, ['otlp']],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://a' }, ['otlp']],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, ['console']],
  [{ OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_EXPORTER: 'otlp' }, []],
  [{ OTEL_SDK_DISABLED: 'false' }, ['console']],
  // Where OTLP is not chosen, its variables are none of our business.
  [{ OTEL_TRACES_EXPORTER: 'console', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }, ['console']],
];

for (const [env, names] of CHOICES) {
  test(`${JSON.stringify(env)} chooses ${names.join(', ') || 'nothing'}`, () => {
    const { config } = defaultConfig(env);
    assert.deepEqual(
      config.exporters.map(({ name }) => name),
      names,
    );
    assert.deepEqual(config.pipelines[0]?.exporters, names);
  });
}

test('asked for nothing, it says so', () => {
  const warning = 'OTEL_* variables ask for no exporter: nothing is exported';
  assert.deepEqual(defaultConfig({ OTEL_TRACES_EXPORTER: 'none' }).warnings, [warning]);
});

test('variables of OTLP without an endpoint are pointed out', () => {
  const env = { OTEL_EXPORTER_OTLP_TIMEOUT: '5', OTEL_EXPORTER_OTLP_HEADERS: 'a=b' };
  assert.deepEqual(defaultConfig(env).warnings, [
    'OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TIMEOUT: not used; without an endpoint hopspan writes to the console; OTEL_TRACES_EXPORTER=otlp sends to localhost:4317',
  ]);
});

function otlp(env: NodeJS.ProcessEnv): OtlpExporterConfig {
  const [built] = defaultConfig({ OTEL_TRACES_EXPORTER: 'otlp', ...env }).config.exporters;
  assert.ok(built?.type === 'otlp');
  return built;
}

test('every variable of the OTLP exporter', () => {
  const built = otlp({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a:1',
    OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Basic%20YTpi=, x-scope = a ,',
    OTEL_EXPORTER_OTLP_TIMEOUT: '2500',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_EXPORTER_OTLP_CERTIFICATE: 'ca.pem',
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: 'c.pem',
    OTEL_EXPORTER_OTLP_CLIENT_KEY: 'k.pem',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  });
  const { endpoint, headers, timeoutMs, compression, tls } = built;
  assert.deepEqual(headers, { authorization: 'Basic YTpi=', 'x-scope': 'a' });
  assert.deepEqual([endpoint, timeoutMs, compression], ['https://a:1', 2_500, 'gzip']);
  assert.deepEqual(tls, { insecure: false, caFile: 'ca.pem', certFile: 'c.pem', keyFile: 'k.pem' });
});

test('the forms for traces win', () => {
  for (const suffix of [
    'ENDPOINT',
    'HEADERS',
    'TIMEOUT',
    'COMPRESSION',
    'INSECURE',
    'CERTIFICATE',
    'PROTOCOL',
  ]) {
    const general = {
      ENDPOINT: 'a:1',
      HEADERS: 'a=1',
      TIMEOUT: '1',
      COMPRESSION: 'none',
      INSECURE: 'false',
      CERTIFICATE: 'a',
      PROTOCOL: 'http/json',
    };
    const traces = {
      ENDPOINT: 'b:1',
      HEADERS: 'b=1',
      TIMEOUT: '2',
      COMPRESSION: 'gzip',
      INSECURE: 'true',
      CERTIFICATE: 'b',
      PROTOCOL: 'grpc',
    };
    const key = suffix as keyof typeof traces;
    const both = otlp({
      [`OTEL_EXPORTER_OTLP_${key}`]: general[key],
      [`OTEL_EXPORTER_OTLP_TRACES_${key}`]: traces[key],
    });
    assert.deepEqual(both, otlp({ [`OTEL_EXPORTER_OTLP_${key}`]: traces[key] }), suffix);
  }
});

const HTTP_ENDPOINTS: readonly [NodeJS.ProcessEnv, string][] = [
  [{}, 'http://localhost:4318/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a/otlp' }, 'https://a/otlp/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://a/otlp' }, 'https://a/otlp'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b' }, 'http://b/'],
];

for (const [env, endpoint] of HTTP_ENDPOINTS) {
  test(`http/protobuf goes to ${endpoint}`, () => {
    for (const name of ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL']) {
      const built = otlp({ ...env, [name]: 'http/protobuf' });
      assert.deepEqual([built.protocol, built.endpoint], ['http/protobuf', endpoint]);
      assert.equal(built.tls.insecure, endpoint.startsWith('http:'));
    }
  });
}

test('over HTTP an endpoint is a URL', () => {
  const env = {
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'a:4318',
  };
  assert.deepEqual(
    mistakesOf(() => defaultConfig(env)),
    [
      'OTEL_EXPORTER_OTLP_ENDPOINT: found "a:4318", expected http://HOST:PORT or https://HOST:PORT, with or without a path',
    ],
  );
});

const SECURITY: readonly [string, string | undefined, string, boolean][] = [
  ['http://a:1', 'false', 'http://a:1', true],
  ['https://a:1', 'true', 'https://a:1', false],
  ['a:1', undefined, 'https://a:1', false],
  ['a:1', 'True', 'http://a:1', true],
];

for (const [endpoint, insecure, expected, plain] of SECURITY) {
  test(`${endpoint} with OTEL_EXPORTER_OTLP_INSECURE ${insecure} is ${expected}`, () => {
    const built = otlp({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_INSECURE: insecure });
    assert.deepEqual([built.endpoint, built.tls.insecure], [expected, plain]);
  });
}

const REFUSED: readonly [string, string, string][] = [
  [
    'OTEL_TRACES_EXPORTER',
    'zipkin',
    'found "zipkin", expected otlp, console, both with a comma between them, or none',
  ],
  [
    'OTEL_TRACES_EXPORTER',
    'none,otlp',
    'found "none,otlp", expected otlp, console, both with a comma between them, or none',
  ],
  ['OTEL_SDK_DISABLED', '1', 'found "1", expected true or false'],
  [
    'OTEL_SERVICE_NAME',
    'x'.repeat(256),
    `found "${'x'.repeat(60)}…", expected a service name of 1 to 255 characters`,
  ],
  [
    'OTEL_RESOURCE_ATTRIBUTES',
    'a=%zz',
    'found "a=%zz", expected NAME=VALUE,NAME=VALUE, other characters percent-encoded',
  ],
  [
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'ftp://a',
    'found "ftp://a", expected http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH',
  ],
  ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s', 'found "10s", expected whole milliseconds from 1 to 3600000'],
  ['OTEL_EXPORTER_OTLP_TIMEOUT', '0', 'found "0", expected whole milliseconds from 1 to 3600000'],
  ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd', 'found "zstd", expected none or gzip'],
  ['OTEL_EXPORTER_OTLP_INSECURE', 'yes', 'found "yes", expected true or false'],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'http', 'found "http", expected grpc or http/protobuf'],
  ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/json', 'found "http/json", expected grpc or http/protobuf'],
  [
    'OTEL_EXPORTER_OTLP_HEADERS',
    'secret',
    'found something else, expected NAME=VALUE,NAME=VALUE with valid header names, other characters percent-encoded',
  ],
  [
    'OTEL_EXPORTER_OTLP_HEADERS',
    'a=%0a',
    'found something else, expected NAME=VALUE,NAME=VALUE with valid header names, other characters percent-encoded',
  ],
];

for (const [name, value, text] of REFUSED) {
  test(`refused: ${name}=${value.slice(0, 20)}`, () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', [name]: value };
    assert.deepEqual(
      mistakesOf(() => defaultConfig(env)),
      [`${name}: ${text}`],
    );
  });
}

test('all wrong variables are reported, and a certificate without its key', () => {
  const lines = mistakesOf(() =>
    defaultConfig({
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_TIMEOUT: 'x',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'x',
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: 'c.pem',
    }),
  );
  assert.deepEqual(
    lines.map((line) => line.split(':')[0]),
    [
      'OTEL_EXPORTER_OTLP_COMPRESSION',
      'OTEL_EXPORTER_OTLP_TIMEOUT',
      'found a client certificate without its key for exporters.otlp, expected tls.key_file or OTEL_EXPORTER_OTLP_CLIENT_KEY, too',
    ],
  );
});

test('names and attributes go to every watched process; targets of flags replace the known proxies', () => {
  const env = { OTEL_RESOURCE_ATTRIBUTES: 'service.name=edge,team=net' };
  const { config } = defaultConfig(env, [
    { by: 'pid', pid: 7 },
    { by: 'listen_port', listenPort: 80, serviceName: 'own' },
  ]);
  assert.deepEqual(config.resourceAttributes, { team: 'net' });
  assert.deepEqual(config.receivers[0]?.targets, [
    { by: 'pid', pid: 7, serviceName: 'edge' },
    { by: 'listen_port', listenPort: 80, serviceName: 'own' },
  ]);
});

test('OTEL_PROPAGATORS choose the headers that name a caller', () => {
  const propagators = (value?: string) =>
    defaultConfig(value === undefined ? {} : { OTEL_PROPAGATORS: value }).config.propagators;
  assert.deepEqual(propagators(), ['tracecontext']);
  assert.deepEqual(propagators(''), ['tracecontext']);
  assert.deepEqual(propagators('tracecontext,baggage'), ['tracecontext', 'baggage']);
  assert.deepEqual(propagators(' b3multi, jaeger,jaeger'), ['b3multi', 'jaeger']);
  assert.deepEqual(propagators('none'), ['none']);
  for (const wrong of ['xray', 'none,b3', 'b3,']) {
    assert.throws(() => propagators(wrong), /OTEL_PROPAGATORS: found .*, expected tracecontext, baggage, b3/);
  }
});
