import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  cleanName,
  createFieldCollector,
  createFingerprinter,
  type HeaderField,
} from '../../../src/receiver/header-fields.ts';
import { parseHead } from '../../../src/receiver/http1/head.ts';
import { createHpackDecoder } from '../../../src/receiver/http2/hpack.ts';
import { createHpackEncoder, type Field } from '../../harness/hpack-encoder.ts';
import { createRandom } from '../../harness/random.ts';

const fingerprinter = createFingerprinter(Buffer.alloc(32, 7));
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

function http1(first: string, fields: readonly Field[]): readonly HeaderField[] {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return parseHead(bytes(`${first}\r\n${lines}\r\n`), { fingerprinter }).fields;
}

const byName = (fields: readonly HeaderField[]): Record<string, string> =>
  Object.fromEntries(fields.map(({ name, fingerprint }) => [name.toLowerCase(), fingerprint]));

/** What should be kept of these, by another way than the decoder's. */
function expected(fields: readonly Field[]): Record<string, string> {
  const collector = createFieldCollector(fingerprinter);
  for (const [name, value] of fields) {
    const text = name === ':path' ? value.replace(/[?#].*$/s, '') : value;
    if (name === ':authority') collector.add('host', fingerprinter.of('host', bytes(text)));
    else if (name === ':path' || !name.startsWith(':')) {
      collector.add(name, fingerprinter.of(name, bytes(text)));
    }
  }
  return byName(collector.fields());
}

describe('fields of a head', () => {
  test('have their names as on the wire, and no value', () => {
    const fields = http1('GET /a?token=secret HTTP/1.1', [
      ['Host', 'secret.test'],
      ['x-ID', 'secret'],
      ['Authorization', 'secret'],
    ]);
    assert.deepEqual(
      fields.map(({ name }) => name),
      ['Host', 'x-ID', 'Authorization', ':path'],
    );
    assert.doesNotMatch(JSON.stringify(fields), /secret|token/);
  });

  test('are not kept where nobody asks for them', () => {
    assert.deepEqual(parseHead(bytes('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).fields, []);
  });

  test('have the same fingerprint exactly where they have the same value', () => {
    const of = (...values: string[]): string | undefined =>
      http1('HTTP/1.1 200 OK', [['a', 'b'], ...values.map((value): Field => ['X-Id', value])]).find(
        ({ name }) => name === 'X-Id',
      )?.fingerprint;
    assert.equal(of('1'), of('  1 '));
    const all = [of('1'), of('2'), of('1', '2'), of('2', '1'), of('1', '1'), of('')];
    assert.equal(new Set(all).size, all.length);
  });

  test('cannot be compared with those of another run', () => {
    const value = bytes('1');
    assert.notDeepEqual(createFingerprinter().of('a', value), createFingerprinter().of('a', value));
  });

  test('of a cookie are the same whole and in pieces', () => {
    const of = (...values: string[]): Record<string, string> =>
      byName(
        http1(
          'GET / HTTP/1.1',
          values.map((value): Field => ['cookie', value]),
        ),
      );
    assert.deepEqual(of('a=1; b=2; c=3'), of('a=1', 'b=2; c=3'));
    assert.notDeepEqual(of('a=1; b=2'), of('a=1; b=3'));
  });

  test('name the target without its query, in whatever form it is', () => {
    const of = (target: string): string | undefined => byName(http1(`GET ${target} HTTP/1.1`, []))[':path'];
    assert.equal(of('/a?b'), of('/a?c#d'));
    assert.notEqual(of('/a'), of('/b'));
    assert.notEqual(of('/a'), of('http://a.test/a'));
    assert.equal(http1('CONNECT a.test:1 HTTP/1.1', [['Host', 'a']]).length, 1);
  });

  test('are bounded: many give none, long names are cut, what no name may have is not shown', () => {
    const many = Array.from({ length: 129 }, (_, n): Field => [`x-${n}`, '1']);
    assert.equal(http1('HTTP/1.1 200 OK', many.slice(1)).length, 128);
    assert.deepEqual(http1('HTTP/1.1 200 OK', many), []);
    const same = Array.from({ length: 5000 }, (): Field => ['x', '1']);
    assert.equal(http1('HTTP/1.1 200 OK', same).length, 1);
    assert.equal(cleanName('x'.repeat(100)).length, 64);
    assert.equal(cleanName('a\x1b[1m\u202eb ü'), 'a??1m?b??');
  });

  test('of any bytes: nothing fails, nothing is larger than it may be', () => {
    const random = createRandom(4);
    const signs = [0x0d, 0x0a, 0x3a, 0x20];
    const byte = (): number =>
      random() < 0.3 ? (signs[Math.floor(random() * 4)] as number) : Math.floor(random() * 256);
    for (let n = 0; n < 5000; n++) {
      const first = n % 2 === 0 ? 'GET /a HTTP/1.1\r\n' : '';
      const head = Buffer.concat([
        bytes(first),
        Uint8Array.from({ length: Math.floor(random() * 300) }, byte),
      ]);
      for (const { name, fingerprint } of parseHead(head, { fingerprinter }).fields) {
        assert.ok(name.length <= 64 && /^(:path|[\x21-\x39\x3b-\x7e]+)$/.test(name), JSON.stringify(name));
        assert.equal(fingerprint.length, 11);
      }
    }
  });

  test('leave out lines that go on with the one before', () => {
    const head = bytes('GET / HTTP/1.1\r\nA: 1\r\n X: 2\r\n\tY: 3\r\nB: 4\r\n\r\n');
    assert.deepEqual(
      parseHead(head, { fingerprinter }).fields.map(({ name }) => name),
      ['A', 'B', ':path'],
    );
  });
});

describe('fields of HTTP/2', () => {
  test('are those that the sender meant, whatever way its tables take', () => {
    const random = createRandom(5);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const names = [':path', ':authority', ':method', 'accept-encoding', 'cookie', 'x-a', 'x-b', 'user-agent'];
    const values = ['gzip, deflate', '/', 'GET', '', 'a=1; b=2', 'a=1', 'x'.repeat(300), '/a?q'];
    for (let session = 0; session < 100; session++) {
      const encoder = createHpackEncoder(random, 400);
      const decoder = createHpackDecoder({ fingerprinter });
      const plain = createHpackDecoder();
      for (let n = 0; n < 20; n++) {
        const used = new Set<string>();
        const fields = Array.from(
          { length: 1 + Math.floor(random() * 8) },
          (): Field => [pick(names), pick(values)],
        ).filter(([name]) => !name.startsWith(':') || (!used.has(name) && used.add(name)));
        const block = encoder.block(fields);
        const { fields: found, ...rest } = decoder.decode(block, 0, block.length);
        assert.deepEqual(byName(found), expected(fields), JSON.stringify(fields));
        const { fields: none, ...same } = plain.decode(block, 0, block.length);
        assert.deepEqual(none, []);
        assert.deepEqual(rest, same, 'all else is read as without them');
      }
    }
  });

  test('compare with those of HTTP/1', () => {
    const fields: Field[] = [
      ['x-id', '1'],
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
    ];
    const encoder = createHpackEncoder(createRandom(1));
    const block = encoder.block([[':method', 'GET'], [':authority', 'a.test'], [':path', '/a'], ...fields]);
    const found = createHpackDecoder({ fingerprinter }).decode(block, 0, block.length).fields;
    const one = http1('GET /a HTTP/1.1', [
      ['Host', 'a.test'],
      ['X-Id', '1'],
      ['Cookie', 'a=1; b=2'],
    ]);
    assert.deepEqual(byName(found), byName(one));
  });

  test('of any bytes: nothing fails, no block is larger than it may be', () => {
    const random = createRandom(3);
    let decoder = createHpackDecoder({ fingerprinter });
    for (let n = 0; n < 5000; n++) {
      if (n % 100 === 0) decoder = createHpackDecoder({ fingerprinter });
      const block = Uint8Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256));
      const { fields } = decoder.decode(block, 0, block.length);
      assert.ok(fields.length <= 128);
      for (const { name, fingerprint } of fields) {
        assert.ok(name.length <= 64 && /^(:path|[\x21-\x7e]*)$/.test(name), name);
        assert.equal(fingerprint.length, 11);
      }
    }
  });
});
