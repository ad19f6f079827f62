import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createBatch } from '../../../src/processor/batch.ts';
import { makeForeign } from '../../harness/foreign-spans.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const SPANS = makeExchange();

describe('batch', () => {
  test('hands on when enough are there', () => {
    const batch = createBatch({ sendBatchSize: 20, timeoutMs: 200 });
    assert.deepEqual(batch.process(SPANS, 0), []);
    assert.deepEqual(batch.process(SPANS, 1), []);
    assert.equal(batch.held(), 16);
    assert.equal(batch.process(SPANS, 2).length, 24);
    assert.equal(batch.held(), 0);
    assert.deepEqual(batch.stats, { fullBatches: 1, timedBatches: 0 });
  });

  test('hands on when the time is over, counted from the first', () => {
    const batch = createBatch({ sendBatchSize: 20, timeoutMs: 200 });
    batch.process(SPANS, 100);
    batch.process(SPANS, 250);
    assert.deepEqual(batch.advance(299), []);
    assert.equal(batch.advance(300).length, 16);
    assert.deepEqual(batch.advance(1000), []);
  });

  test('without a time at once, without a size by time alone, at the end all', () => {
    assert.equal(createBatch({ sendBatchSize: 20, timeoutMs: 0 }).process(SPANS, 0).length, 8);
    const batch = createBatch({ sendBatchSize: 0, timeoutMs: 200 });
    for (let round = 0; round < 100; round++) assert.deepEqual(batch.process(SPANS, 0), []);
    assert.equal(batch.flush(0).length, 800);
    assert.equal(batch.held(), 0);
  });

  test("holds no more than 64 MiB of applications' spans", () => {
    const attributes = { large: 'x'.repeat(20_000_000) };
    const span = makeForeign({
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      fromUs: 0,
      toUs: 1,
      attributes,
    });
    const batch = createBatch({ sendBatchSize: 0, timeoutMs: 200 });
    for (let round = 0; round < 3; round++) assert.deepEqual(batch.process([span], 0), []);
    assert.equal(batch.process([span], 0).length, 4);
  });
});
