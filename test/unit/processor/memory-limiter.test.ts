import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { availableMemory, processMemory } from '../../../src/processor/memory.ts';
import { createMemoryLimiter, type MemoryLimiterOptions } from '../../../src/processor/memory-limiter.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const OPTIONS: MemoryLimiterOptions = {
  checkIntervalMs: 1000,
  limitBytes: 100,
  spikeLimitBytes: 20,
  minGcIntervalSoftMs: 10_000,
  minGcIntervalHardMs: 0,
};

/** In use, and how much of it is garbage. */
function start() {
  const memory = { bytes: 0, garbage: 0, collections: 0 };
  const limiter = createMemoryLimiter(OPTIONS, {
    used: () => memory.bytes,
    collect() {
      memory.bytes -= memory.garbage;
      memory.garbage = 0;
      memory.collections++;
    },
  });
  return { memory, limiter };
}

describe('memory_limiter', () => {
  test('has receivers wait from the spike below the limit on, until there is room again', () => {
    const { memory, limiter } = start();
    for (const [atMs, bytes, refuses] of [
      [0, 80, false],
      [1000, 81, true],
      [2000, 200, true],
      [3000, 80, false],
    ] as const) {
      memory.bytes = bytes;
      limiter.advance(atMs);
      assert.equal(limiter.refuses?.(0), refuses, `${bytes} at ${atMs}`);
    }
    assert.equal(limiter.stats.refusingChecks, 2);
  });

  test('looks as often as it was told, and not in between', () => {
    const { memory, limiter } = start();
    limiter.advance(0);
    memory.bytes = 90;
    limiter.advance(999);
    assert.equal(limiter.refuses?.(0), false);
    limiter.advance(1000);
    assert.equal(limiter.refuses?.(0), true);
  });

  test('collects garbage first: once in a while below the limit, at every look above it', () => {
    const { memory, limiter } = start();
    memory.bytes = 90;
    memory.garbage = 50;
    limiter.advance(0);
    assert.equal(limiter.refuses?.(0), false);
    memory.bytes = 90;
    for (let atMs = 1000; atMs < 10_000; atMs += 1000) limiter.advance(atMs);
    assert.equal(memory.collections, 1);
    limiter.advance(10_000);
    assert.equal(memory.collections, 2);
    memory.bytes = 101;
    for (let atMs = 11_000; atMs < 16_000; atMs += 1000) limiter.advance(atMs);
    assert.equal(memory.collections, 7);
    assert.equal(limiter.stats.garbageCollections, 7);
  });

  test('counts the spans that it refused; those in the pipeline go on', () => {
    const { memory, limiter } = start();
    assert.equal(limiter.refuses?.(5), false);
    memory.bytes = 1000;
    limiter.advance(0);
    assert.equal(limiter.refuses?.(7), true);
    assert.equal(limiter.stats.refusedSpans, 7);
    const spans = makeExchange();
    assert.equal(limiter.process(spans, 0), spans);
  });

  test('the memory of a process grows with what it holds, and falls when that is collected', () => {
    const memory = processMemory();
    memory.collect();
    const before = memory.used();
    let held: Buffer | undefined = Buffer.alloc(50_000_000, 'x');
    assert.ok(memory.used() > before + 40_000_000 && held.length > 0);
    held = undefined;
    memory.collect();
    assert.ok(memory.used() < before + 25_000_000);
    assert.ok(availableMemory() > 0 && Number.isFinite(availableMemory()));
  });
});
