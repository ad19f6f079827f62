import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assign } from '../../../src/correlate/matching.ts';
import { createRandom } from '../../harness/random.ts';

/** Every largest assignment of a small graph, by trying all. */
function largest(downCount: number, candidates: readonly (readonly number[])[]): number[][] {
  let found: number[][] = [];
  let size = 0;
  const walk = (up: number, taken: number[], used: Set<number>): void => {
    if (up === candidates.length) {
      if (used.size > size) {
        size = used.size;
        found = [];
      }
      if (used.size === size) found.push([...taken]);
      return;
    }
    walk(up + 1, [...taken, -1], used);
    for (const down of candidates[up] ?? []) {
      if (used.has(down) || down >= downCount) continue;
      walk(up + 1, [...taken, down], new Set([...used, down]));
    }
  };
  walk(0, [], new Set());
  return found;
}

test('what is sure is what all largest assignments have in common', () => {
  const random = createRandom(5);
  for (let round = 0; round < 3000; round++) {
    const downCount = 1 + Math.floor(random() * 5);
    const upCount = 1 + Math.floor(random() * 5);
    const density = random();
    const candidates = Array.from({ length: upCount }, () =>
      Array.from({ length: downCount }, (_, down) => down).filter(() => random() < density),
    );
    const all = largest(downCount, candidates);
    const expected = candidates.map((_, up) => {
      const [first, ...others] = new Set(all.map((assignment) => assignment[up]));
      return first !== undefined && others.length === 0 ? first : -1;
    });
    const { sure, blocks } = assign(downCount, candidates);
    assert.deepEqual([...sure], expected, JSON.stringify(candidates));
    for (const [up, downs] of candidates.entries()) {
      const holders = blocks.filter(({ ups }) => ups.includes(up));
      assert.equal(holders.length, expected[up] === -1 && downs.length > 0 ? 1 : 0);
    }
  }
});

test('a chain in which each has had one choice less is sure to its end', () => {
  const count = 20_000;
  const candidates = Array.from({ length: count }, (_, up) =>
    Array.from({ length: Math.min(up + 1, 20) }, (_, back) => up - Math.min(up, 19) + back),
  );
  const { sure, blocks } = assign(count, candidates);
  assert.ok(sure.every((down, up) => down === up));
  assert.deepEqual(blocks, []);
});
