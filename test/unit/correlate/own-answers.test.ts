import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOwnAnswers } from '../../../src/correlate/own-answers.ts';
import type { Side } from '../../../src/correlate/side.ts';
import { MESSAGE_FLAGS } from '../../../src/records.gen.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

const { OVER, ANSWER_MESSAGE } = MESSAGE_FLAGS;
const SECOND = 1_000_000_000;

const answered = (connection: number, statusCode: number, from: number, to: number): Side => ({
  ...downstreamRecord({ connection }),
  http: {
    request: makeHttpMessage({ tid: 101, firstNs: from, lastNs: from }),
    answer: makeHttpMessage({ flags: OVER | ANSWER_MESSAGE, statusCode, firstNs: to, lastNs: to }),
  },
});
const failed = (connection: number, synNs: number, tid = 101) =>
  upstreamRecord({ connection, synNs, establishedNs: 0, releasedNs: synNs + 1, tid });

/** By connection: the attempts of each answer, or `?n` for a failure that may be another's. */
function run(sides: readonly Side[], attempts: readonly ReturnType<typeof failed>[]) {
  const told: [number, string][] = [];
  const taken = new Set<number>();
  const own = createOwnAnswers(
    ({ connection }) => !taken.has(connection) && taken.add(connection).size > 0,
    ({ side, attempts: tried, failure }) => {
      const names = tried.map(({ connection }) => connection).join(' ');
      told.push([side.connection, failure ? `?${failure.connection}` : names]);
    },
  );
  for (const attempt of attempts) own.addFailed(attempt, 0);
  for (const side of sides) own.add(side, false, 0);
  own.settle(SECOND);
  own.settle(20 * SECOND);
  assert.equal(own.size(), 0);
  return told.toSorted(([a], [b]) => a - b);
}

test('an answer that says so has the attempts of its thread and time', () => {
  const attempts = [failed(5, 20), failed(6, 30), failed(7, 30, 102), failed(8, 5), failed(9, 60)];
  assert.deepEqual(run([answered(1, 503, 10, 50)], attempts), [[1, '5 6']]);
});

test('an answer that says something else has none', () => {
  assert.deepEqual(run([answered(1, 404, 10, 50)], [failed(5, 20)]), [[1, '']]);
});

test('an attempt that may have been for two is nobody’s, and yet what failed them', () => {
  const sides = [answered(1, 503, 10, 50), answered(2, 503, 15, 55), answered(3, 503, 70, 90)];
  assert.deepEqual(run(sides, [failed(5, 20), failed(6, 80)]), [
    [1, '?5'],
    [2, '?5'],
    [3, '6'],
  ]);
});

test('a crowd shares what fails it', () => {
  const sides = Array.from({ length: 400 }, (_, n) => answered(n, 503, 10, 50));
  const told = run(sides, [failed(1000, 20)]);
  assert.ok(told.every(([, attempts]) => attempts === '?1000'));
});
