import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { escapeControl } from '../../../src/telemetry/escape.ts';
import { createLog, createLogger, DEFAULT_LOGS } from '../../../src/telemetry/log.ts';
import { until } from '../../harness/process.ts';

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
  const log = createLogger({ ...DEFAULT_LOGS, level: 'info' }, stream);
  log.info({ tier: 'raw_tracepoint', targets: 2, ok: true }, 'ready');
  log.info('bye');
  assert.equal(text(), 'hopspan: ready tier=raw_tracepoint targets=2 ok=true\nhopspan: bye\n');
});

test('levels other than info are named; those below the level are silent', () => {
  const { stream, text } = capture();
  const log = createLogger({ ...DEFAULT_LOGS, level: 'debug' }, stream);
  log.debug('d');
  log.warn('w');
  log.error({ err: new Error('no route') }, 'e');
  const quiet = createLogger({ ...DEFAULT_LOGS, level: 'error' }, stream);
  quiet.warn('unseen');
  assert.equal(text(), 'hopspan: debug: d\nhopspan: warning: w\nhopspan: error: e err="no route"\n');
});

test('an error by itself is said once', () => {
  const { stream, text } = capture();
  createLogger({ ...DEFAULT_LOGS, level: 'info' }, stream).error(new Error('no route'));
  assert.equal(text(), 'hopspan: error: no route\n');
});

test('values that could be read as more than one are quoted', () => {
  const { stream, text } = capture();
  createLogger({ ...DEFAULT_LOGS, level: 'info' }, stream).info(
    { a: 'x y', b: '', c: 'k=v', d: 'say "hi"', e: ['x', 1], f: null },
    'm',
  );
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
    createLogger({ ...DEFAULT_LOGS, level: 'info' }, stream).info(
      { [`k${text}`]: text, nested: { [text]: text }, err: new Error(text) },
      text,
    );
    assert.equal(written().match(/\n/g)?.length, 1);
    assert.doesNotMatch(written().slice(0, -1), /[\p{Cc}\u2028\u202e\u2066]/u);
  });
}

test('a stream that broke stops nothing', async () => {
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const log = createLogger({ ...DEFAULT_LOGS, level: 'info' }, broken);
  const closed = new Promise((resolve) => broken.once('close', resolve));
  log.info('into the void');
  await closed;
  log.info('and again');
});

const sampling = { enabled: true, tickMs: 60_000, initial: 2, thereafter: 0 };

test('a message that repeats is written a few times, and then how often it was left out', () => {
  const { stream, text } = capture();
  const { log, end } = createLog({ ...DEFAULT_LOGS, sampling }, stream);
  for (let n = 0; n < 1000; n++) log.warn({ n }, 'again');
  log.info('again');
  log.warn('other');
  assert.equal(
    text(),
    'hopspan: warning: again n=0\nhopspan: warning: again n=1\nhopspan: again\nhopspan: warning: other\n',
  );
  end();
  assert.equal(
    text().split('\n').at(-2),
    'hopspan: warning: the same line was left out times=998 line=again',
  );
});

test('the interval ends by itself', async () => {
  const { stream, text } = capture();
  const log = createLogger({ ...DEFAULT_LOGS, sampling: { ...sampling, tickMs: 20 } }, stream);
  for (let n = 0; n < 10; n++) log.error('x');
  await until('the end of the interval', () => text().includes('times=8 line=x'));
});

test('JSON: one object a line, in which nothing can be forged', () => {
  const { stream, text } = capture();
  const log = createLogger({ ...DEFAULT_LOGS, encoding: 'json' }, stream);
  log.warn({ exporter: 'otlp', n: 2 }, 'a "b"\n\u009b31m\u202e');
  log.info({ err: new Error('no route') }, 'e');
  const lines = text().split('\n');
  assert.equal(lines.length, 3);
  assert.doesNotMatch(text().replaceAll('\n', ''), /[\p{Cc}\u202e]/u);
  const [first, second] = lines.slice(0, 2).map((line) => JSON.parse(line));
  assert.match(first.ts, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(
    { ...first, ts: '' },
    { level: 'warn', ts: '', msg: 'a "b"\n\u009b31m\u202e', exporter: 'otlp', n: 2 },
  );
  assert.deepEqual({ ...second, ts: '' }, { level: 'info', ts: '', msg: 'e', err: 'no route' });
});

test('what it tells can be changed while it runs', () => {
  const { stream, text } = capture();
  const { log, configure } = createLog(DEFAULT_LOGS, stream);
  log.debug('unseen');
  configure({ ...DEFAULT_LOGS, level: 'debug', encoding: 'json' });
  log.debug('seen');
  configure({ ...DEFAULT_LOGS, level: 'error' });
  log.warn('unseen');
  assert.equal(JSON.parse(text()).msg, 'seen');
});
