import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HEADERS, parseHead } from '../../../../src/receiver/http1/head.ts';
import { createRandom } from '../../../harness/random.ts';

const parse = (text: string) => parseHead(Buffer.from(text, 'latin1'));
const NOTHING = { method: '', path: '', query: '', authority: '', version: '', headers: {}, fields: [] };

describe('the first line', () => {
  const cases: [string, Partial<ReturnType<typeof parse>>][] = [
    ['GET /a/b HTTP/1.1\r\n', { method: 'GET', path: '/a/b', version: '1.1' }],
    ['GET /a?token=1#x HTTP/1.0\n', { method: 'GET', path: '/a', version: '1.0' }],
    ['OPTIONS * HTTP/1.1\r\n', { method: 'OPTIONS', path: '*', version: '1.1' }],
    ['CONNECT db.test:5432 HTTP/1.1\r\n', { method: 'CONNECT', authority: 'db.test:5432', version: '1.1' }],
    [
      'GET http://user:secret@a.test:81/x?y HTTP/1.1\r\n',
      { method: 'GET', path: '/x', authority: 'a.test:81', version: '1.1' },
    ],
    ['GET http://a.test HTTP/1.1\r\n', { method: 'GET', path: '/', authority: 'a.test', version: '1.1' }],
    ['HTTP/1.1 200 OK\r\n', { version: '1.1' }],
    ['HTTP/1.0 500 \r\n', { version: '1.0' }],
    ['no HTTP\r\n', {}],
    ['', {}],
    ['GET / HTTP/1.1', {}],
  ];
  for (const [text, expected] of cases) {
    test(JSON.stringify(text), () => assert.deepEqual(parse(text), { ...NOTHING, ...expected }));
  }
});

describe('the query string, where it is asked for', () => {
  const queryOf = (target: string): string =>
    parseHead(Buffer.from(`GET ${target} HTTP/1.1\r\n`), { queryStrings: true }).query;

  test('is what stands between ? and #', () => {
    assert.equal(queryOf('/a?b=1&c#d'), 'b=1&c');
    assert.equal(queryOf('http://a.test/x?y'), 'y');
    assert.equal(queryOf('/a#b?c'), '');
    assert.equal(queryOf('/a'), '');
  });

  test('has no signatures', () => {
    assert.equal(queryOf('/a?x=1&Signature=abc&sig=d&y=2'), 'x=1&Signature=REDACTED&sig=REDACTED&y=2');
  });

  test('is bounded', () => assert.equal(queryOf(`/?${'x'.repeat(9000)}`).length, 2048));
});

describe('headers', () => {
  test('only those of the list are kept, whatever their case', () => {
    const kept = [...HEADERS].map((name) => `${name.toUpperCase()}:  v-${name} \r\n`).join('');
    const head = parse(`GET / HTTP/1.1\r\nCookie: c\r\n${kept}Authorization: secret\r\n\r\n`);
    assert.deepEqual(head.headers, Object.fromEntries([...HEADERS].map((name) => [name, `v-${name}`])));
    assert.ok(!JSON.stringify(head).includes('secret'));
  });

  test('Host is the authority, but for an absolute target', () => {
    assert.equal(parse('GET / HTTP/1.1\r\nhost: a.test:1\r\n\r\n').authority, 'a.test:1');
    assert.equal(parse('GET http://b.test/ HTTP/1.1\r\nhost: a.test\r\n\r\n').authority, 'b.test');
  });

  test('of one that comes twice the first counts; tracestate is one list', () => {
    const { headers } = parse(
      'GET / HTTP/1.1\r\ntraceparent: 1\r\ntraceparent: 2\r\ntracestate: a=1\r\ntracestate: b=2\r\n\r\n',
    );
    assert.deepEqual(headers, { traceparent: '1', tracestate: 'a=1,b=2' });
  });

  test('a cut head gives what its whole lines say', () => {
    assert.deepEqual(parse('GET /x HTTP/1.1\r\nuser-agent: u\r\ntracepar').headers, { 'user-agent': 'u' });
    assert.deepEqual(parse('GET /x HTTP/1.1\r\ntraceparent: 00-12').headers, {});
  });

  test('values and paths are bounded', () => {
    const head = parse(`GET /${'p'.repeat(9000)} HTTP/1.1\r\nuser-agent: ${'u'.repeat(5000)}\r\n\r\n`);
    assert.equal(head.path.length, 2048);
    assert.equal(head.headers['user-agent']?.length, 1024);
  });

  test('names of the language itself are no headers', () => {
    const head = parse('GET / HTTP/1.1\r\n__proto__: x\r\nconstructor: y\r\n\r\n');
    assert.deepEqual(Object.keys(head.headers), []);
  });
});

test('random bytes are read without complaint, in bounded time', () => {
  const random = createRandom(5);
  for (let n = 0; n < 2000; n++) {
    const bytes = Buffer.from(
      Array.from({ length: Math.floor(random() * 300) }, () => Math.floor(random() * 256)),
    );
    parseHead(bytes);
    parseHead(Buffer.concat([Buffer.from('GET '), bytes, Buffer.from(' HTTP/1.1\r\n'), bytes]));
  }
  parse(`GET ${' '.repeat(16_000)} HTTP/1.1\r\n`);
  parse(`GET ${'http://'.repeat(2000)} HTTP/1.1\r\n`);
});
