import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EbpfReceiverConfig, ExporterConfig, OtlpReceiverConfig } from '../../../src/config/types.ts';
import { DEFAULT_LOGS } from '../../../src/telemetry/log.ts';
import { parse, yaml, yamlWithExporter } from './harness.ts';

const EXAMPLE = `receivers:
  ebpf:
    targets:
      - executable: envoy
        service_name: edge
      - path: /usr/sbin/nginx
      - pid: 4711
      - listen_port: 8404
exporters:
  otlp:    { endpoint: http://localhost:4317 }
  console: {}
  file:    { path: spans.jsonl }
service:
  pipelines:
    traces: { receivers: [ebpf], exporters: [otlp, console, file] }
`;

const OTLP_DEFAULTS = {
  type: 'otlp',
  name: 'otlp',
  protocol: 'grpc',
  endpoint: 'http://localhost:4317',
  headers: {},
  compression: 'none',
  timeoutMs: 10_000,
  tls: { insecure: true },
  queueSize: 20_480,
  retry: { enabled: true, initialIntervalMs: 1_000, maxIntervalMs: 30_000, maxElapsedMs: 300_000 },
};

test('the documented shape, every default filled in', () => {
  const { config, warnings } = parse(EXAMPLE);
  assert.deepEqual(warnings, []);
  assert.deepEqual(config, {
    receivers: [
      {
        type: 'ebpf',
        name: 'ebpf',
        targets: [
          { by: 'executable', executable: 'envoy', serviceName: 'edge' },
          { by: 'path', path: '/usr/sbin/nginx' },
          { by: 'pid', pid: 4711 },
          { by: 'listen_port', listenPort: 8404 },
        ],
        maxConnections: 65_536,
        ringBufferBytes: 16_777_216,
        maxHeadBytes: 8192,
        turns: 'auto',
        queryStrings: false,
        headerDiff: false,
        hostEvents: true,
        idleTimeoutMs: 5_000,
        phaseFloorNs: 0,
        unsampled: 'drop',
      },
    ],
    otlpReceivers: [],
    processors: [],
    exporters: [
      OTLP_DEFAULTS,
      { type: 'console', name: 'console', color: 'auto', format: 'waterfall' },
      { type: 'file', name: 'file', path: 'spans.jsonl' },
    ],
    pipelines: [
      { name: 'traces', receivers: ['ebpf'], processors: [], exporters: ['otlp', 'console', 'file'] },
    ],
    telemetry: {
      logs: DEFAULT_LOGS,
      metricsLevel: 'none',
      metricReaders: [],
      metricBuckets: 'explicit',
      metricIntervalMs: 60_000,
      metricProtocol: 'grpc',
    },
    shutdownTimeoutMs: 3500,
    resourceAttributes: {},
    propagators: ['tracecontext'],
  });
});

function ebpf(value: string, env: NodeJS.ProcessEnv = {}): EbpfReceiverConfig {
  const [receiver] = parse(yaml({ receivers: `{ebpf: ${value}}` }), env).config.receivers;
  assert.ok(receiver);
  return receiver;
}

function exporter(name: string, value: string, env: NodeJS.ProcessEnv = {}): ExporterConfig {
  const [only] = parse(yamlWithExporter(name, value), env).config.exporters;
  assert.ok(only);
  return only;
}

test('an empty receiver watches the known proxies', () => {
  for (const value of ['', '{}', 'null', '~', '{targets: }']) {
    const names = ebpf(value).targets.map((target) => target.by === 'executable' && target.executable);
    assert.deepEqual(names, ['envoy', 'nginx', 'haproxy'], value);
  }
});

test('every key of the receiver has its unit', () => {
  const receiver = ebpf(
    '{max_connections: 100, ring_buffer_bytes: 65536, idle_timeout: 1m30s, phase_floor: 50us}',
  );
  const { maxConnections, ringBufferBytes, idleTimeoutMs, phaseFloorNs } = receiver;
  assert.deepEqual(
    [maxConnections, ringBufferBytes, idleTimeoutMs, phaseFloorNs],
    [100, 65_536, 90_000, 50_000],
  );
  assert.equal(ebpf('{phase_floor: 0}').phaseFloorNs, 0);
});

/** The only receiver of applications' spans. */
function otlpReceiver(value: string, warnings?: readonly string[]): OtlpReceiverConfig | undefined {
  const text = yaml({
    receivers: `{otlp: ${value}}`,
    service: '{pipelines: {traces: {receivers: [otlp], exporters: [console]}}}',
  });
  const parsed = parse(text);
  assert.deepEqual(parsed.warnings, warnings ?? []);
  assert.deepEqual(parsed.config.receivers, []);
  return parsed.config.otlpReceivers[0];
}

