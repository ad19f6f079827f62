import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDifferences } from '../../../src/correlate/differences.ts';

test('the more often a value came, the less surprising; what is next to one of them less than anything else', () => {
  const differences = createDifferences();
  for (let n = 0; n < 100; n++) differences.add(n % 10 === 0 ? 12 : 78);
  const [often, seldom, near, never, hardly] = [78, 12, 79, 40, 5000].map((value) =>
    differences.bits(value),
  ) as [...[number, number, number, number, number]];
  assert.ok(often < 0.3 && seldom > 3 && seldom < 4);
  assert.ok(near > seldom && near < never && never > 15);
  assert.equal(hardly, Number.POSITIVE_INFINITY);
});

test('with nothing known every usual value is as surprising as any other', () => {
  const { bits } = createDifferences();
  assert.equal(bits(0), bits(700));
  assert.ok(Number.isFinite(bits(-512)) && Number.isFinite(bits(2048)));
  assert.ok(!Number.isFinite(bits(-513)) && !Number.isFinite(bits(2049)));
});

test('the probabilities of all values come to one', () => {
  const differences = createDifferences();
  for (let n = 0; n < 9000; n++) differences.add(n % 7 === 0 ? n % 211 : 78);
  let sum = 0;
  for (let value = -512; value <= 2048; value++) sum += 2 ** -differences.bits(value);
  assert.ok(sum > 0.98 && sum <= 1 + 1e-9, String(sum));
});

test('where new values keep coming, one more is no great surprise', () => {
  const [varied, steady] = [createDifferences(), createDifferences()];
  for (let n = 0; n < 3000; n++) {
    varied.add(n % 2 === 0 ? 78 : (n * 37) % 2000);
    steady.add(78);
  }
  assert.ok(varied.bits(1001) + 8 < steady.bits(1001));
});

test('the most frequent are kept, among values without number', () => {
  const differences = createDifferences();
  for (let n = 0; n < 100_000; n++) differences.add(n % 10 === 0 ? 78 : n);
  assert.ok(differences.bits(78) < 5);
  assert.ok(differences.bits(99_999) > 8);
});

test('what a proxy does now counts more than what it did', () => {
  const differences = createDifferences();
  for (let n = 0; n < 5000; n++) differences.add(1);
  for (let n = 0; n < 60_000; n++) differences.add(20);
  assert.ok(differences.bits(20) < 0.1 && differences.bits(1) > 12);
});

test('enough have come to know them all', () => {
  const differences = createDifferences();
  for (let n = 0; n < 63; n++) differences.add(1);
  assert.ok(!differences.hasLearned);
  differences.add(1);
  assert.ok(differences.hasLearned);
});
