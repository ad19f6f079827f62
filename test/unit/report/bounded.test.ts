import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bounded, Counts, OTHER } from '../../../src/report/bounded.ts';

test('what does not fit counts under other, and nothing is lost', () => {
  const counts = new Counts(3);
  for (let n = 0; n < 100; n++) counts.add(`name ${n % 10}`);
  const sorted = counts.sorted();
  assert.equal(sorted.length, 4);
  assert.deepEqual(sorted.at(-1), { name: OTHER, count: 70 });
  assert.equal(
    sorted.reduce((sum, { count }) => sum + count, 0),
    100,
  );
});

test('names that an object would take for its own', () => {
  const bounded = new Bounded<{ n: number }>(4, () => ({ n: 0 }));
  for (const name of ['__proto__', 'constructor', 'toString']) bounded.of(name).n++;
  assert.deepEqual(
    bounded.entries().map(([name, { n }]) => [name, n]),
    [
      ['__proto__', 1],
      ['constructor', 1],
      ['toString', 1],
    ],
  );
});
