import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, found } from '../../../src/config/mistakes.ts';
import { listed } from '../../../src/config/rules.ts';
import { PROCESSORS } from '../../../src/config/schema.ts';
import { mistakesOf, parse, yaml, yamlWithExporter } from './harness.ts';

const PROCESSOR_TYPES = listed(Object.keys(PROCESSORS), 'or');
const TARGET_KEYS = 'executable, path, pid or listen_port';
const DURATION = 'a duration such as "5s", "200ms" or "1m30s"';
const ENDPOINT = 'http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH';
const HEADER_NAME = 'letters, digits, "_", "-" and ".", without "grpc-" at the beginning';
const ebpf = (value: string) => yaml({ receivers: `{ebpf: ${value}}` });
const targets = (value: string) => ebpf(`{targets: ${value}}`);
const otlp = (value: string) => yamlWithExporter('otlp', value);
const pipelines = (value: string) => yaml({ service: `{pipelines: ${value}}` });

/** Text, and the lines that it must give, less the `f.yaml:` in front. */
const CASES: readonly (readonly [string, ...string[]])[] = [
  // The whole file
  ['', '1:1: found nothing, expected a mapping with receivers, exporters and service'],
  ['# only a comment\n', '1:1: found nothing, expected a mapping with receivers, exporters and service'],
  ['- a', '1:1: found a list, expected a mapping with receivers, exporters and service'],
  ['hello', '1:1: found "hello", expected a mapping with receivers, exporters and service'],
  [
    '{}',
    '1:1: found nothing for receivers, expected a mapping with at least one of ebpf or otlp',
    '1:1: found nothing for exporters, expected a mapping with at least one of otlp, otlphttp, console or file',
    '1:1: found nothing for service, expected a mapping with pipelines',
  ],
  [
    yaml({ more: 'exporter:\nextension: {}' }),
    '4:1: found the key "exporter" in the file, expected receivers, exporters, service, processors or extensions; did you mean "exporters"?',
    '5:1: found the key "extension" in the file, expected receivers, exporters, service, processors or extensions; did you mean "extensions"?',
  ],
  // YAML itself
  [
    'a: [',
    '1:5: found invalid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  ['a: "b\nc: d', '2:5: found invalid YAML: Missing closing "quote'],
  ['a:\n\t- b', '2:1: found invalid YAML: Tabs are not allowed as indentation'],
  [`${yaml()}---\n${yaml()}`, '4:1: found a second YAML document, expected one'],
  ['a: !secret b', '1:4: found invalid YAML: Unresolved tag: !secret'],
  [
    yaml({ exporters: '{console: *x}' }),
    '2:22: found the alias "x", expected one whose anchor stands above it',
  ],
  [
    'receivers: {ebpf: }\nreceivers: {ebpf: }\nexporters:\n  console:\n  console:\nservice: {pipelines: {traces: {receivers: [ebpf], exporters: [console]}}}',
    '2:1: found the key "receivers" again, expected it once (first on line 1)',
    '5:3: found the key "console" again, expected it once (first on line 4)',
  ],
  // Components
  [
    yaml({ receivers: '{ebf: , jaeger: }' }),
    '1:13: found the unknown receiver "ebf", expected ebpf or otlp; did you mean "ebpf"?',
    '1:20: found the unknown receiver "jaeger", expected ebpf or otlp',
    '3:44: found the receiver "ebpf", which is not defined under receivers, expected ebf or jaeger; did you mean "ebf"?',
  ],
  [
    yaml({ exporters: '{console: , consle/2: , toString: , __proto__: , "otlp/": , "otlp/a b": }' }),
    '2:24: found the unknown exporter "consle/2", expected otlp, otlphttp, console or file; did you mean "console"?',
    '2:36: found the unknown exporter "toString", expected otlp, otlphttp, console or file',
    '2:48: found the unknown exporter "__proto__", expected otlp, otlphttp, console or file',
    '2:61: found the name "otlp/", expected TYPE or TYPE/NAME without spaces or symbols',
    '2:72: found the name "otlp/a b", expected TYPE or TYPE/NAME without spaces or symbols',
  ],
  [
    yaml({ receivers: '', exporters: '[]', more: 'processors: 5' }),
    '1:1: found nothing for receivers, expected a mapping with at least one of ebpf or otlp',
    '2:12: found a list for exporters, expected a mapping with at least one of otlp, otlphttp, console or file',
    '3:44: found the receiver "ebpf", which is not defined under receivers, expected none, as there is none',
    '3:63: found the exporter "console", which is not defined under exporters, expected none, as there is none',
    `4:13: found 5 for processors, expected a mapping with at least one of ${PROCESSOR_TYPES}`,
  ],
  [
    yaml({ exporters: '{}' }).replace('[console]', '[]'),
    '2:1: found no entry in exporters, expected at least one of otlp, otlphttp, console or file',
    '3:51: found no exporter in service.pipelines.traces.exporters, expected at least one',
  ],
  [
    yaml({
      receivers:
        '{ebpf: , otlp: , otlp/2: {protocols: {grpc: {endpoint: "1.2.3.4"}, http: {endpoint: "[1]:80"}}}}',
    }),
    '1:21: found no protocol for receivers.otlp.protocols, expected grpc, http or both',
    '1:67: found "1.2.3.4" for receivers.otlp/2.protocols.grpc.endpoint, expected HOST:PORT to listen on, such as 127.0.0.1:4317, 0.0.0.0:4317 or [::1]:4317',
    '1:96: found "[1]:80" for receivers.otlp/2.protocols.http.endpoint, expected HOST:PORT to listen on, such as 127.0.0.1:4317, 0.0.0.0:4317 or [::1]:4317',
  ],
  [
    yaml({ more: 'processors: {hop_parent: {wait: -1s, max_span: 5}}' }),
    '4:33: found "-1s" for processors.hop_parent.wait, expected a duration such as "5s", "200ms" or "1m30s", from 0s to 1m',
    '4:38: found the key "max_span" in processors.hop_parent, expected wait, remember or max_spans; did you mean "max_spans"?',
  ],
  [
    yaml({
      receivers: '{ebpf: , otlp: {protocols: {grpc: }}}',
      exporters:
        '{otlp: {endpoint: "http://localhost:4317"}, otlp/2: {endpoint: "http://10.0.0.1:4317"}, console: }',
    }),
    '2:20: found http://localhost:4317 for exporters.otlp.endpoint, where the receiver otlp listens, expected another endpoint for one of them',
  ],
  [
    yaml({ receivers: '{ebpf: , otlp: {protocols: {grpc: }}}', exporters: '{otlp: , console: }' }),
    '2:13: found http://localhost:4317 for exporters.otlp.endpoint, where the receiver otlp listens, expected another endpoint for one of them',
  ],
  [
    yaml({ more: 'processors: {transform: }' }),
    `4:14: found the unknown processor "transform", expected ${PROCESSOR_TYPES}`,
  ],
  [yaml({ exporters: '{console: 5}' }), '2:22: found 5 for exporters.console, expected a mapping'],
  // Receiver
  [ebpf('{targets: 5}'), '1:29: found 5 for receivers.ebpf.targets, expected a list of targets'],
  [targets('[]'), '1:20: found no target in receivers.ebpf.targets, expected at least one'],
  [targets('[envoy]'), '1:30: found "envoy" for receivers.ebpf.targets[0], expected a mapping'],
  [
    targets('[{}]'),
    `1:30: found no selector in receivers.ebpf.targets[0], expected exactly one of ${TARGET_KEYS}`,
  ],
  [
    targets('[{service_name: a}]'),
    `1:30: found no selector in receivers.ebpf.targets[0], expected exactly one of ${TARGET_KEYS}`,
  ],
  [
    targets('[{pid: 1, path: /a}]'),
    `1:30: found pid and path in receivers.ebpf.targets[0], expected exactly one of ${TARGET_KEYS}`,
  ],
  [
    targets('[{pid: x, path: a}]'),
    `1:30: found pid and path in receivers.ebpf.targets[0], expected exactly one of ${TARGET_KEYS}`,
    '1:36: found "x" for receivers.ebpf.targets[0].pid, expected a process id from 1 to 4194304',
    '1:45: found "a" for receivers.ebpf.targets[0].path, expected the absolute path of an executable, such as /usr/local/bin/envoy',
  ],
  [
    targets('[{exectuable: envoy}]'),
    '1:31: found the key "exectuable" in receivers.ebpf.targets[0], expected executable, path, pid, listen_port or service_name; did you mean "executable"?',
  ],
  ...['/bin/envoy', '""', '.', '..', '5', 'true', '[a]', `${'x'.repeat(256)}`].map(
    (value): [string, string] => [
      targets(`[{executable: ${value}}]`),
      `1:43: found ${value === '""' ? '""' : value === '[a]' ? 'a list' : /^(5|true)$/.test(value) ? value : found(value)} for receivers.ebpf.targets[0].executable, expected the name of an executable without its folder, such as envoy`,
    ],
  ),
  ...['0', '-1', '4194305', '1.5', '"7"', '1e99'].map((value): [string, string] => [
    targets(`[{pid: ${value}}]`),
    `1:36: found ${value === '1e99' ? '1e+99' : value} for receivers.ebpf.targets[0].pid, expected a process id from 1 to 4194304${value === '"7"' ? '; leave out the quotes' : ''}`,
  ]),
  [
    targets('[{listen_port: 65536}]'),
    '1:44: found 65536 for receivers.ebpf.targets[0].listen_port, expected a TCP port from 1 to 65535',
  ],
  [
    targets('[{pid: 1, service_name: " a"}]'),
    '1:53: found " a" for receivers.ebpf.targets[0].service_name, expected a service name of 1 to 255 characters',
  ],
  ...['65535', '65537', '98304', '2147483648', '-65536'].map((value): [string, string] => [
    ebpf(`{ring_buffer_bytes: ${value}}`),
    `1:39: found ${value} for receivers.ebpf.ring_buffer_bytes, expected a power of two from 65536 to 1073741824 bytes`,
  ]),
  [
    ebpf('{max_connections: 0}'),
    '1:37: found 0 for receivers.ebpf.max_connections, expected an integer from 1 to 4194304',
  ],
  ...['5', '5 s', '-5s', '25h', '0', 'yes', '1d', '{}'].map((value): [string, string] => [
    ebpf(`{idle_timeout: ${value}}`),
    `1:34: found ${/^\d$/.test(value) ? value : value === '{}' ? 'a mapping' : `"${value}"`} for receivers.ebpf.idle_timeout, expected ${DURATION}, from 1ms to 24h`,
  ]),
  [
    ebpf('{idle_timout: 5s, phasefloor: 0}'),
    '1:20: found the key "idle_timout" in receivers.ebpf, expected targets, max_connections, ring_buffer_bytes, max_head_bytes, turns, query_strings, header_diff, host_events, idle_timeout, phase_floor or unsampled; did you mean "idle_timeout"?',
    '1:37: found the key "phasefloor" in receivers.ebpf, expected targets, max_connections, ring_buffer_bytes, max_head_bytes, turns, query_strings, header_diff, host_events, idle_timeout, phase_floor or unsampled; did you mean "phase_floor"?',
  ],
  // Exporters
  ...['ftp://a', 'http://', 'a b', 'http://a:0', 'http://a:65536', 'http://a?b=c', 'a:b:c'].map(
    (value): [string, string] => [
      otlp(`{endpoint: "${value}"}`),
      `2:30: found "${value}" for exporters.otlp.endpoint, expected ${ENDPOINT}`,
    ],
  ),
  [otlp('{endpoint: 4317}'), `2:30: found 4317 for exporters.otlp.endpoint, expected ${ENDPOINT}`],
  [
    otlp('{endpoint: "http://user:pass@a"}'),
    `2:30: found "http://***@a" for exporters.otlp.endpoint, expected ${ENDPOINT}`,
  ],
  [
    otlp('{compression: gzp}'),
    '2:33: found "gzp" for exporters.otlp.compression, expected none or gzip; did you mean "gzip"?',
  ],
  [otlp('{compression: zstd}'), '2:33: found "zstd" for exporters.otlp.compression, expected none or gzip'],
  [
    otlp('{sending_queue: {max_size: 1GiB}}'),
    '2:36: found max_size without directory for exporters.otlp, expected both: it bounds the queue on disk',
  ],
  [
    otlp('{sending_queue: {directory: q, max_size: 1GB}}'),
    '2:60: found "1GB" for exporters.otlp.sending_queue.max_size, expected bytes, or a size such as 512MiB or 2GiB, from 1MiB to 1024GiB',
  ],
  [
    otlp('{sending_queue: {directory: ""}}'),
    '2:47: found "" for exporters.otlp.sending_queue.directory, expected the path of a file',
  ],
  [
    yamlWithExporter('otlphttp', '{endpoint: "localhost:4318"}'),
    '2:34: found "localhost:4318" for exporters.otlphttp.endpoint, expected http://HOST:PORT or https://HOST:PORT, with or without a path',
  ],
  [
    yaml({
      receivers: '{ebpf: , otlp: {protocols: {http: }}}',
      exporters: '{otlphttp: , otlp: {endpoint: "http://localhost:4318"}, console: }',
    }),
    '2:13: found http://localhost:4318/v1/traces for exporters.otlphttp.endpoint, where the receiver otlp listens, expected another endpoint for one of them',
  ],
  [
    otlp('{headers: [a]}'),
    '2:29: found a list for exporters.otlp.headers, expected a mapping from header names to texts',
  ],
  [
    otlp('{headers: {"a b": x, grpc-a: x, token: "gr\u00fcn", pin: 1234}}'),
    `2:30: found the key "a b" in exporters.otlp.headers, expected ${HEADER_NAME}`,
    `2:40: found the key "grpc-a" in exporters.otlp.headers, expected ${HEADER_NAME}`,
    '2:58: found something else for exporters.otlp.headers.token, expected printable ASCII text',
    '2:71: found something else for exporters.otlp.headers.pin, expected printable ASCII text',
  ],
  [
    otlp('{tls: {insecure: yes}}'),
    '2:36: found "yes" for exporters.otlp.tls.insecure, expected true or false',
  ],
  [
    otlp('{tls: {insecure: "true"}}'),
    '2:36: found "true" for exporters.otlp.tls.insecure, expected true or false; leave out the quotes',
  ],
  [
    otlp('{tls: {cert_file: a, cafile: b}}'),
    '2:40: found the key "cafile" in exporters.otlp.tls, expected insecure, ca_file, cert_file or key_file; did you mean "ca_file"?',
  ],
  [
    otlp('{tls: {cert_file: a}}'),
    '2:26: found a client certificate without its key for exporters.otlp, expected tls.key_file or OTEL_EXPORTER_OTLP_CLIENT_KEY, too',
  ],
  [
    otlp('{tls: {key_file: a}}'),
    '2:26: found a client key without its certificate for exporters.otlp, expected tls.cert_file or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, too',
  ],
  [
    otlp('{retry_on_failure: {initial_interval: 10s, max_interval: 5s}}'),
    '2:39: found an initial_interval of 10s above the max_interval of 5s for exporters.otlp, expected at most that',
  ],
  [
    otlp('{sending_queue: {queue_size: 1.5}}'),
    '2:48: found 1.5 for exporters.otlp.sending_queue.queue_size, expected an integer from 1 to 10000000 spans',
  ],
  [yamlWithExporter('file', ''), '2:13: found no exporters.file.path, expected the path of a file'],
  [yamlWithExporter('file', '{path: }'), '2:20: found no exporters.file.path, expected the path of a file'],
  [
    yamlWithExporter('file', '{path: "a\\u0000b"}'),
    '2:26: found "a\\x00b" for exporters.file.path, expected the path of a file',
  ],
  [
    yamlWithExporter('console', '{color: allways, format: 1}'),
    '2:30: found "allways" for exporters.console.color, expected auto, always or never; did you mean "always"?',
    '2:47: found 1 for exporters.console.format, expected waterfall or json',
  ],
  // Service
  [yaml({ service: '' }), '3:1: found nothing for service, expected a mapping with pipelines'],
  [yaml({ service: '{}' }), '3:1: found nothing for service.pipelines, expected a mapping with traces'],
  [
    yaml({ service: '{pipeline: {}}' }),
    '3:1: found nothing for service.pipelines, expected a mapping with traces',
    '3:11: found the key "pipeline" in service, expected pipelines, telemetry, extensions or shutdown_timeout; did you mean "pipelines"?',
  ],
  [pipelines('{}'), '3:11: found no pipeline in service.pipelines, expected traces or traces/NAME'],
  [
    pipelines('{traces: }'),
    '3:23: found no receiver in service.pipelines.traces.receivers, expected at least one',
    '3:23: found no exporter in service.pipelines.traces.exporters, expected at least one',
  ],
  [pipelines('{traces: []}'), '3:31: found a list for service.pipelines.traces, expected a mapping'],
  [
    pipelines(
      '{metrics: {receivers: [ebpf], exporters: [console]}, trace: {receivers: [ebpf], exporters: [console]}}',
    ),
    '3:23: found the pipeline "metrics", expected traces or traces/NAME',
    '3:75: found the pipeline "trace", expected traces or traces/NAME; did you mean "traces"?',
  ],
  [
    pipelines('{traces: {receivers: [ebpf, 5, ebpf], processors: [batch], exporters: console}}'),
    '3:50: found 5 for service.pipelines.traces.receivers[1], expected the name of a receiver',
    '3:53: found the receiver "ebpf" again, expected it once in service.pipelines.traces.receivers',
    '3:73: found the processor "batch", which is not defined under processors, expected none, as there is none',
    '3:92: found "console" for service.pipelines.traces.exporters, expected a list of component names',
  ],
  [
    pipelines('{traces: {receivers: [ebpf], exporters: [consle], exporter: 1}}'),
    '3:63: found the exporter "consle", which is not defined under exporters, expected console; did you mean "console"?',
    '3:72: found the key "exporter" in service.pipelines.traces, expected receivers, processors or exporters; did you mean "exporters"?',
  ],
  [
    yaml({
      service:
        '{pipelines: {traces: {receivers: [ebpf], exporters: [console]}}, telemetry: {logs: {level: warning}, metrics: {level: detailed}, trace: 1}}',
    }),
    '3:101: found "warning" for service.telemetry.logs.level, expected debug, info, warn or error; did you mean "warn"?',
    '3:128: found "detailed" for service.telemetry.metrics.level, expected none or normal',
    '3:139: found the key "trace" in service.telemetry, expected logs or metrics',
  ],
];

for (const [text, ...lines] of CASES) {
  test(`${JSON.stringify(text.slice(0, 120))}: ${lines[0]?.slice(0, 80)}`, () => {
    const expected = lines.map((line) => `f.yaml:${line}`);
    assert.deepEqual(
      mistakesOf(() => parse(text)),
      expected,
    );
  });
}

test('block style: lines and columns are those of an editor', () => {
  const text = `# two lines of
# comment
receivers:
  ebpf:
    targets:
    - executable: envoy
      service_nam: edge
    - executable: a/b
exporters:
    otlp:
        endpoint: grün
        tls:
            insecure: no
service:
  pipelines:
    traces:
      receivers: [ebpf]
      exporters:
        - otlp
        - otlp/2
`;
  assert.deepEqual(
    mistakesOf(() => parse(text.replaceAll('\n', '\r\n'))),
    [
      'f.yaml:7:7: found the key "service_nam" in receivers.ebpf.targets[0], expected executable, path, pid, listen_port or service_name; did you mean "service_name"?',
      'f.yaml:8:19: found "a/b" for receivers.ebpf.targets[1].executable, expected the name of an executable without its folder, such as envoy',
      'f.yaml:13:23: found "no" for exporters.otlp.tls.insecure, expected true or false',
      'f.yaml:20:11: found the exporter "otlp/2", which is not defined under exporters, expected otlp; did you mean "otlp"?',
    ],
  );
});

test('mistakes of variables come after those of the file', () => {
  const lines = mistakesOf(() =>
    parse(otlp('{timeout: x}').replace('{ebpf: }', '{ebpf: 1}'), {
      OTEL_EXPORTER_OTLP_COMPRESSION: 'x',
      OTEL_RESOURCE_ATTRIBUTES: '=',
    }),
  );
  assert.deepEqual(
    lines.map((line) => line.slice(0, 30)),
    [
      'f.yaml:1:19: found 1 for recei',
      'f.yaml:2:29: found "x" for exp',
      'OTEL_EXPORTER_OTLP_COMPRESSION',
      'OTEL_RESOURCE_ATTRIBUTES: foun',
    ],
  );
});

test('nothing from the file can reach the terminal as a control', () => {
  const text = yaml({ exporters: '{"\\e[31m\\u202e": , console: {"\\e]0;x\\a": 1, color: "\\e[2J\\n"}}' });
  const lines = mistakesOf(() => parse(text));
  assert.equal(lines.length, 3);
  for (const line of lines) assert.doesNotMatch(line, /[\p{Cc}\u202e]/u);
});

test('names that are near are suggested, others are not', () => {
  const candidates = ['otlp', 'console', 'file'];
  assert.equal(didYouMean('CONSOLE', candidates), '; did you mean "console"?');
  assert.equal(didYouMean('flie', candidates), '; did you mean "file"?');
  assert.equal(didYouMean('zipkin', candidates), '');
  assert.equal(didYouMean('x'.repeat(1e6), candidates), '');
  assert.equal(didYouMean('x', []), '');
});
