import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchConfig, ProcessorConfig } from '../../../src/config/types.ts';
import { arrangeStages, countsOf } from '../../../src/pipeline/stages.ts';
import type { Processor } from '../../../src/processor/processor.ts';

const batch = (name: string, timeoutMs = 1000): BatchConfig => ({
  ...{ type: 'batch', name, timeoutMs, sendBatchSize: 10 },
});
const make = (): Processor => ({
  ...{ stats: { seen: 2 }, process: (spans) => spans },
  ...{ advance: () => [], flush: () => [], held: () => 0 },
});
const [a, b, c] = [batch('a'), batch('b'), batch('c')];

/** Stages by name, and which of them stay. */
const CASES: readonly (readonly [ProcessorConfig[], ProcessorConfig[], string[]])[] = [
  [[], [a, b], []],
  [
    [a, b],
    [a, b],
    ['a', 'b'],
  ],
  [
    [a, b, c],
    [a, c],
    ['a', 'c'],
  ],
  [
    [a, c],
    [a, b, c],
    ['a', 'c'],
  ],
  [[a, b], [a, batch('b', 7)], ['a']],
  [[a, b], [b, a], ['b']],
  [[a, b, c], [], []],
  [[a, b, c], [c, a, b], ['c']],
];

for (const [before, after, kept] of CASES) {
  const names = (configs: readonly ProcessorConfig[]): string => configs.map(({ name }) => name).join();
  test(`${names(before)} to ${names(after)}`, () => {
    const old = arrangeStages([], before, make);
    const stages = arrangeStages(old, after, make);
    assert.deepEqual(
      stages.map(({ config }) => config),
      after,
    );
    assert.deepEqual(
      stages.filter((stage) => old.includes(stage)).map(({ config }) => config.name),
      kept,
    );
  });
}

test('what those before have counted is counted on', () => {
  const [stage] = arrangeStages([], [a], make);
  assert.ok(stage);
  stage.past = { seen: 3, earlier: 1 };
  assert.deepEqual(countsOf(stage), { seen: 5, earlier: 1 });
});
