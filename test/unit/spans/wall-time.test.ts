import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { wallTime } from '../../../src/spans/wall-time.ts';
import { makeClock } from '../../harness/kernel-records.ts';

describe('wallTime', () => {
  const clock = { ...makeClock(1_000_000_000), wallSeconds: 1_700_000_000, wallNanos: 999_999_999 };

  test('carries in both directions and is exact to the nanosecond', () => {
    assert.deepEqual(wallTime(1_000_000_000, clock), [1_700_000_000, 999_999_999]);
    assert.deepEqual(wallTime(1_000_000_001, clock), [1_700_000_001, 0]);
    assert.deepEqual(wallTime(1, clock), [1_700_000_000, 0]);
    assert.deepEqual(wallTime(0, clock), [1_699_999_999, 999_999_999]);
    assert.deepEqual(wallTime(90 * 86_400 * 1e9 + 7, clock)[1], 6);
  });
});
