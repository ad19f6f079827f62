// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as the Collector writes them
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mistakesOf, parse } from './harness.ts';

const VALID = `receivers:
  ebpf:
    targets:
      - executable: envoy
exporters:
  otlp:
    endpoint: http://localhost:4317
service:
  pipelines:
    traces:
      receivers: [ebpf]
      exporters: [otlp]
`;

const change = (from: string, to: string): string => {
  assert.ok(VALID.includes(from), from);
  return VALID.replace(from, to);
};
const processor = (name: string, yaml: string): string =>
  `${change('      exporters: [otlp]', `      processors: [${name}]\n      exporters: [otlp]`)}processors:\n${yaml}`;

/** What people write: what is wrong with it, the file, and the lines that it must give, less the `f.yaml:` in front. */
const CASES: readonly (readonly [string, string, ...string[]])[] = [
  [
    'a list item that is not indented under its key',
    change('    targets:\n      - executable: envoy', '    targets:\n  - executable: envoy'),
    '3:13: found invalid YAML: A block sequence may not be used as an implicit map key',
    '4:3: found invalid YAML: Implicit keys need to be on a single line',
  ],
  [
    'a key that is indented one column too far',
    change('  otlp:\n    endpoint', '  otlp:\n     compression: gzip\n    endpoint'),
    '8:1: found invalid YAML: All mapping items must start at the same column',
  ],
  [
    'a component beside its section instead of in it',
    change('  ebpf:\n    targets:\n      - executable: envoy', 'ebpf:\n  targets:\n    - executable: envoy'),
    '1:1: found nothing for receivers, expected a mapping with at least one of ebpf or otlp',
    '2:1: found the key "ebpf" in the file, expected receivers, exporters, service, processors or extensions',
    '11:19: found the receiver "ebpf", which is not defined under receivers, expected none, as there is none',
  ],
  [
    'a tab',
    change('    endpoint', '\tendpoint'),
    '7:1: found invalid YAML: Tabs are not allowed as indentation',
  ],
  [
    'no space behind a colon',
    change('executable: envoy', 'executable:envoy'),
    '4:9: found "executable:envoy" for receivers.ebpf.targets[0], expected a mapping; did you mean "executable: envoy"?',
  ],
  [
    'no colon',
    change('  ebpf:\n', '  ebpf\n'),
    '2:3: found invalid YAML: Implicit keys need to be on a single line',
  ],
  [
    'a quote that is not closed',
    change('http://localhost:4317', '"http://localhost:4317'),
    '13:1: found invalid YAML: Missing closing "quote',
  ],
  [
    'a bracket that is not closed',
    change('[ebpf]', '[ebpf'),
    '12:7: found invalid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  [
    'a brace that is not closed',
    change('executable: envoy', '{ executable: envoy'),
    '5:1: found invalid YAML: Flow map in block collection must be sufficiently indented and end with a }',
  ],
  [
    'a value with a colon that is not in quotes',
    change('http://localhost:4317', 'host: 4317'),
    '7:15: found invalid YAML: Nested mappings are not allowed in compact mappings',
  ],
  [
    'a variable in braces that YAML takes for a mapping',
    change('http://localhost:4317', '{env:ENDPOINT}'),
    '7:15: found a mapping for exporters.otlp.endpoint, expected http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH',
  ],
  [
    'a percent sign at the beginning',
    change('executable: envoy', 'executable: %envoy'),
    '4:21: found invalid YAML: Plain value cannot start with directive indicator character %',
  ],
  [
    'an at sign at the beginning',
    change('executable: envoy', 'executable: @envoy'),
    '4:21: found invalid YAML: Plain value cannot start with reserved character @',
  ],
  [
    'a merge key',
    change('    endpoint', '    <<: *base\n    endpoint'),
    '7:5: found the key "<<" in exporters.otlp, expected endpoint, headers, compression, timeout, tls, sending_queue or retry_on_failure',
    '7:9: found the alias "base", expected one whose anchor stands above it',
  ],
  [
    'a target that is no list',
    change('      - executable: envoy', '      executable: envoy'),
    '4:7: found a mapping for receivers.ebpf.targets, expected a list of targets',
  ],
  [
    'pipelines as a list',
    change('    traces:\n', '    - traces:\n'),
    '10:5: found a list for service.pipelines, expected a mapping with traces',
  ],
  [
    'a pipeline for metrics',
    `${VALID}    metrics:\n      receivers: [ebpf]\n      exporters: [otlp]\n`,
    '13:5: found the pipeline "metrics", expected traces or traces/NAME',
  ],
  [
    'service.pipelines.trace',
    change('    traces:\n', '    trace:\n'),
    '10:5: found the pipeline "trace", expected traces or traces/NAME; did you mean "traces"?',
  ],
  [
    'the singular',
    change('receivers: [ebpf]', 'receiver: [ebpf]'),
    '10:5: found no receiver in service.pipelines.traces.receivers, expected at least one',
    '11:7: found the key "receiver" in service.pipelines.traces, expected receivers, processors or exporters; did you mean "receivers"?',
  ],
  [
    'one name instead of a list',
    change('receivers: [ebpf]', 'receivers: ebpf'),
    '11:18: found "ebpf" for service.pipelines.traces.receivers, expected a list of component names',
  ],
  [
    "the Collector's batch that is not defined",
    change('      exporters: [otlp]', '      processors: [batch]\n      exporters: [otlp]'),
    '12:20: found the processor "batch", which is not defined under processors, expected none, as there is none',
  ],
  [
    "the Collector's debug exporter",
    change('  otlp:', '  debug:\n  otlp:'),
    '6:3: found the unknown exporter "debug", expected otlp, otlphttp, console or file',
  ],
  [
    "the Collector's logging exporter",
    change('  otlp:', '  logging: { loglevel: debug }\n  otlp:'),
    '6:3: found the unknown exporter "logging", expected otlp, otlphttp, console or file',
  ],
  [
    'jaeger',
    change('  otlp:', '  jaeger: { endpoint: localhost:14250 }\n  otlp:'),
    '6:3: found the unknown exporter "jaeger", expected otlp, otlphttp, console or file',
  ],
  [
    'an extension that does not exist',
    `${VALID}extensions:\n  zpages: {}\n`,
    '14:3: found the unknown extension "zpages", expected health_check',
  ],
  [
    'an extension that is not defined',
    change('service:\n', 'service:\n  extensions: [health_check]\n'),
    '9:16: found the extension "health_check", which is not defined under extensions, expected health_check',
  ],
  [
    'an instance that is used by its type',
    change('  otlp:', '  otlp/eu:'),
    '12:19: found the exporter "otlp", which is not defined under exporters, expected otlp/eu; did you mean "otlp/eu"?',
  ],
  [
    'a duration without a unit',
    change('    targets', '    idle_timeout: 500\n    targets'),
    '3:19: found 500 for receivers.ebpf.idle_timeout, expected a duration such as "5s", "200ms" or "1m30s", from 1ms to 24h',
  ],
  [
    'a duration with a space',
    change('    targets', '    idle_timeout: 5 s\n    targets'),
    '3:19: found "5 s" for receivers.ebpf.idle_timeout, expected a duration such as "5s", "200ms" or "1m30s", from 1ms to 24h',
  ],
  [
    'a duration in words',
    change('    targets', '    idle_timeout: 5 seconds\n    targets'),
    '3:19: found "5 seconds" for receivers.ebpf.idle_timeout, expected a duration such as "5s", "200ms" or "1m30s", from 1ms to 24h',
  ],
  [
    'a duration in days',
    change('    endpoint', '    timeout: 1d\n    endpoint'),
    '7:14: found "1d" for exporters.otlp.timeout, expected a duration such as "5s", "200ms" or "1m30s", from 1ms to 1h',
  ],
  [
    'a negative duration',
    change('    endpoint', '    timeout: -5s\n    endpoint'),
    '7:14: found "-5s" for exporters.otlp.timeout, expected a duration such as "5s", "200ms" or "1m30s", from 1ms to 1h',
  ],
  [
    'a duration as a list',
    change('    endpoint', '    timeout: [5s]\n    endpoint'),
    '7:14: found a list for exporters.otlp.timeout, expected a duration such as "5s", "200ms" or "1m30s", from 1ms to 1h',
  ],
  [
    'a port that is too large',
    change('executable: envoy', 'listen_port: 80800'),
    '4:22: found 80800 for receivers.ebpf.targets[0].listen_port, expected a TCP port from 1 to 65535',
  ],
  [
    'a port in quotes',
    change('executable: envoy', 'listen_port: "8080"'),
    '4:22: found "8080" for receivers.ebpf.targets[0].listen_port, expected a TCP port from 1 to 65535; leave out the quotes',
  ],
  [
    'a port with an address',
    change('executable: envoy', 'listen_port: 0.0.0.0:8080'),
    '4:22: found "0.0.0.0:8080" for receivers.ebpf.targets[0].listen_port, expected a TCP port from 1 to 65535',
  ],
  [
    'a port of 0',
    change('executable: envoy', 'listen_port: 0'),
    '4:22: found 0 for receivers.ebpf.targets[0].listen_port, expected a TCP port from 1 to 65535',
  ],
  [
    'an endpoint with a port that is too large',
    change('4317', '65536'),
    '7:15: found "http://localhost:65536" for exporters.otlp.endpoint, expected http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH',
  ],
  [
    'an endpoint without slashes',
    change('http://localhost:4317', 'http:localhost:4317'),
    '7:15: found "http:localhost:4317" for exporters.otlp.endpoint, expected http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH',
  ],
  [
    'an endpoint with a space',
    change('http://localhost:4317', 'http://local host:4317'),
    '7:15: found "http://local host:4317" for exporters.otlp.endpoint, expected http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH',
  ],
  [
    'a boolean in YAML 1.1',
    change('    endpoint', '    tls: { insecure: yes }\n    endpoint'),
    '7:22: found "yes" for exporters.otlp.tls.insecure, expected true or false',
  ],
  [
    'a boolean in quotes',
    change('    endpoint', '    tls: { insecure: "false" }\n    endpoint'),
    '7:22: found "false" for exporters.otlp.tls.insecure, expected true or false; leave out the quotes',
  ],
  [
    'a number in quotes',
    change('    endpoint', '    sending_queue: { queue_size: "1000" }\n    endpoint'),
    '7:34: found "1000" for exporters.otlp.sending_queue.queue_size, expected an integer from 1 to 10000000 spans; leave out the quotes',
  ],
  [
    'a number with a separator',
    change('    endpoint', '    sending_queue: { queue_size: 10_000 }\n    endpoint'),
    '7:34: found "10_000" for exporters.otlp.sending_queue.queue_size, expected an integer from 1 to 10000000 spans',
  ],
  [
    'a size with a unit of ten',
    change('    endpoint', '    sending_queue: { directory: /q, max_size: 1 GB }\n    endpoint'),
    '7:47: found "1 GB" for exporters.otlp.sending_queue.max_size, expected bytes, or a size such as 512MiB or 2GiB, from 1MiB to 1024GiB',
  ],
  [
    'a queue without its storage',
    change('    endpoint', '    sending_queue: { storage: file_storage }\n    endpoint'),
    '7:22: found the key "storage" in exporters.otlp.sending_queue, expected queue_size, directory or max_size',
  ],
  [
    'a header as a list of pairs',
    change('    endpoint', '    headers: [ "a: b" ]\n    endpoint'),
    '7:14: found a list for exporters.otlp.headers, expected a mapping from header names to texts',
  ],
  [
    'a header with a number',
    change('    endpoint', '    headers: { x-scope-orgid: 42 }\n    endpoint'),
    '7:31: found something else for exporters.otlp.headers.x-scope-orgid, expected printable ASCII text',
  ],
  [
    'the same key twice',
    change('    endpoint', '    endpoint: http://a:4317\n    endpoint'),
    '8:5: found the key "endpoint" again, expected it once (first on line 7)',
  ],
  [
    'the same exporter twice',
    change('service:', '  otlp:\n    endpoint: http://b:4317\nservice:'),
    '8:3: found the key "otlp" again, expected it once (first on line 6)',
  ],
  [
    'the same section twice',
    `${VALID}exporters:\n  console:\n`,
    '13:1: found the key "exporters" again, expected it once (first on line 5)',
  ],
  [
    'the same exporter twice in a pipeline',
    change('[otlp]', '[otlp, otlp]'),
    '12:25: found the exporter "otlp" again, expected it once in service.pipelines.traces.exporters',
  ],
  [
    'a home directory',
    change('executable: envoy', 'path: ~/bin/envoy'),
    '4:15: found "~/bin/envoy" for receivers.ebpf.targets[0].path, expected the absolute path of an executable, such as /usr/local/bin/envoy',
  ],
  [
    'a relative path',
    change('executable: envoy', 'path: bin/envoy'),
    '4:15: found "bin/envoy" for receivers.ebpf.targets[0].path, expected the absolute path of an executable, such as /usr/local/bin/envoy',
  ],
  [
    'a path as an executable',
    change('executable: envoy', 'executable: /usr/bin/envoy'),
    '4:21: found "/usr/bin/envoy" for receivers.ebpf.targets[0].executable, expected the name of an executable without its folder, such as envoy',
  ],
  [
    'a process id in words',
    change('executable: envoy', 'pid: envoy'),
    '4:14: found "envoy" for receivers.ebpf.targets[0].pid, expected a process id from 1 to 4194304',
  ],
  [
    'two ways to select',
    change('executable: envoy', 'executable: envoy\n        pid: 17'),
    '4:9: found executable and pid in receivers.ebpf.targets[0], expected exactly one of executable, path, pid or listen_port',
  ],
  [
    'an unknown scheme of a reference',
    change('http://localhost:4317', '${file:/etc/endpoint}'),
    '7:15: found "${file:…}", expected ${env:NAME} or ${env:NAME:-default}',
  ],
  [
    'a name of a variable with a dash',
    change('http://localhost:4317', '${env:MY-ENDPOINT}'),
    '7:15: found "MY-ENDPOINT" as the name of a variable, expected letters, digits and _, no digit first',
  ],
  [
    'a variable that is not set',
    change('http://localhost:4317', '${env:NOT_SET}:4317'),
    '7:15: found "${env:NOT_SET}:4317" (not set) for exporters.otlp.endpoint, expected http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH',
  ],
  [
    'a log level of another program',
    change('service:\n', 'service:\n  telemetry: { logs: { level: warning } }\n'),
    '9:31: found "warning" for service.telemetry.logs.level, expected debug, info, warn or error; did you mean "warn"?',
  ],
  [
    'a time to end without its unit',
    change('service:\n', 'service:\n  shutdown_timeout: 10\n'),
    '9:21: found 10 for service.shutdown_timeout, expected a duration such as "5s", "200ms" or "1m30s", from 100ms to 10m',
  ],
  [
    "the Collector's level of metrics",
    change('service:\n', 'service:\n  telemetry: { metrics: { level: detailed } }\n'),
    '9:34: found "detailed" for service.telemetry.metrics.level, expected none or normal',
  ],
  [
    "the Collector's older address of metrics",
    change('service:\n', 'service:\n  telemetry: { metrics: { address: ":8888" } }\n'),
    '9:27: found the key "address" in service.telemetry.metrics, expected level or readers',
  ],
  [
    'a percentage as a fraction of text',
    processor('probabilistic_sampler', '  probabilistic_sampler: { sampling_percentage: 15% }\n'),
    '15:49: found "15%" for processors.probabilistic_sampler.sampling_percentage, expected a percentage from 0 to 100',
  ],
  [
    'a percentage above 100',
    processor('probabilistic_sampler', '  probabilistic_sampler: { sampling_percentage: 150 }\n'),
    '15:49: found 150 for processors.probabilistic_sampler.sampling_percentage, expected a percentage from 0 to 100',
  ],
  [
    'tail_sampling without policies',
    processor('tail_sampling', '  tail_sampling: { decision_wait: 5s }\n'),
    '15:3: found no policy in processors.tail_sampling.policies, expected at least one',
  ],
  [
    'a ring that is no power of two',
    change('    targets', '    ring_buffer_bytes: 16000000\n    targets'),
    '3:24: found 16000000 for receivers.ebpf.ring_buffer_bytes, expected a power of two from 65536 to 1073741824 bytes',
  ],
  [
    'JSON with a comment',
    '{ "receivers": { "ebpf": null }, // all\n "exporters": {} }',
    '1:1: found nothing for exporters, expected a mapping with at least one of otlp, otlphttp, console or file',
    '1:1: found nothing for service, expected a mapping with pipelines',
    '1:34: found the key "// all "exporters"" in the file, expected receivers, exporters, service, processors or extensions',
  ],
  [
    'an environment file instead',
    'OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317\n',
    '1:1: found "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317", expected a mapping with receivers, exporters and service',
  ],
];

test('the file that they come from is right', () => {
  assert.deepEqual(parse(VALID).warnings, []);
});

for (const [what, text, ...lines] of CASES) {
  test(what, () => {
    assert.deepEqual(
      mistakesOf(() => parse(text)),
      lines.map((line) => `f.yaml:${line}`),
    );
  });
}
