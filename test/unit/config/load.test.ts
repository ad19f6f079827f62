import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import { mistakesOf, yaml } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'hopspan-config-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('a file is read; warnings go to the caller', () => {
  const warnings: string[] = [];
  const path = file('ok.yaml', yaml({ exporters: '{console: , file: {path: x}}' }));
  const config = loadConfig(path, {}, (line) => warnings.push(line));
  assert.equal(config.exporters.length, 1);
  assert.deepEqual(warnings, [`${path}:2:24: the exporter "file" is used by no pipeline and is not started`]);
  assert.equal(loadConfig(path, {}).exporters.length, 1);
});

test('mistakes carry the path as it was given', () => {
  const path = file('wrong.yaml', yaml({ exporters: '{consle: }' }));
  assert.match(
    mistakesOf(() => loadConfig(path, {}))[0] ?? '',
    new RegExp(`^${path}:2:13: found the unknown exporter`),
  );
});

const UNREADABLE: readonly [string, () => string, RegExp][] = [
  [
    'missing',
    () => join(folder, 'none.yaml'),
    /none\.yaml: found no file that can be read \(ENOENT: .*\), expected a YAML file$/,
  ],
  ['a folder', () => folder, /: found no file that can be read \(EISDIR: /],
  ['behind a file', () => join(file('f', ''), 'x'), /\(ENOTDIR: /],
  ['named with controls', () => join(folder, 'a\x1b[2J\nb'), /a\\x1b\[2J\\nb: found no file/],
  ['with a NUL in its name', () => 'a\0b', /a\\x00b: found no file/],
  [
    'too large',
    () => file('large', `#${'x'.repeat(1024 * 1024)}`),
    /: found more than 1 MiB, expected a smaller file$/,
  ],
  ['endless', () => '/dev/zero', /: found more than 1 MiB, expected a smaller file$/],
  [
    'not UTF-8',
    () => file('latin1', Buffer.from('a: gr\xfcn', 'latin1')),
    /: found bytes that are not UTF-8, expected a text file$/,
  ],
  ['empty', () => file('empty', ''), /:1:1: found nothing, expected a mapping with receivers/],
];

for (const [what, path, expected] of UNREADABLE) {
  test(`a file that is ${what} is one line`, () => {
    const lines = mistakesOf(() => loadConfig(path(), {}));
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', expected);
  });
}

test('a file of exactly 1 MiB is read', () => {
  const text = yaml();
  const path = file('full.yaml', `${text}\n#${'x'.repeat(1024 * 1024 - text.length - 2)}`);
  assert.equal(loadConfig(path, {}).exporters.length, 1);
});
