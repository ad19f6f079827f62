// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as the Collector writes them
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandEnv } from '../../../src/config/expand.ts';
import { mistakesOf, parse, yamlWithExporter } from './harness.ts';

const ENV = { A: 'one', B: '', MONEY: 'a$b${env:A}$$', N: '5', BRACE: 'x}y' };

const EXPANSIONS: readonly [string, string][] = [
  ['plain', 'plain'],
  ['${env:A}', 'one'],
  ['${A}', 'one'],
  ['<${env:A}${env:A}>', '<oneone>'],
  ['${env:B}', ''],
  ['${env:B:-x}', ''],
  ['${env:NONE}', ''],
  ['${env:NONE:-x}', 'x'],
  ['${NONE:-x}', 'x'],
  ['${env:NONE:-}', ''],
  ['${env:NONE:-http://h:1/}', 'http://h:1/'],
  ['${env:NONE:-a:-b}', 'a:-b'],
  ['${env:NONE:-${env:A}}', 'one'],
  ['${env:NONE:-${env:NO:-${A}!}}', 'one!'],
  ['${env:MONEY}', 'a$b${env:A}$$'],
  ['$${env:A}', '${env:A}'],
  ['$$$${env:A}', '$${env:A}'],
  ['$$${env:A}', '$one'],
  ['a$b $ $', 'a$b $ $'],
  ['$A', '$A'],
  ['${env:A', '${env:A'],
  ['}${', '}${'],
  ['${env:BRACE}}', 'x}y}'],
];

for (const [source, expected] of EXPANSIONS) {
  test(`${source} becomes ${expected}`, () => {
    const { text, mistakes } = expandEnv(source, ENV);
    assert.deepEqual([text, mistakes], [expected, []]);
  });
}

const REFUSED: readonly [string, RegExp][] = [
  ['${file:/etc/passwd}', /^found "\$\{file:…\}", expected \$\{env:NAME\} or \$\{env:NAME:-default\}$/],
  ['${en:A}', /; did you mean "env"\?$/],
  ['${env:1A}', /^found "1A" as the name of a variable, expected/],
  ['${env:}', /^found "" as the name of a variable/],
  ['${}', /^found "" as the name of a variable/],
  [`\${env:A${'x'.repeat(9_000)}}`, /^found more than 8192 characters/],
  [`${'${env:X:-'.repeat(20)}x${'}'.repeat(20)}`, /^found defaults nested more than 8 deep/],
];

for (const [source, expected] of REFUSED) {
  test(`refused: ${source.slice(0, 40)}`, () => {
    const { mistakes } = expandEnv(source, {});
    assert.equal(mistakes.length, 1);
    assert.match(mistakes[0] ?? '', expected);
  });
}

test('what variables add up to is bounded', () => {
  const { mistakes } = expandEnv('${env:X}'.repeat(100), { X: 'x'.repeat(10_000) });
  assert.deepEqual(mistakes, [
    'found more than 65536 characters with references to variables, expected fewer',
  ]);
});

test('a value that is one reference takes the type that its key wants', () => {
  const value =
    '{endpoint: "http://${env:HOST:-localhost}:1", headers: {a: "${env:N}"}, timeout: "${env:T}", sending_queue: {queue_size: "${env:N}"}, retry_on_failure: {enabled: "${env:F:-false}"}}';
  const [built] = parse(yamlWithExporter('otlp', value), { N: '5', T: '3s' }).config.exporters;
  assert.ok(built?.type === 'otlp');
  assert.deepEqual(
    [built.endpoint, built.headers, built.timeoutMs, built.queueSize, built.retry.enabled],
    ['http://localhost:1', { a: '5' }, 3_000, 5, false],
  );
});

test('an unset variable counts as empty, so the default holds, with a warning at its place', () => {
  const { config, warnings } = parse(yamlWithExporter('console', '{color: "${env:COLOR}"}'));
  assert.deepEqual(config.exporters[0], {
    type: 'console',
    name: 'console',
    color: 'auto',
    format: 'waterfall',
  });
  assert.deepEqual(warnings, ['f.yaml:2:30: the environment variable COLOR is not set and counts as empty']);
});

test('messages show the reference, not what the variable holds', () => {
  const text = yamlWithExporter('otlp', '{endpoint: "${env:SECRET}", compression: "x${env:SECRET}"}');
  const lines = mistakesOf(() => parse(text, { SECRET: 'pass word' }));
  assert.deepEqual(lines, [
    'f.yaml:2:30: found "${env:SECRET}" for exporters.otlp.endpoint, expected http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH',
    'f.yaml:2:60: found "x${env:SECRET}" for exporters.otlp.compression, expected none or gzip',
  ]);
});

test('a bad reference has one line, not a second one for the value it leaves', () => {
  const lines = mistakesOf(() => parse(yamlWithExporter('otlp', '{endpoint: "${file:x}"}')));
  assert.deepEqual(lines, ['f.yaml:2:30: found "${file:…}", expected ${env:NAME} or ${env:NAME:-default}']);
});

test('keys are not expanded', () => {
  const lines = mistakesOf(() => parse(yamlWithExporter('otlp', '{"${env:K}": 1}'), { K: 'endpoint' }));
  assert.match(lines[0] ?? '', /^f\.yaml:2:20: found the key "\$\{env:K\}" in exporters\.otlp/);
});
