// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as the Collector writes them
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mistakesOf, parse, yaml } from './harness.ts';

const MIB = 1024 * 1024;
const fill = (unit: string, length: number) => unit.repeat(Math.floor(length / unit.length));

const TOO_DEEP = /nested too deeply|more than 32 levels/;
const TOO_MANY = /more than 20000 values/;

/** Text that is made to exhaust memory, stack or time, and what it is refused for. */
const HOSTILE: readonly [string, string, RegExp][] = [
  ['lists in lists', fill('[', 100_000), TOO_DEEP],
  ['mappings in mappings', fill('{a: ', 100_000), TOO_DEEP],
  ['blocks in blocks', fill('- ', 100_000), TOO_DEEP],
  ['33 levels', `${fill('[', 33)}x${fill(']', 33)}`, TOO_DEEP],
  ['indentation', Array.from({ length: 1_000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), TOO_DEEP],
  ['a list in itself', 'receivers: &a [*a]', TOO_DEEP],
  ['a mapping in itself', 'receivers: &a {x: *a, y: *a}', TOO_DEEP],
  [
    'a billion laughs',
    `a0: &a0 [x, x]\n${Array.from({ length: 25 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`).join('\n')}`,
    TOO_MANY,
  ],
  ['many aliases', `a: &a x\nb:\n${fill('- *a\n', MIB / 4)}`, TOO_MANY],
  ['many keys', Array.from({ length: 60_000 }, (_, n) => `key${n}: 1`).join('\n'), TOO_MANY],
  ['the same key', fill('a: 1\n', MIB / 4), /more mistakes$/],
  ['many anchors', fill('&a ', MIB / 8), /invalid YAML/],
  ['open quotes', fill('"', MIB / 8), /invalid YAML/],
  ['tabs', fill('\t- a\n', MIB / 8), /invalid YAML/],
  ['controls', fill('\u0000\u0001\u001b[31m', MIB / 8), /expected a mapping/],
  ['many documents', fill('---\n', MIB / 4), /second YAML document/],
  [
    'many references',
    yaml({ exporters: `{console: {color: "${fill('${env:A}', 8_000)}"}}` }),
    /expected auto/,
  ],
  [
    'open references',
    yaml({ exporters: `{console: {color: "${fill('${', MIB / 4)}}"}}` }),
    /more than 8192 characters/,
  ],
  ['a long name', yaml({ exporters: `{${fill('x', MIB / 4)}: }` }), /unknown exporter "x{60}…"/],
  [
    'many names that do not match',
    yaml({
      exporters: `{${Array.from({ length: 5_000 }, (_, n) => `console/${n}: `).join(', ')}}`,
      service: `{pipelines: {traces: {receivers: [ebpf], exporters: [${fill('consol, ', 60_000)}]}}}`,
    }),
    /expected console\/0, .* or 4980 others/,
  ],
  [
    'a long pipeline',
    yaml({ service: `{pipelines: {traces: {receivers: [${fill('ebpf, ', 60_000)}]}}}` }),
    /expected it once/,
  ],
];

for (const [what, text, expected] of HOSTILE) {
  test(`refused, without a crash: ${what}`, () => {
    const message = mistakesOf(() => parse(text, {})).join('\n');
    assert.match(message, expected);
    assert.ok(message.length < 100_000, `a message of ${message.length} characters`);
  });
}

test('keys that objects inherit are keys like any other', () => {
  const text = yaml({
    receivers: '{ebpf: {__proto__: {targets: 1}, constructor: 1, hasOwnProperty: 1}}',
    more: '__proto__: {}',
  });
  const lines = mistakesOf(() => parse(text));
  assert.deepEqual(
    lines.map((line) => line.replace(/, expected.*/, '')),
    [
      'f.yaml:1:20: found the key "__proto__" in receivers.ebpf',
      'f.yaml:1:45: found the key "constructor" in receivers.ebpf',
      'f.yaml:1:61: found the key "hasOwnProperty" in receivers.ebpf',
      'f.yaml:4:1: found the key "__proto__" in the file',
    ],
  );
  assert.equal(({} as { targets?: number }).targets, undefined);
});

test('a random part of a good file, cut or changed, is read or refused and never crashes', () => {
  const good = yaml({
    exporters: '{otlp: {headers: {a: "${env:A:-x}"}, tls: &t {ca_file: x}}, console: , file: {path: x}}',
  });
  const characters = [...'{}[]:,&*!|>\'"%@`#?- \n\t$\\0a\u00e9'];
  let state = 12_345;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state % below;
  };
  for (let round = 0; round < 2_000; round += 1) {
    const at = random(good.length);
    const character = characters[random(characters.length)] ?? '';
    const text = good.slice(0, at) + character + good.slice(at + random(4));
    try {
      parse(text, { A: character });
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'CONFIG_INVALID', `${JSON.stringify(text)}\n${error}`);
    }
  }
});
