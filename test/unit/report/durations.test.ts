import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Durations, EXACT } from '../../../src/report/durations.ts';

/** By definition: the smallest value that the share q does not exceed. */
function exact(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)] ?? 0;
}

function durationsOf(values: readonly number[]): Durations {
  const durations = new Durations();
  for (const value of values) durations.add(value);
  return durations;
}

describe('durations', () => {
  test('nothing is zero', () => {
    const { count, max, mean } = new Durations();
    assert.deepEqual([count, max, mean, new Durations().quantile(0.5)], [0, 0, 0, 0]);
  });

  test(`exact up to ${EXACT} values`, () => {
    for (const size of [1, 2, 99, 100, 101, EXACT]) {
      const values = Array.from({ length: size }, (_, n) => ((n * 7919) % size) * 1000 + 3);
      const durations = durationsOf(values);
      for (const q of [0, 0.5, 0.9, 0.99, 1]) assert.equal(durations.quantile(q), exact(values, q));
      const largest = values.filter((value) => value >= durations.floor(0.99));
      assert.equal(largest.length, Math.ceil(size / 100));
    }
  });

  test('right to 1 % beyond, and never above the longest', () => {
    const values = Array.from({ length: 5000 }, (_, n) => Math.round(1000 * 1.002 ** ((n * 7919) % 5000)));
    const durations = durationsOf(values);
    for (const q of [0.01, 0.5, 0.99, 1]) {
      const truth = exact(values, q);
      assert.ok(Math.abs(durations.quantile(q) - truth) <= 0.01 * truth, `${q}`);
      assert.ok(durations.quantile(q) <= Math.max(...values));
    }
    assert.equal(durations.max, Math.max(...values));
    assert.equal(durations.count, values.length);
  });

  test('whatever was rounded, the hundredth part reaches the floor of p99', () => {
    for (const size of [257, 300, 1000, 4321]) {
      const values = Array.from({ length: size }, (_, n) => 1_000_000 + n * 37);
      const floor = durationsOf(values).floor(0.99);
      assert.ok(values.filter((value) => value >= floor).length >= Math.floor(size / 100));
    }
  });
});