test("a protocol of the otlp receiver is served where its key is there, as the Collector's is", () => {
  const grpc = { listen: { host: '127.0.0.1', port: 4317 }, maxMessageBytes: 4 * 1024 * 1024 };
  const http = { listen: { host: '127.0.0.1', port: 4318 }, maxBodyBytes: 20 * 1024 * 1024 };
  const named = { type: 'otlp', name: 'otlp' };
  assert.deepEqual(otlpReceiver('{protocols: {grpc: , http: {}}}'), { ...named, grpc, http });
  assert.deepEqual(otlpReceiver('{protocols: {http: }}'), { ...named, http });
  assert.deepEqual(otlpReceiver('{protocols: {grpc: {endpoint: "[::1]:14317", max_recv_msg_size_mib: 2}}}'), {
    ...named,
    grpc: { listen: { host: '::1', port: 14_317 }, maxMessageBytes: 2 * 1024 * 1024 },
  });
});

test('an otlp receiver that is open to the network is warned about', () => {
  const receiver = otlpReceiver(
    '{protocols: {http: {endpoint: "0.0.0.0:4318", max_request_body_size: 1000}}}',
    ['f.yaml:1:39: anybody who can reach 0.0.0.0 can send spans: hopspan asks for no credentials there'],
  );
  assert.deepEqual(receiver?.http, { listen: { host: '0.0.0.0', port: 4318 }, maxBodyBytes: 1000 });
});

test('hop_parent has defaults, and is left out where no pipeline uses it', () => {
  const service = (processors: string) =>
    `{pipelines: {traces: {receivers: [ebpf], processors: ${processors}, exporters: [console]}}}`;
  const more = 'processors: {hop_parent: , hop_parent/slow: {wait: 5s, remember: 1m, max_spans: 100}}';
  const { config, warnings } = parse(yaml({ service: service('[hop_parent/slow]'), more }));
  assert.deepEqual(warnings, [
    'f.yaml:4:14: the processor "hop_parent" is used by no pipeline and is not started',
  ]);
  const slow = {
    type: 'hop_parent',
    name: 'hop_parent/slow',
    waitMs: 5000,
    rememberMs: 60_000,
    maxSpans: 100,
  };
  assert.deepEqual(config.processors, [slow]);
  const both = parse(yaml({ service: service('[hop_parent, hop_parent/slow]'), more })).config;
  assert.deepEqual(both.processors, [
    { ...slow, name: 'hop_parent', waitMs: 2000, rememberMs: 30_000, maxSpans: 65_536 },
    slow,
  ]);
});

test('every key of the otlp exporter', () => {
  const value = `{endpoint: https://otlp.example.com, headers: {Authorization: "Bearer x", x-scope: a}, compression: gzip,
    timeout: 1500ms, tls: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem},
    sending_queue: {queue_size: 5}, retry_on_failure: {enabled: false, initial_interval: 2s, max_interval: 3s, max_elapsed_time: 0}}`;
  assert.deepEqual(exporter('otlp', value), {
    type: 'otlp',
    name: 'otlp',
    protocol: 'grpc',
    endpoint: 'https://otlp.example.com:4317',
    headers: { authorization: 'Bearer x', 'x-scope': 'a' },
    compression: 'gzip',
    timeoutMs: 1_500,
    tls: { insecure: false, caFile: 'ca.pem', certFile: 'c.pem', keyFile: 'k.pem' },
    queueSize: 5,
    retry: { enabled: false, initialIntervalMs: 2_000, maxIntervalMs: 3_000, maxElapsedMs: 0 },
  });
});

const ENDPOINTS: readonly [string, string, boolean][] = [
  ['{endpoint: http://a:1}', 'http://a:1', true],
  ['{endpoint: HTTPS://a:1/}', 'https://a:1', false],
  ['{endpoint: "http://[::1]:4317"}', 'http://[::1]:4317', true],
  ['{endpoint: http://a}', 'http://a:4317', true],
  ['{endpoint: "a:80"}', 'https://a:80', false],
  ['{endpoint: "a:80", tls: {insecure: true}}', 'http://a:80', true],
  ['{endpoint: https://a, tls: {insecure: true}}', 'https://a:4317', false],
  ['{endpoint: unix:///run/otlp.sock}', 'unix:///run/otlp.sock', true],
];

