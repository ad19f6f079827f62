import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketsOf, MAX_BUCKETS } from '../../../src/report/buckets.ts';
import type { HrTime } from '../../../src/spans/hop-span.ts';

const START: HrTime = [1_767_323_045, 123_456_789];

function after([seconds, nanos]: HrTime, ns: number): HrTime {
  const total = nanos + ns;
  return [seconds + Math.floor(total / 1e9), total % 1e9];
}

test('few enough, of a round width, and all of the range lies in them', () => {
  for (const ns of [0, 1, 999, 12_345, 1e6, 59e6, 999_999_999, 1e9, 61e9, 3600e9, 86_400e9, 400 * 86_400e9]) {
    const end = after(START, ns);
    const { count, widthNs, indexOf, start } = bucketsOf({ start: START, end });
    assert.ok(count >= 1 && count <= MAX_BUCKETS + 1, `${ns}: ${count}`);
    assert.match(String(widthNs), /^[1-9]\d{0,3}0*$/);
    assert.ok(start[0] < START[0] || (start[0] === START[0] && start[1] <= START[1]));
    assert.equal(indexOf(START), 0);
    assert.equal(indexOf(end), count - 1);
  }
});

test('a moment between two belongs to the later one', () => {
  const { indexOf, widthNs, start } = bucketsOf({ start: [100, 0], end: [160, 0] });
  assert.deepEqual([widthNs, start], [2e9, [100, 0]]);
  assert.deepEqual([indexOf([101, 999_999_999]), indexOf([102, 0])], [0, 1]);
});
