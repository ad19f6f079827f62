import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createIds, SPAN_PART } from '../../../src/spans/ids.ts';

const SEED = '00112233445566778899aabbccddeeff';
const KEY = { connection: 7, exchange: 3 };
const PARTS = [
  0,
  SPAN_PART.HOP,
  SPAN_PART.UPSTREAM,
  ...Array.from({ length: 9 }, (_, n) => SPAN_PART.PHASE + n),
];

describe('ids', () => {
  test('have the shape that W3C gives them and are never all zero', () => {
    const ids = createIds('0'.repeat(32));
    for (let connection = 0; connection < 2000; connection++) {
      assert.match(ids.traceId({ connection, exchange: 0 }, 0), /^(?!0{32})[0-9a-f]{32}$/);
      assert.match(ids.spanId({ connection, exchange: 0 }, 0), /^(?!0{16})[0-9a-f]{16}$/);
    }
  });

  test('are the same again for the same seed, and of another run for another', () => {
    const [first, again, other] = [SEED, SEED, `${SEED.slice(0, -1)}e`].map(createIds);
    assert.equal(first?.traceId(KEY, 0), again?.traceId(KEY, 0));
    assert.equal(first?.spanId(KEY, SPAN_PART.HOP), again?.spanId(KEY, SPAN_PART.HOP));
    assert.notEqual(first?.traceId(KEY, 0), other?.traceId(KEY, 0));
  });

  test('of another instance whose seed differs in any one digit, all traces differ', () => {
    const own = createIds(SEED).traceId(KEY, 0);
    for (let at = 0; at < SEED.length; at++) {
      const digit = SEED[at] === '0' ? '1' : '0';
      assert.notEqual(createIds(SEED.slice(0, at) + digit + SEED.slice(at + 1)).traceId(KEY, 0), own);
    }
  });

  test('differ for every part of every exchange of every connection, beyond 32 bits too', () => {
    const ids = createIds(SEED);
    const seen = new Set<string>();
    let made = 0;
    for (const base of [0, 2 ** 32, 2 ** 40]) {
      for (let connection = base; connection < base + 100; connection++) {
        for (let exchange = 0; exchange < 10; exchange++) {
          for (const part of PARTS) {
            for (const own of [0, SPAN_PART.CONNECTION]) {
              seen.add(ids.spanId({ connection, exchange }, part + own));
              made++;
            }
          }
        }
      }
    }
    assert.equal(seen.size, made);
  });

  test('one bit of the key changes about half of the bits', () => {
    const ids = createIds(SEED);
    const bits = (id: string): string => BigInt(`0x1${id}`).toString(2);
    let changed = 0;
    const rounds = 500;
    for (let connection = 1; connection <= rounds; connection++) {
      const a = bits(ids.spanId({ connection: 2 * connection, exchange: 1 }, 0));
      const b = bits(ids.spanId({ connection: 2 * connection + 1, exchange: 1 }, 0));
      for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) changed++;
    }
    assert.ok(Math.abs(changed / rounds - 32) < 2, `${changed / rounds} of 64 bits`);
  });
});
