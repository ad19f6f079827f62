import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createDuplex, type Duplex } from '../../../src/correlate/duplex.ts';
import type { PairedExchange } from '../../../src/correlate/pair.ts';
import { SIDE_FLAGS } from '../../../src/records.gen.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

const MS = 1_000_000;

/** Exchange `number` of a pair, a millisecond long, one every two milliseconds. */
function exchange(number: number, early: 'answer' | 'request' | 'none', ended = false): PairedExchange {
  const ns = number * 2 * MS;
  const flags = SIDE_FLAGS.EXCHANGE | (ended ? SIDE_FLAGS.ENDED : 0);
  const bytes = { exchange: number, flags, bytesRead: 1, bytesWritten: 1 };
  return {
    downstream: downstreamRecord({
      ...bytes,
      arrivedNs: early === 'request' ? ns - 1.5 * MS : ns,
      firstReadNs: ns,
      lastReadNs: ns,
      firstWriteNs: ns + MS,
      lastWriteNs: ns + MS,
    }),
    upstream: upstreamRecord({
      ...bytes,
      arrivedNs: early === 'answer' ? ns - 1 : ns + MS / 2,
      firstWriteNs: ns + 1,
      firstReadNs: ns + MS,
      lastReadNs: ns + MS,
    }),
    overlapping: false,
  };
}

/** How many exchanges each told one is made of, and whether it is said to overlap. */
function told(duplex: Duplex, exchanges: readonly PairedExchange[]): string[] {
  return exchanges.flatMap((one) => duplex.push(one)).map(describeExchange);
}

function describeExchange({ downstream, overlapping }: PairedExchange): string {
  return `${downstream?.bytesRead}${overlapping ? ' overlapping' : ''}`;
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('exchanges in turn', () => {
  test('pass as they are, at once', () => {
    const duplex = createDuplex();
    for (const number of numbers(1, 1000)) {
      const one = exchange(number, 'none');
      assert.deepEqual(duplex.push(one), [one]);
    }
  });

  test('a client that is early now and then changes nothing', () => {
    const orderly = numbers(1, 500).map((n) => exchange(n, n % 60 === 0 ? 'request' : 'none'));
    assert.deepEqual(told(createDuplex(), orderly), Array(500).fill('1'));
  });
});

for (const early of ['answer', 'request'] as const) {
  describe(`bytes both ways at once: each ${early} is early`, () => {
    /* The first request has no answer before it to be early for. */
    const before = early === 'answer' ? 2 : 3;

    test('a few, then one told exchange a second, and all bytes in one of them', () => {
      const duplex = createDuplex();
      const seen = told(
        duplex,
        numbers(1, 2000).map((n) => exchange(n, early)),
      );
      const rest = duplex.release().map(describeExchange);
      assert.deepEqual(seen.slice(0, before), Array(before).fill('1'));
      assert.deepEqual(new Set(seen.slice(before)), new Set(['501 overlapping']));
      const bytes = [...seen, ...rest].reduce((sum, one) => sum + Number.parseInt(one, 10), 0);
      assert.equal(bytes, 2000);
    });

    test('orderly moments in between do not end it; a long orderly time does', () => {
      const duplex = createDuplex();
      told(
        duplex,
        numbers(1, 40).map((n) => exchange(n, early)),
      );
      const moment = told(
        duplex,
        numbers(41, 440).map((n) => exchange(n, 'none')),
      );
      for (const one of moment) assert.match(one, /overlapping/);
      const [held, ...since] = told(
        duplex,
        numbers(441, 1000).map((n) => exchange(n, 'none')),
      );
      assert.match(held ?? '', /overlapping/);
      assert.equal(since.at(-1), '1');
    });

    test('the end of the connection lets go of what is held', () => {
      const duplex = createDuplex();
      told(
        duplex,
        numbers(1, 9).map((n) => exchange(n, early)),
      );
      assert.deepEqual(told(duplex, [exchange(10, early, true)]), [`${10 - before} overlapping`]);
    });
  });
}

test('what is held is given on when its time is over', () => {
  const duplex = createDuplex();
  told(
    duplex,
    numbers(1, 9).map((n) => exchange(n, 'answer')),
  );
  const sinceNs = 3 * 2 * MS + MS;
  assert.deepEqual(duplex.release(sinceNs), []);
  assert.deepEqual(duplex.release(sinceNs + 1).map(describeExchange), ['7 overlapping']);
  assert.deepEqual(duplex.release(), []);
});

test('a side that is missing is missing in the sum too', () => {
  const duplex = createDuplex();
  told(
    duplex,
    numbers(1, 9).map((n) => exchange(n, 'answer')),
  );
  const { downstream } = exchange(10, 'none', true);
  assert.ok(downstream);
  const [whole] = duplex.push({ downstream, overlapping: false });
  assert.equal(whole?.downstream?.bytesRead, 8);
  assert.equal(whole?.upstream?.bytesRead, 7);
});
