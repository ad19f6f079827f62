import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  configReference,
  REFERENCE_BEGIN,
  REFERENCE_END,
  referenceMarkdown,
} from '../../../src/config/reference.ts';
import { mistakesOf, parse } from './harness.ts';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const page = read('docs/configuration.md');

test('docs/configuration.md holds the reference as the schema has it', () => {
  const [, rest = ''] = page.split(REFERENCE_BEGIN);
  const [tables = ''] = rest.split(REFERENCE_END);
  assert.equal(tables.trim(), referenceMarkdown(), 'run: node scripts/config-reference.ts');
});

test('every key has a meaning and what it takes', () => {
  const rows = configReference().flatMap((section) => section.rows);
  assert.ok(rows.length > 25);
  for (const row of rows) assert.ok(row.accepts && row.meaning.endsWith('.'), row.key);
});

test('the reference has every key that the messages offer', () => {
  const keys = new Map(
    configReference().map(({ title, rows }) => [title, rows.map(({ key }) => key.split('.')[0])]),
  );
  const unknown = `receivers: {ebpf: {?: }}\nexporters: {otlp: {?: }, console: {?: }, file: {?: }}
service: {telemetry: {?: }, pipelines: {traces: {?: }}}`.replaceAll('?', 'qqqqqqqqqqqqqqqqqqqq');
  const lines = mistakesOf(() => parse(unknown)).filter((line) => line.includes('qqqq'));
  assert.equal(lines.length, 6);
  for (const line of lines) {
    const [, title = '', offered = ''] = / in (\S+), expected (.*)$/.exec(line) ?? [];
    const known = new Set(keys.get(title)?.map((key) => key?.replace('[]', '')));
    assert.deepEqual(new Set(offered.split(/, | or /)), known, title);
  }
});

test('defaults in the reference are the defaults of an empty component', () => {
  const { config } = parse(
    'receivers: {ebpf: }\nexporters: {otlp: , console: }\nservice: {pipelines: {traces: {receivers: [ebpf], exporters: [otlp, console]}}}',
  );
  const shown = new Map(
    configReference().flatMap(({ title, rows }) => rows.map((row) => [`${title}.${row.key}`, row.default])),
  );
  const [receiver] = config.receivers;
  const [otlp, console] = config.exporters;
  assert.ok(receiver && otlp?.type === 'otlp' && console?.type === 'console');
  const actual: Record<string, string> = {
    'receivers.ebpf.max_connections': String(receiver.maxConnections),
    'receivers.ebpf.ring_buffer_bytes': String(receiver.ringBufferBytes),
    'receivers.ebpf.max_head_bytes': String(receiver.maxHeadBytes),
    'receivers.ebpf.turns': receiver.turns,
    'receivers.ebpf.query_strings': String(receiver.queryStrings),
    'receivers.ebpf.header_diff': String(receiver.headerDiff),
    'receivers.ebpf.host_events': String(receiver.hostEvents),
    'receivers.ebpf.idle_timeout': `${receiver.idleTimeoutMs / 1000}s`,
    'receivers.ebpf.phase_floor': `${receiver.phaseFloorNs}s`,
    'receivers.ebpf.unsampled': receiver.unsampled,
    'exporters.otlp.endpoint': `\`OTEL_EXPORTER_OTLP_ENDPOINT\`, else \`${otlp.endpoint}\``,
    'exporters.otlp.compression': `\`OTEL_EXPORTER_OTLP_COMPRESSION\`, else \`${otlp.compression}\``,
    'exporters.otlp.timeout': `\`OTEL_EXPORTER_OTLP_TIMEOUT\`, else ${otlp.timeoutMs / 1000}s`,
    'exporters.otlp.sending_queue.queue_size': `${otlp.queueSize}; with \`directory\` 204800`,
    'exporters.otlp.retry_on_failure.enabled': String(otlp.retry.enabled),
    'exporters.otlp.retry_on_failure.initial_interval': `${otlp.retry.initialIntervalMs / 1000}s`,
    'exporters.otlp.retry_on_failure.max_interval': `${otlp.retry.maxIntervalMs / 1000}s`,
    'exporters.otlp.retry_on_failure.max_elapsed_time': `${otlp.retry.maxElapsedMs / 1000}s; with \`sending_queue.directory\` 0`,
    'exporters.console.color': console.color,
    'exporters.console.format': console.format,
    'service.shutdown_timeout': `${config.shutdownTimeoutMs}ms`,
    'service.telemetry.logs.level': config.telemetry.logs.level,
    'service.telemetry.metrics.level': config.telemetry.metricsLevel,
  };
  for (const [key, value] of Object.entries(actual)) assert.equal(shown.get(key), value, key);
});

test('every variable that the page lists is read', () => {
  const listed = [...page.matchAll(/^\| `(OTEL_\w+)` \|/gm)].map((match) => match[1] ?? '');
  const source = read('src/config/otel-env.ts');
  assert.equal(listed.length, 16);
  for (const name of listed) {
    const suffix = name.replace('OTEL_EXPORTER_OTLP_', '');
    assert.ok(source.includes(`'${suffix}'`) || source.includes(name), name);
  }
});

test('the examples of the page and otel-config/hopspan.yaml are valid, without a warning', () => {
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] ?? '');
  assert.equal(examples.length, 1);
  for (const text of [...examples, read('otel-config/hopspan.yaml')])
    assert.deepEqual(parse(text).warnings, []);
});

test('otel-config/hopspan.yaml is valid with its commented parts, too', () => {
  const text = read('otel-config/hopspan.yaml').replace(/^( *)# ((?: {2})*[a-z/_]+:(?: \S+)?)$/gm, '$1$2');
  const { config, warnings } = parse(text, { OTLP_AUTHORIZATION: 'x' });
  assert.equal(config.exporters.length, 1);
  assert.deepEqual(
    warnings.map((line) => /(?:receiver|processor|exporter) "(.*?)"/.exec(line)?.[1]),
    ['otlp', 'hop_parent', 'otlp/cloud', 'console', 'file'],
  );
});

test('the example of docs/joining.md is valid', () => {
  const [, text = ''] = /```yaml\n(.*?)```/s.exec(read('docs/joining.md')) ?? [];
  const { config, warnings } = parse(text);
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    [config.receivers, config.otlpReceivers, config.processors].map(({ length }) => length),
    [1, 1, 1],
  );
});

test('the example of docs/sending.md is valid', () => {
  const [, text = ''] = /```yaml\n(.*?)```/s.exec(read('docs/sending.md')) ?? [];
  const service = 'service: { pipelines: { traces: { receivers: [ebpf], exporters: [otlphttp] } } }';
  const { config, warnings } = parse(`receivers: { ebpf: }\n${text}${service}`);
  assert.deepEqual(warnings, []);
  const [exporter] = config.exporters;
  assert.equal(exporter?.type === 'otlp' && exporter.disk?.directory, '/var/lib/hopspan/queue');
});

test('the messages that the page shows are those that hopspan writes', () => {
  const text =
    'receivers:\n  ebpf:\n\nexporters:\n  otlp:\n    endpoint: ftp://x\n  consle:\nservice: {pipelines: {traces: {receivers: [ebpf], exporters: [otlp]}}}';
  for (const line of mistakesOf(() => parse(text))) {
    assert.ok(
      page.includes(
        `\n${line.replace('f.yaml:6:15', 'hopspan.yaml:6:14').replace('f.yaml', 'hopspan.yaml')}\n`,
      ),
      line,
    );
  }
});
