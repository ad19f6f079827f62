import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { escapeControl } from '../../../src/telemetry/escape.ts';
import { createLogger } from '../../../src/telemetry/log.ts';

function capture() {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  return { stream, text: () => written.join('') };
}

test('one plain line per record, with key=value behind the message', () => {
  const { stream, text } = capture();
  const log = createLogger('info', stream);
  log.info({ tier: 'raw_tracepoint', targets: 2, ok: true }, 'ready');
  log.info('bye');
  assert.equal(text(), 'hopspan: ready tier=raw_tracepoint targets=2 ok=true\nhopspan: bye\n');
});

test('levels other than info are named; those below the level are silent', () => {
  const { stream, text } = capture();
  const log = createLogger('debug', stream);
  log.debug('d');
  log.warn('w');
  log.error({ err: new Error('no route') }, 'e');
  const quiet = createLogger('error', stream);
  quiet.warn('unseen');
  assert.equal(text(), 'hopspan: debug: d\nhopspan: warning: w\nhopspan: error: e err="no route"\n');
});

test('an error by itself is said once', () => {
  const { stream, text } = capture();
  createLogger('info', stream).error(new Error('no route'));
  assert.equal(text(), 'hopspan: error: no route\n');
});

test('values that could be read as more than one are quoted', () => {
  const { stream, text } = capture();
  createLogger('info', stream).info({ a: 'x y', b: '', c: 'k=v', d: 'say "hi"', e: ['x', 1], f: null }, 'm');
  assert.equal(text(), 'hopspan: m a="x y" b="" c="k=v" d="say \\"hi\\"" e=["x",1] f=null\n');
});

const INJECTIONS: readonly [string, string][] = [
  ['\x1b[2Jgone', '\\x1b[2Jgone'],
  ['a\nhopspan: error: forged', 'a\\nhopspan: error: forged'],
  ['a\rb\tc', 'a\\rb\\tc'],
  ['\x9b31m', '\\x9b31m'],
  ['\x00\x7f', '\\x00\\x7f'],
  ['a\u202eb\u2066c\u2028d', 'a\\u202eb\\u2066c\\u2028d'],
  ['\ud800', '\\ud800'],
  ['grün 日本 😀', 'grün 日本 😀'],
];

for (const [text, escaped] of INJECTIONS) {
  test(`controls come out harmless: ${escaped}`, () => assert.equal(escapeControl(text), escaped));

  test(`no control reaches the stream in message, key or value: ${escaped}`, () => {
    const { stream, text: written } = capture();
    createLogger('info', stream).info(
      { [`k${text}`]: text, nested: { [text]: text }, err: new Error(text) },
      text,
    );
    assert.equal(written().match(/\n/g)?.length, 1);
    assert.doesNotMatch(written().slice(0, -1), /[\p{Cc}\u2028\u202e\u2066]/u);
  });
}

test('a stream that broke stops nothing', async () => {
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const log = createLogger('info', broken);
  const closed = new Promise((resolve) => broken.once('close', resolve));
  log.info('into the void');
  await closed;
  log.info('and again');
});
