import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatIpv6, localEndpoint, networkType, remoteEndpoint } from '../../../src/spans/addresses.ts';
import { sideRecord } from '../../harness/side-record.ts';

const AF_INET6 = 10;

/** An IPv6 address by its eight groups. */
function groups(...words: number[]): Uint8Array {
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

describe('formatIpv6: the canonical text of RFC 5952', () => {
  const cases: [string, Uint8Array][] = [
    ['::', groups(0, 0, 0, 0, 0, 0, 0, 0)],
    ['::1', groups(0, 0, 0, 0, 0, 0, 0, 1)],
    ['1::', groups(1, 0, 0, 0, 0, 0, 0, 0)],
    ['fe80::1', groups(0xfe80, 0, 0, 0, 0, 0, 0, 1)],
    ['2001:db8::1:0:0:1', groups(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1)], // the first of two runs
    ['2001:0:0:1::1', groups(0x2001, 0, 0, 1, 0, 0, 0, 1)], // the longer of two runs
    ['2001:db8:0:1:1:1:1:1', groups(0x2001, 0xdb8, 0, 1, 1, 1, 1, 1)], // a single zero stays
    ['2001:db8:aa:bb:cc:dd:ee:ff', groups(0x2001, 0xdb8, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff)],
  ];
  for (const [text, bytes] of cases) test(text, () => assert.equal(formatIpv6(bytes), text));
});

describe('endpoints', () => {
  const ipv4 = (...bytes: number[]): Uint8Array => Uint8Array.from([...bytes, ...Array(12).fill(9)]);

  test('IPv4: the first four bytes', () => {
    const record = sideRecord({ localAddr: ipv4(10, 0, 0, 1), remoteAddr: ipv4(255, 254, 253, 0) });
    assert.deepEqual(localEndpoint(record), { address: '10.0.0.1', port: 8000 });
    assert.deepEqual(remoteEndpoint(record), { address: '255.254.253.0', port: 40_000 });
    assert.equal(networkType(record), 'ipv4');
  });

  test('IPv6', () => {
    const address = groups(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5);
    const record = sideRecord({ family: AF_INET6, localAddr: address, remoteAddr: address });
    assert.equal(remoteEndpoint(record).address, '2001:db8::5');
    assert.equal(networkType(record), 'ipv6');
  });

  test('an IPv4 client of a dual-stack listener is told as IPv4', () => {
    const mapped = groups(0, 0, 0, 0, 0, 0xffff, 0x7f00, 0x0102);
    const record = sideRecord({ family: AF_INET6, localAddr: mapped, remoteAddr: mapped });
    assert.equal(localEndpoint(record).address, '127.0.1.2');
    assert.equal(networkType(record), 'ipv4');
  });

  test('what only looks like a mapped address is none', () => {
    const bytes = groups(0, 0, 0, 0, 1, 0xffff, 0x7f00, 1);
    const record = sideRecord({ family: AF_INET6, remoteAddr: bytes });
    assert.equal(remoteEndpoint(record).address, '::1:ffff:7f00:1');
    assert.equal(networkType(record), 'ipv6');
  });
});
