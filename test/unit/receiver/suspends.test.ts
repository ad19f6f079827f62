import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSuspends } from '../../../src/receiver/suspends.ts';
import { FREEZE_HOW, KIND } from '../../../src/records.gen.ts';

test('time that CLOCK_BOOTTIME counts and CLOCK_MONOTONIC does not is told once, noise is not', () => {
  let suspendedNs = 5e9;
  const look = createSuspends(1000, () => suspendedNs);
  assert.equal(look(2000), undefined);
  suspendedNs += 900_000;
  assert.equal(look(3000), undefined);
  suspendedNs += 60e9;
  assert.deepEqual(look(4000), {
    ...{ kind: KIND.FREEZE, how: FREEZE_HOW.SUSPEND, fromNs: 3000, toNs: 4000 },
    ...{ lastedNs: 60e9 + 900_000, tgid: 0, signal: 0 },
  });
  assert.equal(look(5000), undefined);
});

test('a wait between reading the two clocks is no suspend', () => {
  const readings = [4e9, 5e9, 4.5e9, 5e9, 5e9, 3e9, 5e9];
  const look = createSuspends(1000, () => readings.shift() ?? 5e9);
  for (let n = 2; n < 6; n++) assert.equal(look(1000 * n), undefined);
});

test('on this machine the clocks agree', () => {
  const look = createSuspends(0);
  for (let n = 1; n < 1000; n++) assert.equal(look(n), undefined);
});
