import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { createLossWarnings, type LossWarnings, WARN_EVERY_MS } from '../../../src/pipeline/losses.ts';
import type { Losses } from '../../../src/receiver/ebpf.ts';

const NONE: Losses = {
  ...{ ringFull: 0, tableFull: 0, storageFailed: 0, targetsFull: 0 },
  ...{
    pairConflicts: 0,
    sampleMismatches: 0,
    freezesFull: 0,
    networkEventsLost: 0,
    undrained: 0,
    turnsRefused: 0,
  },
};

describe('warnings of losses', () => {
  let said: object[];
  let nowMs: number;
  let warnings: LossWarnings;
  beforeEach(() => {
    said = [];
    nowMs = 5;
    warnings = createLossWarnings({ warn: (fields: object) => void said.push(fields) }, () => nowMs);
  });

  test('nothing is said while nothing is lost', () => {
    warnings.look(NONE);
    nowMs += WARN_EVERY_MS;
    warnings.look(NONE);
    assert.deepEqual(said, []);
  });

  test('a cause is named at once, and again after a minute, with the count so far', () => {
    warnings.look({ ...NONE, ringFull: 3 });
    warnings.look({ ...NONE, ringFull: 4 });
    nowMs += WARN_EVERY_MS - 1;
    warnings.look({ ...NONE, ringFull: 90 });
    assert.deepEqual(said, [{ ringFull: 3 }]);
    nowMs += 1;
    warnings.look({ ...NONE, ringFull: 91 });
    assert.deepEqual(said, [{ ringFull: 3 }, { ringFull: 91 }]);
  });

  test('what does not go on is not said again', () => {
    warnings.look({ ...NONE, tableFull: 3 });
    nowMs += 2 * WARN_EVERY_MS;
    warnings.look({ ...NONE, tableFull: 3 });
    assert.deepEqual(said, [{ tableFull: 3 }]);
  });

  test('every cause has a line of its own', () => {
    const all = Object.fromEntries(Object.keys(NONE).map((cause) => [cause, 1])) as unknown as Losses;
    warnings.look(all);
    assert.deepEqual(
      said,
      Object.keys(NONE).map((cause) => ({ [cause]: 1 })),
    );
  });
});
