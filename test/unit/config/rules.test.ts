import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDurationNs } from '../../../src/config/duration.ts';
import { applyRule, booleanRule, integerRule, listed, textRule } from '../../../src/config/rules.ts';
import { isTextScalar, textScalar } from '../../../src/config/scalar.ts';
import { parseTargetFlag, type SelectorFlag } from '../../../src/config/target-rules.ts';
import { mistakesOf } from './harness.ts';

const DURATIONS: readonly [string, number | undefined][] = [
  ['0', 0],
  ['+0', 0],
  ['0s', 0],
  ['5s', 5e9],
  ['200ms', 200e6],
  ['1m30s', 90e9],
  ['1h2m3s4ms5us6ns', 3_723_004_005_006],
  ['1.5h', 5_400e9],
  ['.5s', 500e6],
  ['5.s', 5e9],
  ['3µs', 3e3],
  ['3μs', 3e3],
  ['+2s', 2e9],
  ['1s1s', 2e9],
  ['', undefined],
  ['5', undefined],
  ['s', undefined],
  ['.s', undefined],
  ['-5s', undefined],
  ['5 s', undefined],
  ['5S', undefined],
  ['1d', undefined],
  ['5s ', undefined],
  ['5sx', undefined],
  ['x5s', undefined],
  ['1e3s', undefined],
  ['٥s', undefined],
];

for (const [text, ns] of DURATIONS) {
  test(`the duration "${text}" is ${ns} ns`, () => assert.equal(parseDurationNs(text), ns));
}

const TYPED: readonly [string, unknown][] = [
  ['', null],
  ['~', null],
  ['null', null],
  ['true', true],
  ['FALSE', false],
  ['yes', 'yes'],
  ['12', 12],
  ['-3', -3],
  ['0x1F', 31],
  ['0o17', 15],
  ['1.5', 1.5],
  ['.5', 0.5],
  ['1e3', 1000],
  ['1_000', '1_000'],
  ['0b1', '0b1'],
  [' 1', ' 1'],
];

for (const [text, typed] of TYPED) {
  test(`unquoted "${text}" is ${JSON.stringify(typed)}`, () => assert.equal(textScalar(text).typed, typed));
}

test('open text fits a rule as text first, then by its type', () => {
  assert.equal(applyRule(textRule('x'), textScalar('5')), '5');
  assert.equal(applyRule(integerRule(1, 9), textScalar('5')), 5);
  assert.equal(applyRule(booleanRule(), textScalar('true')), true);
  assert.equal(applyRule(integerRule(1, 9), '5'), undefined);
  assert.equal(isTextScalar({ text: 'a', typed: 'a' }), false);
});

test('words are joined as in a sentence', () => {
  assert.deepEqual(
    [listed([], 'or'), listed(['a'], 'or'), listed(['a', 'b'], 'and')],
    ['none', 'a', 'a and b'],
  );
  assert.equal(listed(['a', 'b', 'c'], 'or'), 'a, b or c');
});

test('flags select targets as the keys of the file do', () => {
  assert.deepEqual(parseTargetFlag('--executable', '7'), { by: 'executable', executable: '7' });
  assert.deepEqual(parseTargetFlag('--path', '/usr/sbin/nginx'), { by: 'path', path: '/usr/sbin/nginx' });
  assert.deepEqual(parseTargetFlag('--pid', '4711'), { by: 'pid', pid: 4711 });
  assert.deepEqual(parseTargetFlag('--listen-port', '8000'), { by: 'listen_port', listenPort: 8000 });
});

const REFUSED_FLAGS: readonly [SelectorFlag, string, string][] = [
  [
    '--executable',
    '/bin/envoy',
    '--executable: found "/bin/envoy", expected the name of an executable without its folder, such as envoy',
  ],
  [
    '--executable',
    '',
    '--executable: found "", expected the name of an executable without its folder, such as envoy',
  ],
  [
    '--executable',
    'a\x1b[2J',
    '--executable: found "a\\x1b[2J", expected the name of an executable without its folder, such as envoy',
  ],
  [
    '--path',
    'envoy',
    '--path: found "envoy", expected the absolute path of an executable, such as /usr/local/bin/envoy',
  ],
  [
    '--path',
    '/bin/',
    '--path: found "/bin/", expected the absolute path of an executable, such as /usr/local/bin/envoy',
  ],
  ['--pid', 'envoy', '--pid: found "envoy", expected a process id from 1 to 4194304'],
  ['--pid', '0', '--pid: found "0", expected a process id from 1 to 4194304'],
  ['--pid', '-1', '--pid: found "-1", expected a process id from 1 to 4194304'],
  ['--pid', '', '--pid: found "", expected a process id from 1 to 4194304'],
  ['--listen-port', '65536', '--listen-port: found "65536", expected a TCP port from 1 to 65535'],
  ['--listen-port', '80.5', '--listen-port: found "80.5", expected a TCP port from 1 to 65535'],
];

for (const [flag, text, line] of REFUSED_FLAGS) {
  test(`refused: ${line}`, () =>
    assert.deepEqual(
      mistakesOf(() => parseTargetFlag(flag, text)),
      [line],
    ));
}