for (const [value, endpoint, insecure] of ENDPOINTS) {
  test(`the scheme decides about TLS: ${value}`, () => {
    const built = exporter('otlp', value);
    assert.ok(built.type === 'otlp');
    assert.deepEqual([built.endpoint, built.tls.insecure], [endpoint, insecure]);
  });
}

test('variables complete an exporter without endpoint, and no other', () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://env:1',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret',
    OTEL_EXPORTER_OTLP_TIMEOUT: '7',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  };
  const completed = exporter('otlp', '{timeout: 2s}', env);
  assert.deepEqual(completed, {
    ...OTLP_DEFAULTS,
    endpoint: 'http://env:1',
    headers: { authorization: 'secret' },
    timeoutMs: 2_000,
  });
  const own = exporter('otlp', '{endpoint: "http://file:1"}', {
    ...env,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  });
  assert.deepEqual(own, { ...OTLP_DEFAULTS, endpoint: 'http://file:1' });
});

test('a queue on disk, in which nothing grows too old', () => {
  const built = exporter('otlp', '{endpoint: "http://a:1", sending_queue: {directory: /var/lib/q}}');
  assert.ok(built.type === 'otlp');
  assert.deepEqual(built.disk, { directory: '/var/lib/q', maxBytes: 2 ** 30 });
  assert.equal(built.retry.maxElapsedMs, 0);
  assert.equal(built.queueSize, 204_800);
  const chosen = exporter(
    'otlphttp',
    '{sending_queue: {directory: q, max_size: 2GiB}, retry_on_failure: {max_elapsed_time: 1h}}',
  );
  assert.ok(chosen.type === 'otlp');
  assert.equal(chosen.disk?.maxBytes, 2 * 2 ** 30);
  assert.equal(chosen.retry.maxElapsedMs, 3_600_000);
});

for (const [size, bytes] of [
  ['1048576', 2 ** 20],
  ['1024KiB', 2 ** 20],
  ['"64 MiB"', 64 * 2 ** 20],
] as const) {
  test(`max_size ${size} is ${bytes} bytes`, () => {
    const built = exporter('otlp', `{sending_queue: {directory: q, max_size: ${size}}}`);
    assert.equal(built.type === 'otlp' && built.disk?.maxBytes, bytes);
  });
}

