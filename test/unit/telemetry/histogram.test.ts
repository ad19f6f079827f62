import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BOUNDS_S,
  createHistogram,
  exponentialOf,
  recordDuration,
  SCALE,
} from '../../../src/telemetry/histogram.ts';

const DURATIONS_NS = [
  0,
  1,
  4999,
  5000,
  5001,
  1_000_000,
  2_500_000,
  2_500_001,
  29_999_999_999,
  3e10,
  3e10 + 1,
];

describe('a histogram of durations', () => {
  it('counts each in the bucket whose upper bound it does not exceed', () => {
    const histogram = createHistogram('explicit');
    for (const ns of DURATIONS_NS) recordDuration(histogram, ns);
    assert.equal(histogram.count, DURATIONS_NS.length);
    assert.equal(histogram.buckets.length, BOUNDS_S.length + 1);
    const expected = Array.from(
      { length: BOUNDS_S.length + 1 },
      (_, i) =>
        DURATIONS_NS.filter(
          (ns) =>
            ns / 1e9 <= (BOUNDS_S[i] ?? Infinity) && (i === 0 || ns / 1e9 > (BOUNDS_S[i - 1] as number)),
        ).length,
    );
    assert.deepEqual([...histogram.buckets], expected);
    assert.deepEqual([histogram.minNs, histogram.maxNs], [0, 3e10 + 1]);
    assert.equal(
      histogram.sumNs,
      DURATIONS_NS.reduce((sum, ns) => sum + ns, 0),
    );
  });

  it('has bounds in rising order, from microseconds to seconds', () => {
    assert.deepEqual(
      BOUNDS_S.toSorted((a, b) => a - b),
      BOUNDS_S,
    );
    assert.ok((BOUNDS_S[0] as number) <= 1e-5 && (BOUNDS_S.at(-1) as number) >= 10);
  });

  it('exponential: each lies above base^index and not above base^(index + 1)', () => {
    const base = 2 ** (2 ** -SCALE);
    for (const ns of [2, 777, 5000, 123_456, 1_000_000_000, 7_654_321_000]) {
      const histogram = createHistogram('exponential');
      recordDuration(histogram, ns);
      const { offset, bucketCounts, zeroCount } = exponentialOf(histogram);
      assert.deepEqual([bucketCounts, zeroCount], [[1], 0]);
      const slack = 1 + 1e-9;
      assert.ok(base ** offset < (ns / 1e9) * slack && ns / 1e9 <= base ** (offset + 1) * slack, `${ns}`);
    }
  });

  it('exponential: zero counts apart, and nothing is lost beyond either end', () => {
    const histogram = createHistogram('exponential');
    for (const ns of [0, 0, 0.1, 1e18]) recordDuration(histogram, ns);
    const { bucketCounts, zeroCount } = exponentialOf(histogram);
    assert.equal(zeroCount, 2);
    assert.equal(
      bucketCounts.reduce((sum, n) => sum + n, 0),
      2,
    );
  });
});
