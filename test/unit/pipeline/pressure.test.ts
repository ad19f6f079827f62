import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Exporter } from '../../../src/exporter/exporter.ts';
import { createPressure } from '../../../src/pipeline/pressure.ts';

const MANY = 100_000;

/** An exporter of which only the counts matter. */
function counts() {
  const state = { exported: 0, waiting: 0, stored: 0 };
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
  const pressure = createPressure(
    () => exporters.map(({ exporter }) => exporter),
    () => clock.ms,
  );
  return { clock, ...pressure };
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

  test('not for what waits on disk, and for what is not there yet', () => {
    const disk = counts();
    const { clock, busy } = start(disk);
    disk.waiting = disk.stored = MANY;
    assert.equal(busy(), false);
    disk.waiting += MANY;
    assert.equal(busy(), true);
    clock.ms += 400;
    disk.stored += 10;
    assert.equal(busy(), true, 'writing is getting on');
  });
});

test('an exporter that sent nothing for 5 s is hopeless, unless it has nothing to send', () => {
  const [stuck, idle] = [counts(), counts()];
  const { clock, busy, hopeless } = start(stuck, idle);
  stuck.waiting = 10;
  for (let ms = 0; ms < 5000; ms += 1000) {
    busy();
    assert.ok(!hopeless(stuck.exporter));
    clock.ms += 1000;
  }
  busy();
  assert.deepEqual([hopeless(stuck.exporter), hopeless(idle.exporter)], [true, false]);
  stuck.exported++;
  busy();
  assert.ok(!hopeless(stuck.exporter));
});