const HTTP: readonly [string, NodeJS.ProcessEnv, string][] = [
  ['', {}, 'http://localhost:4318/v1/traces'],
  ['{endpoint: https://a/otlp}', {}, 'https://a/otlp/v1/traces'],
  ['{traces_endpoint: https://a/otlp}', {}, 'https://a/otlp'],
  ['{endpoint: http://b, traces_endpoint: https://a/otlp}', {}, 'https://a/otlp'],
  ['', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://env:1' }, 'http://env:1/v1/traces'],
  ['', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://env:1/x' }, 'http://env:1/x'],
  ['{traces_endpoint: http://a}', { OTEL_EXPORTER_OTLP_HEADERS: 'a=secret' }, 'http://a/'],
];

for (const [value, env, endpoint] of HTTP) {
  test(`otlphttp ${value} ${Object.keys(env)} sends to ${endpoint}`, () => {
    const { name, ...built } = { ...OTLP_DEFAULTS, protocol: 'http/protobuf', endpoint };
    const tls = { insecure: endpoint.startsWith('http:') };
    assert.deepEqual(exporter('otlphttp', value, env), { ...built, name: 'otlphttp', tls });
  });
}

test('otlphttp and otlp side by side, both from variables', () => {
  const text = yaml({
    exporters: '{otlp: , otlphttp: }',
    service: '{pipelines: {traces: {receivers: [ebpf], exporters: [otlp, otlphttp]}}}',
  });
  const endpoints = (env: NodeJS.ProcessEnv) =>
    parse(text, env).config.exporters.map((one) => one.type === 'otlp' && [one.protocol, one.endpoint]);
  assert.deepEqual(endpoints({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1' }), [
    ['grpc', 'http://a:1'],
    ['http/protobuf', 'http://a:1/v1/traces'],
  ]);
});

test('named instances and named pipelines', () => {
  const { config } = parse(
    yaml({
      receivers: '{ebpf/a: , ebpf/b: }',
      exporters: '{otlp/eu: , file/2: {path: x}, console: }',
      service: `{pipelines: {traces: {receivers: [ebpf/a], exporters: [otlp/eu, console]},
        traces/2: {receivers: [ebpf/b], processors: [], exporters: [file/2]}}}`,
    }),
  );
  assert.deepEqual(
    config.exporters.map(({ type, name }) => [type, name]),
    [
      ['otlp', 'otlp/eu'],
      ['file', 'file/2'],
      ['console', 'console'],
    ],
  );
  assert.deepEqual(
    config.pipelines.map(({ name, receivers }) => [name, receivers]),
    [
      ['traces', ['ebpf/a']],
      ['traces/2', ['ebpf/b']],
    ],
  );
});

test('what no pipeline uses is left out with a warning at its place', () => {
  const { config, warnings } = parse(
    yaml({ exporters: '{console: , file: {path: x}}', receivers: '{ebpf: , ebpf/b: }' }),
  );
  assert.deepEqual(
    config.exporters.map(({ name }) => name),
    ['console'],
  );
  assert.deepEqual(
    config.receivers.map(({ name }) => name),
    ['ebpf'],
  );
  assert.deepEqual(warnings, [
    'f.yaml:1:21: the receiver "ebpf/b" is used by no pipeline and is not started',
    'f.yaml:2:24: the exporter "file" is used by no pipeline and is not started',
  ]);
});

const WARNINGS: readonly [string, string][] = [
  [
    '{endpoint: https://a, tls: {insecure: true}}',
    'f.yaml:2:47: tls.insecure is not used: the scheme of https://a:4317 decides',
  ],
  [
    '{endpoint: http://a, tls: {ca_file: x}}',
    'f.yaml:2:40: the other settings of tls are not used: http://a:4317 is plain text',
  ],
  [
    '{endpoint: http://a:4318}',
    'f.yaml:2:20: port 4318 is mostly OTLP over HTTP, for which there is the exporter otlphttp',
  ],
  [
    '{endpoint: http://a/v1/traces}',
    'f.yaml:2:20: the path of the endpoint is not used: OTLP over gRPC has none',
  ],
];

for (const [value, warning] of WARNINGS) {
  test(`warns of ${value}`, () =>
    assert.deepEqual(parse(yamlWithExporter('otlp', value)).warnings, [warning]));
}

test('otlphttp warns of the port of gRPC, and of no path', () => {
  const warnings = (endpoint: string) =>
    parse(yamlWithExporter('otlphttp', `{endpoint: "${endpoint}"}`)).warnings;
  assert.deepEqual(warnings('http://a:4317'), [
    'f.yaml:2:24: port 4317 is mostly OTLP over gRPC, for which there is the exporter otlp',
  ]);
  assert.deepEqual(warnings('http://a:4318/otlp'), []);
});

test('a target that is given twice counts once', () => {
  const text = yaml({ receivers: '{ebpf: {targets: [{executable: a}, {executable: a, service_name: b}]}}' });
  assert.deepEqual(parse(text).warnings, [
    'f.yaml:1:47: the target "a" was given before; the first one counts',
  ]);
});

test('service name and attributes of the environment', () => {
  const env = {
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=low,deployment.environment.name=a%2Cb',
    OTEL_SERVICE_NAME: 'high',
  };
  const text = yaml({ receivers: '{ebpf: {targets: [{executable: a}, {pid: 1, service_name: own}]}}' });
  const { config } = parse(text, env);
  assert.deepEqual(config.resourceAttributes, { 'deployment.environment.name': 'a,b' });
  assert.deepEqual(
    config.receivers[0]?.targets.map(({ serviceName }) => serviceName),
    ['high', 'own'],
  );
});

test('anchors, CRLF, a byte order mark and comments are read', () => {
  const text = `\ufeff# x\r\n${yaml({
    exporters: '{otlp: {tls: &t {ca_file: a}}, otlp/2: {tls: *t}}',
    service:
      '{pipelines: {traces: {receivers: [ebpf], exporters: [otlp, otlp/2]}}, telemetry: {logs: {level: warn}, metrics: {level: normal}}}',
  }).replaceAll('\n', '\r\n')}`;
  const { config } = parse(text, { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a' });
  assert.deepEqual(
    config.exporters.map((one) => one.type === 'otlp' && one.tls.caFile),
    ['a', 'a'],
  );
  assert.deepEqual(config.telemetry, {
    logs: { ...DEFAULT_LOGS, level: 'warn' },
    metricsLevel: 'normal',
    metricReaders: [{ kind: 'otlp' }],
    metricBuckets: 'explicit',
    metricIntervalMs: 60_000,
    metricProtocol: 'grpc',
  });
});
