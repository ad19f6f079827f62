import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDifferences } from '../../../src/correlate/differences.ts';

test('what comes three times is known, and what is next to it resembled', () => {
  const differences = createDifferences();
  for (const value of [78, 78, 12, 78]) differences.add(value);
  assert.ok(differences.knows(78));
  assert.ok(!differences.knows(12) && !differences.knows(79));
  assert.ok(differences.resembles(77) && differences.resembles(79));
  assert.ok(!differences.resembles(78) && !differences.resembles(80));
});

test('the most frequent are kept, among values without number', () => {
  const differences = createDifferences();
  for (let n = 0; n < 100_000; n++) differences.add(n % 10 === 0 ? 78 : n);
  assert.ok(differences.knows(78));
  assert.ok(!differences.knows(99_999));
});

test('what a proxy does now counts more than what it did', () => {
  const differences = createDifferences();
  for (let n = 0; n < 5000; n++) differences.add(1);
  for (let n = 0; n < 60_000; n++) differences.add(2);
  assert.ok(differences.knows(2) && !differences.knows(1));
});

test('enough have come to know them all', () => {
  const differences = createDifferences();
  for (let n = 0; n < 63; n++) differences.add(1);
  assert.ok(!differences.hasLearned);
  differences.add(1);
  assert.ok(differences.hasLearned);
});
