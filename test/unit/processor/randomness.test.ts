import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keepPercent, randomnessOf, thresholdOf } from '../../../src/processor/randomness.ts';
import { createRandom } from '../../harness/random.ts';

const TRACE = '5b8efff798038103d269b633813fc60c';

describe('sampling by the randomness of trace ids', () => {
  test('it is the last 56 bits, or what the root chose', () => {
    assert.equal(randomnessOf(TRACE), '69b633813fc60c');
    assert.equal(randomnessOf(TRACE, 'ot=th:8;rv:9b8233f7e3a151'), '9b8233f7e3a151');
    assert.equal(randomnessOf(TRACE, 'vendor=1,ot=rv:9b8233f7e3a151;th:8,x=y'), '9b8233f7e3a151');
    for (const state of [
      'ot=th:8',
      'ot=rv:9b8233',
      'not=rv:9b8233f7e3a151',
      'ot=rv:9B8233F7E3A151',
      'ot=xrv:9b8233f7e3a151',
    ])
      assert.equal(randomnessOf(TRACE, state), '69b633813fc60c', state);
  });

  test('thresholds are those of the specification and of the Collector', () => {
    const known: Record<number, string> = {
      1: '00000000000000',
      0.75: '40000000000000',
      0.5: '80000000000000',
      0.25: 'c0000000000000',
      0.1: 'e6660000000000',
      0.01: 'fd70a000000000',
      0.001: 'ffbe7700000000',
    };
    for (const [probability, threshold] of Object.entries(known))
      assert.equal(thresholdOf(Number(probability)), threshold, probability);
    assert.equal(thresholdOf(0), undefined);
    assert.equal(thresholdOf(1e-30), undefined);
  });

  test('keeps the percentage, and with a smaller one a part of the same', () => {
    const random = createRandom(7);
    const ids = Array.from({ length: 20_000 }, () =>
      Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join(''),
    );
    let before = new Set<string>(ids);
    for (const percent of [100, 60, 25, 10, 1, 0]) {
      const keep = keepPercent(percent);
      const kept = new Set(ids.filter((id) => keep(randomnessOf(id))));
      const deviation = Math.sqrt((ids.length * percent * (100 - percent)) / 1e4);
      assert.ok(Math.abs(kept.size - (ids.length * percent) / 100) <= 4 * deviation, `${percent} %`);
      assert.ok([...kept].every((id) => before.has(id)));
      before = kept;
    }
  });
});
