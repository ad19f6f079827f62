import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTracePipeline, type HopSink } from '../../../src/pipeline/traces.ts';
import { KIND } from '../../../src/records.gen.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeClock, makeStream } from '../../harness/kernel-records.ts';

const options = { phaseFloorNs: 0, resourceAttributes: {} };

/** An exporter that keeps its batches apart. */
function batches(): HopSink & { readonly seen: (readonly HopSpan[])[] } {
  const seen: (readonly HopSpan[])[] = [];
  return { seen, export: (spans) => void seen.push(spans) };
}

describe('a trace pipeline', () => {
  test('gives every exporter the same batches', () => {
    const [one, two] = [batches(), batches()];
    const pipeline = createTracePipeline([one, two], options);
    for (const record of makeStream(5)) pipeline.push(record);
    pipeline.flush();
    assert.ok(one.seen.length > 0);
    assert.deepEqual(one.seen, two.seen);
    assert.equal(pipeline.stats.hops, 5);
  });

  test('hands spans on at the next clock record, and no empty batch', () => {
    const exporter = batches();
    const pipeline = createTracePipeline([exporter], options);
    const records = makeStream(2);
    const lastSide = records.findLastIndex(({ kind }) => kind === KIND.SIDE);
    for (const record of records.slice(0, lastSide + 1)) pipeline.push(record);
    const before = exporter.seen.length;
    pipeline.push(makeClock(1e9));
    assert.equal(exporter.seen.length, before + 1);
    for (let ns = 2e9; ns < 3e9; ns += 5e7) pipeline.push(makeClock(ns));
    pipeline.flush();
    pipeline.flush();
    assert.equal(exporter.seen.length, before + 1);
  });

  test('does not let a batch grow while there is no clock record', () => {
    const exporter = batches();
    const pipeline = createTracePipeline([exporter], options);
    const silent = makeStream(300).filter((record, index) => index < 4 || record.kind === KIND.SIDE);
    for (const record of silent) pipeline.push(record);
    pipeline.flush();
    const sizes = exporter.seen.map(({ length }) => length);
    assert.ok(sizes.length > 1 && Math.max(...sizes) < 1000, sizes.join());
    const spans = exporter.seen.flat().filter(({ kind }) => kind === 'SERVER');
    assert.equal(spans.length, 300);
  });

  test('flush() completes what can be completed', () => {
    const exporter = batches();
    const pipeline = createTracePipeline([exporter], options);
    const records = makeStream(1);
    const firstSide = records.findIndex(({ kind }) => kind === KIND.SIDE);
    for (const record of records.slice(0, firstSide + 1)) pipeline.push(record); // the other half never comes
    assert.deepEqual(exporter.seen, []);
    pipeline.flush();
    assert.equal(exporter.seen.flat().filter(({ kind }) => kind === 'SERVER').length, 1);
  });
});
