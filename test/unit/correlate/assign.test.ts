import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assign } from '../../../src/correlate/assign.ts';

/** Pairs by edges with 1 bit, or their own number of them, and a margin of 10. */
function pairsOf(...edges: [string, string, number?][]): Record<string, string> {
  const pairs = assign(
    edges.map(([down, up, bits = 1]) => ({ down, up, bits })),
    10,
  );
  return Object.fromEntries([...pairs].map(([down, { up }]) => [down, up]));
}

test('two that have nobody else are a pair, however surprising', () => {
  assert.deepEqual(pairsOf(['a', '1'], ['b', '2', 60]), { a: '1', b: '2' });
});

test('nobody is chosen out of two', () => {
  assert.deepEqual(pairsOf(['a', '1'], ['a', '2']), {});
  assert.deepEqual(pairsOf(['a', '1'], ['b', '1']), {});
  assert.deepEqual(pairsOf(['a', '1'], ['a', '2'], ['b', '1'], ['b', '2']), {});
});

test('a choice between two is none of one side alone', () => {
  assert.deepEqual(pairsOf(['a', '1'], ['a', '2'], ['b', '2']), {});
});

test('the better of two is chosen by the margin, and not by less', () => {
  assert.deepEqual(pairsOf(['a', '1', 3], ['a', '2', 13]), { a: '1' });
  assert.deepEqual(pairsOf(['a', '1', 3], ['a', '2', 12.9]), {});
  assert.deepEqual(pairsOf(['a', '1', 3], ['b', '1', 12.9]), {});
  assert.deepEqual(pairsOf(['a', '1', 3], ['b', '1', 13], ['b', '2', 1]), { a: '1', b: '2' });
});

test('what is sure leaves others alone', () => {
  assert.deepEqual(pairsOf(['a', '1', 1], ['a', '2', 21], ['b', '2', 21], ['b', '1', 22]), {
    a: '1',
    b: '2',
  });
});

test('a worse pair contradicts no better one', () => {
  assert.deepEqual(pairsOf(['a', '1', 1], ['b', '1', 12], ['a', '2', 12]), { a: '1' });
});

test('two that seem to fit are not taken crosswise, where their own partners fit as well', () => {
  assert.deepEqual(pairsOf(['a', '1', 9], ['b', '2', 14], ['a', '2', 13], ['b', '1', 10]), {});
});
