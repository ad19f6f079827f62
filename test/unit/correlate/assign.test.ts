import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assign } from '../../../src/correlate/assign.ts';

function pairsOf(...edges: [string, string, number?][]): Record<string, string> {
  return Object.fromEntries(assign(edges.map(([down, up, tier = 1]) => ({ down, up, tier }))));
}

test('two that have nobody else are a pair', () => {
  assert.deepEqual(pairsOf(['a', '1'], ['b', '2']), { a: '1', b: '2' });
});

test('nobody is chosen out of two', () => {
  assert.deepEqual(pairsOf(['a', '1'], ['a', '2']), {});
  assert.deepEqual(pairsOf(['a', '1'], ['b', '1']), {});
  assert.deepEqual(pairsOf(['a', '1'], ['a', '2'], ['b', '1'], ['b', '2']), {});
});

test('a choice between two is none of one side alone', () => {
  assert.deepEqual(pairsOf(['a', '1'], ['a', '2'], ['b', '2']), {});
});

test('better evidence goes first, and leaves others alone', () => {
  assert.deepEqual(pairsOf(['a', '1', 1], ['a', '2', 2], ['b', '2', 2], ['b', '1', 3]), { a: '1', b: '2' });
});

test('worse evidence contradicts no better one', () => {
  assert.deepEqual(pairsOf(['a', '1', 1], ['b', '1', 2], ['a', '2', 2]), { a: '1' });
});
