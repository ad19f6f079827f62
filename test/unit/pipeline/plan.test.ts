import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../../../src/config/types.ts';
import { planReload } from '../../../src/pipeline/plan.ts';
import { parse } from '../config/harness.ts';

const BEFORE = `receivers:
  ebpf:
    targets:
      - executable: envoy
      - listen_port: 8080
  otlp: { protocols: { grpc: } }
processors:
  hop_parent: { wait: 1s }
  batch:
exporters:
  otlp: { endpoint: "http://a:4317", headers: { authorization: secret-of-before } }
  file: { path: spans.jsonl }
extensions: { health_check: }
service:
  extensions: [health_check]
  telemetry: { logs: { level: info }, metrics: { level: normal } }
  pipelines:
    traces: { receivers: [ebpf, otlp], processors: [hop_parent, batch], exporters: [otlp] }
    traces/file: { receivers: [ebpf], exporters: [file] }
`;

const before = parse(BEFORE).config;

/** What becomes of the file, what that changes, and what has to wait. */
const CASES: readonly (readonly [
  name: string,
  edits: readonly (readonly [string, string])[],
  changes: readonly string[],
  waiting?: readonly string[],
])[] = [
  ['nothing', [], []],
  ['only the order of keys and comments', [['  batch:\n', '  batch: # last\n']], []],
  [
    'a target in place of another',
    [['listen_port: 8080', 'path: /opt/proxy']],
    ['receiver ebpf: target listen_port 8080 removed', 'receiver ebpf: target path /opt/proxy added'],
  ],
  [
    'a target with a service name',
    [['- executable: envoy', '- { executable: envoy, service_name: edge }']],
    ['receiver ebpf: target executable envoy removed', 'receiver ebpf: target executable envoy added'],
  ],
  [
    'targets in another order',
    [
      [
        '      - executable: envoy\n      - listen_port: 8080',
        '      - listen_port: 8080\n      - executable: envoy',
      ],
    ],
    ['receiver ebpf: targets in another order'],
  ],
  [
    'settings of hops',
    [['    targets:', '    idle_timeout: 1s\n    phase_floor: 1ms\n    unsampled: keep\n    targets:']],
    ['idle_timeout', 'phase_floor', 'unsampled'].map((key) => `receiver ebpf: ${key} changed`),
  ],
  [
    'settings of the probes',
    [
      [
        '    targets:',
        '    max_connections: 9\n    ring_buffer_bytes: 65536\n    max_head_bytes: 9\n    turns: off\n    query_strings: true\n    header_diff: true\n    targets:',
      ],
    ],
    [],
    ['max_connections', 'ring_buffer_bytes', 'max_head_bytes', 'turns', 'query_strings', 'header_diff'].map(
      (key) => `receivers.ebpf.${key}`,
    ),
  ],
  [
    'time to end',
    [['  telemetry:', '  shutdown_timeout: 10s\n  telemetry:']],
    ['service.shutdown_timeout changed'],
  ],
  ['the log', [['level: info', 'level: debug']], ['service.telemetry.logs changed']],
  [
    "hopspan's own metrics and health",
    [
      ['metrics: { level: normal }', 'metrics: { level: none }'],
      ['extensions: { health_check: }', 'extensions: { health_check: { endpoint: "127.0.0.1:9" } }'],
    ],
    [],
    ['service.telemetry.metrics', 'extensions.health_check'],
  ],
  [
    'an exporter, a processor and a receiver',
    [
      ['http://a', 'http://b'],
      ['wait: 1s', 'wait: 2s'],
      ['grpc:', 'http:'],
    ],
    ['receiver otlp replaced', 'processor hop_parent replaced', 'exporter otlp replaced'],
  ],
  ['a credential', [['secret-of-before', 'secret-of-after']], ['exporter otlp replaced']],
  [
    'a pipeline less, with its exporter',
    [['    traces/file: { receivers: [ebpf], exporters: [file] }\n', '']],
    ['exporter file removed', 'pipeline traces/file removed'],
  ],
  [
    'a pipeline with other parts',
    [
      [
        '{ receivers: [ebpf, otlp], processors: [hop_parent, batch], exporters: [otlp] }',
        '{ receivers: [ebpf], processors: [batch], exporters: [otlp, file] }',
      ],
    ],
    [
      'receiver otlp removed',
      'processor hop_parent removed',
      'pipeline traces has other receivers',
      'pipeline traces has other processors',
      'pipeline traces has other exporters',
    ],
  ],
  [
    'a receiver of another name',
    [
      ['  ebpf:\n', '  ebpf/new:\n'],
      ['[ebpf, otlp]', '[ebpf/new, otlp]'],
      ['receivers: [ebpf]', 'receivers: [ebpf/new]'],
    ],
    [
      'receiver ebpf removed',
      'receiver ebpf/new added',
      'pipeline traces has other receivers',
      'pipeline traces/file has other receivers',
    ],
  ],
];

function edited(edits: readonly (readonly [string, string])[]): Config {
  let text = BEFORE;
  for (const [from, to] of edits) {
    assert.ok(text.includes(from), from);
    text = text.replace(from, to);
  }
  return parse(text).config;
}

for (const [name, edits, changes, waiting = []] of CASES) {
  test(name, () => {
    const next = edited(edits);
    const plan = planReload(before, next);
    assert.deepEqual(plan.changes, changes);
    assert.deepEqual(plan.waiting, waiting);
    assert.ok(!JSON.stringify([plan.changes, plan.waiting]).includes('secret'));
    if (waiting.length === 0) assert.deepEqual(plan.config, next);
    else assert.deepEqual(plan.config, before, 'as it was until the next start');
    /* What waits is said again at every reload, and nothing else. */
    const again = planReload(plan.config, next);
    assert.deepEqual([again.changes, again.waiting], [[], waiting]);
  });
}
