import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createClock, monotonicNs } from '../../../src/receiver/clock.ts';
import type { ClockRecord } from '../../../src/receiver/kernel-record.ts';

const offsetOf = ({ monotonicNs, wallSeconds, wallNanos }: ClockRecord): bigint =>
  BigInt(wallSeconds) * 1_000_000_000n + BigInt(wallNanos) - BigInt(monotonicNs);

/** A clock whose two sources lie so many nanoseconds apart, reading after reading. */
function clockOf(...offsets: bigint[]) {
  let last = 0n;
  return createClock(() => {
    last = offsets.shift() ?? last;
    return last;
  });
}

const START = 1_700_000_000_123_456_789n;

describe('clock records', () => {
  test('are monotonic time and the time of day at that moment', () => {
    const before = monotonicNs();
    const record = clockOf(START)();
    assert.ok(record.monotonicNs >= before && record.monotonicNs <= monotonicNs());
    assert.equal(offsetOf(record), START);
    assert.ok(record.wallNanos >= 0 && record.wallNanos < 1e9);
  });

  test('keep to one time line while only the reading wavers', () => {
    const clock = clockOf(START, START + 150_000n, START - 150_000n, START + 199_999n);
    assert.deepEqual([clock(), clock(), clock()].map(offsetOf), [START, START, START]);
  });

  test('follow a wall clock that was set, forwards and back', () => {
    const clock = clockOf(START, START + 5_000_000_000n, START - 3_000_000n);
    assert.deepEqual([clock(), clock()].map(offsetOf), [START + 5_000_000_000n, START - 3_000_000n]);
  });

  test('by small steps it does not creep away', () => {
    const step = 150_000n;
    const clock = clockOf(...Array.from({ length: 20 }, (_, n) => START + BigInt(n) * step));
    for (let n = 1; n < 20; n++) {
      const behind = START + BigInt(n) * step - offsetOf(clock());
      assert.ok(behind >= 0n && behind <= 200_000n, `${behind} ns behind after ${n} steps`);
    }
  });

  test("this machine's own are near its time of day", () => {
    const { wallSeconds } = createClock()();
    assert.ok(Math.abs(wallSeconds - Date.now() / 1000) < 60);
  });
});
