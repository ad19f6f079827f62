import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Exporter } from '../../../src/exporter/exporter.ts';
import { createPressure } from '../../../src/pipeline/pressure.ts';

const MANY = 100_000;

/** An exporter of which only the counts matter. */
function counts() {
  const state = { exported: 0, waiting: 0 };
  const exporter: Exporter = {
    start: async () => {},
    export: () => {},
    shutdown: async () => {},
    hasRoom: () => true,
    stats: () => ({ name: 'counts', accepted: state.exported + state.waiting, dropped: 0, ...state }),
  };
  return Object.assign(state, { exporter });
}

function start(...exporters: ReturnType<typeof counts>[]) {
  const clock = { ms: 0 };
  const busy = createPressure(
    exporters.map(({ exporter }) => exporter),
    () => clock.ms,
  );
  return { clock, busy };
}

describe('the source pauses', () => {
  test('while an exporter has much to do and gets on', () => {
    const slow = counts();
    const { clock, busy } = start(slow);
    assert.equal(busy(), false);
    slow.waiting = MANY;
    for (let round = 0; round < 20; round++) {
      clock.ms += 300;
      slow.exported += 1;
      assert.equal(busy(), true, `after ${clock.ms} ms`);
    }
    slow.waiting = 10;
    assert.equal(busy(), false);
  });

  test('not for an exporter that is stuck, and again when it gets on', () => {
    const stuck = counts();
    const { clock, busy } = start(stuck);
    stuck.waiting = MANY;
    assert.equal(busy(), true);
    clock.ms += 400;
    assert.equal(busy(), true);
    clock.ms += 200;
    assert.equal(busy(), false);
    stuck.exported += 1;
    assert.equal(busy(), true);
  });

  test('for the one that gets on, though another is stuck', () => {
    const [stuck, slow] = [counts(), counts()];
    const { clock, busy } = start(stuck, slow);
    stuck.waiting = slow.waiting = MANY;
    assert.equal(busy(), true);
    clock.ms += 1000;
    slow.exported += 1;
    assert.equal(busy(), true);
    slow.waiting = 0;
    assert.equal(busy(), false);
  });

  test('a time with little to do does not count as stuck', () => {
    const idle = counts();
    const { clock, busy } = start(idle);
    busy();
    clock.ms += 60_000;
    busy();
    idle.waiting = MANY;
    assert.equal(busy(), true);
  });
});
