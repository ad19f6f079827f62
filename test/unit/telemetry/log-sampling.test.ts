import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogSampling } from '../../../src/telemetry/log-sampling.ts';

const written = (sampling: ReturnType<typeof createLogSampling>, kind: string, lines: number): number[] =>
  Array.from({ length: lines }, (_, n) => n + 1).filter(() => sampling.admits(kind));

test('the first lines, then every so many-th one, each kind for itself', () => {
  const sampling = createLogSampling({ enabled: true, tickMs: 1000, initial: 3, thereafter: 4 });
  assert.deepEqual(written(sampling, 'warn a', 12), [1, 2, 3, 7, 11]);
  assert.deepEqual(written(sampling, 'warn b', 3), [1, 2, 3]);
  assert.deepEqual(written(sampling, 'info a', 4), [1, 2, 3]);
  assert.deepEqual(sampling.endTick(), [
    { kind: 'warn a', count: 7 },
    { kind: 'info a', count: 1 },
  ]);
  assert.deepEqual(written(sampling, 'warn a', 4), [1, 2, 3], 'a new interval');
});

test('none thereafter', () => {
  const sampling = createLogSampling({ enabled: true, tickMs: 1000, initial: 2, thereafter: 0 });
  assert.deepEqual(written(sampling, 'a', 1000), [1, 2]);
  assert.deepEqual(sampling.endTick(), [{ kind: 'a', count: 998 }]);
  assert.deepEqual(sampling.endTick(), []);
});

test('turned off, everything', () => {
  const sampling = createLogSampling({ enabled: false, tickMs: 1000, initial: 1, thereafter: 0 });
  assert.equal(written(sampling, 'a', 100).length, 100);
  assert.deepEqual(sampling.endTick(), []);
});

test('messages that are all different are bounded in memory and all written', () => {
  const sampling = createLogSampling({ enabled: true, tickMs: 1000, initial: 1, thereafter: 0 });
  for (let n = 0; n < 10_000; n++) assert.ok(sampling.admits(`warn ${n}`));
  assert.ok(!sampling.admits('warn 0'));
  assert.ok(sampling.admits('warn 9999'), 'beyond those that are counted');
});
