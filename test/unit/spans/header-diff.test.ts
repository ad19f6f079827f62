import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Hop } from '../../../src/correlate/hop.ts';
import { createFingerprinter } from '../../../src/receiver/header-fields.ts';
import { parseHead } from '../../../src/receiver/http1/head.ts';
import type { HttpMessageRecord } from '../../../src/receiver/kernel-record.ts';
import { MESSAGE_FLAGS } from '../../../src/records.gen.ts';
import { fillHeaderDiff, headerDiff } from '../../../src/spans/header-diff.ts';
import type { Bag } from '../../../src/spans/hop-attributes.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const fingerprinter = createFingerprinter();
const NO_CHANGE = { added: [], removed: [], recased: [], rewritten: [], path: false };

function message(lines: string, more: Partial<HttpMessageRecord> = {}): HttpMessageRecord {
  const head = lines.replaceAll('\n', '\r\n');
  return makeHttpMessage({ ...parseHead(Buffer.from(`${head}\r\n\r\n`), { fingerprinter }), ...more });
}

const BEFORE = 'GET /a HTTP/1.1\nHost: a.test\nX-Secret: 1\nx-id: 2\nVia: 3';

describe('what a proxy changed', () => {
  it('is told by names, in their order', () => {
    const after = message('GET /b HTTP/1.1\nhost: b.test\nX-Id: 2\nvia: 3, 4\nx-zeta: 5\nx-alpha: 6');
    assert.deepEqual(headerDiff(message(BEFORE), after), {
      added: ['x-alpha', 'x-zeta'],
      removed: ['X-Secret'],
      recased: ['Host → host', 'Via → via', 'x-id → X-Id'],
      rewritten: ['host', 'via'],
      path: true,
    });
  });

  it('is nothing where nothing was', () => {
    assert.deepEqual(headerDiff(message(BEFORE), message(BEFORE)), NO_CHANGE);
    const other = BEFORE.replace('/a HTTP', '/a?token=2 HTTP');
    assert.deepEqual(headerDiff(message(BEFORE), message(other)), NO_CHANGE, 'but for the query');
  });

  it('is an absolute URL, made or unmade', () => {
    const absolute = message(BEFORE.replace('/a', 'http://a.test/a'));
    assert.deepEqual(headerDiff(message(BEFORE), absolute), { ...NO_CHANGE, path: true });
  });

  it('is no other case where either side is HTTP/2', () => {
    const lower = message(BEFORE.toLowerCase().replace('get /a http', 'GET /a HTTP'), { stream: 1 });
    assert.deepEqual(headerDiff(message(BEFORE), lower), NO_CHANGE);
    assert.deepEqual(headerDiff(lower, message(BEFORE)), NO_CHANGE);
  });

  it('is unknown where a head is cut, or was not looked at', () => {
    const cut = message('GET /b HTTP/1.1', { flags: MESSAGE_FLAGS.OVER | MESSAGE_FLAGS.HEAD_TRUNCATED });
    for (const other of [undefined, cut, message(BEFORE, { fields: [] })]) {
      assert.equal(headerDiff(message(BEFORE), other), undefined);
      assert.equal(headerDiff(other, message(BEFORE)), undefined);
    }
  });

  it('is bounded', () => {
    const many = Array.from({ length: 100 }, (_, n) => `\nx-${n}: 1`).join('');
    assert.equal(headerDiff(message('GET / HTTP/1.1'), message(`GET / HTTP/1.1${many}`))?.added.length, 64);
  });
});

describe('attributes of what a proxy changed', () => {
  function attributes(pairing: Hop['pairing']): Bag {
    const bag: Bag = {};
    const down = { request: message(BEFORE), answer: message('HTTP/1.1 200 OK\nserver: edge\nx-app: 1') };
    const request = message('GET /b HTTP/1.1\nhost: a.test\nx-secret: 1\nx-id: 2\nvia: 4');
    const up = { request, answer: message('HTTP/1.1 200 OK\nServer: app\nX-Up: 1') };
    const downstream = { ...downstreamRecord(), http: down };
    fillHeaderDiff(bag, hopOf({ downstream, upstream: { ...upstreamRecord(), http: up }, pairing }));
    return bag;
  }

  it('stand on a hop whose halves were paired, for the request and for the answer', () => {
    assert.deepEqual(attributes('content'), {
      'hopspan.headers.recased': ['Host → host', 'Via → via', 'X-Secret → x-secret'],
      'hopspan.headers.rewritten': ['via'],
      'hopspan.path.rewritten': true,
      'hopspan.response.headers.added': ['x-app'],
      'hopspan.response.headers.removed': ['X-Up'],
      'hopspan.response.headers.recased': ['Server → server'],
      'hopspan.response.headers.rewritten': ['server'],
    });
  });

  it('do not stand on a relay, nor on a half', () => {
    assert.deepEqual(attributes('buffer'), {});
    assert.deepEqual(attributes('none'), {});
  });
});
