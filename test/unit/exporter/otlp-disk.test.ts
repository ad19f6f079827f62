import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Exporter } from '../../../src/exporter/exporter.ts';
import type { Batch } from '../../../src/exporter/otlp/batch.ts';
import {
  DEFAULT_OTLP_OPTIONS,
  DEFAULT_UNWRITTEN_SPANS,
  type OtlpOptions,
} from '../../../src/exporter/otlp/options.ts';
import { createOtlpExporter } from '../../../src/exporter/otlp/otlp-exporter.ts';
import type { StoredBatch } from '../../../src/exporter/otlp/queue-file.ts';
import type { SendResult } from '../../../src/exporter/otlp/send-result.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { makeExchange, makeResource } from '../../harness/make-spans.ts';
import { createManualClock } from '../../harness/manual-clock.ts';
import { createMemoryStore } from '../../harness/memory-store.ts';
import { startOtlpSink } from '../../harness/otlp-sink.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const resource = makeResource('edge');
/** 64 exchanges are a full batch. */
const BATCH = 512;

function exchanges(first: number, count: number): HopSpan[] {
  return Array.from({ length: count }, (_, n) => makeExchange({ resource, traceNumber: first + n })).flat();
}

function assertStats(exporter: Exporter, expected: Partial<ReturnType<Exporter['stats']>>): void {
  const stats = exporter.stats();
  assert.deepEqual({ ...stats, ...expected }, stats);
  assert.equal(stats.accepted, stats.exported + stats.dropped + stats.waiting);
}

const DOWN: SendResult = { outcome: 'retry', reason: 'nobody there', afterMs: 0, connected: false };
const TAKEN: SendResult = { outcome: 'taken', rejected: 0, message: '' };

/** An exporter with a disk and an endpoint that the test owns, on a clock that it owns, too. */
function create(
  rows = new Map<number, StoredBatch>(),
  options: Partial<OtlpOptions> = {},
  maxBytes = 2 ** 30,
) {
  const clock = createManualClock();
  const log = createLogLines();
  const store = createMemoryStore(rows);
  const state = { answer: DOWN, sent: [] as { id: number | undefined; spans: number; onDisk: boolean }[] };
  const exporter = createOtlpExporter(
    'otlp',
    {
      ...{ ...DEFAULT_OTLP_OPTIONS, disk: { directory: '/q', maxBytes } },
      ...{ retry: { ...DEFAULT_OTLP_OPTIONS.retry, maxElapsedMs: 0 }, ...options },
    },
    {
      ...{ log, clock, random: () => 0.5, openStore: () => store },
      connect: async () => ({
        async send({ id, count }: Batch) {
          state.sent.push({ id, spans: count, onDisk: id !== undefined && store.rows.has(id) });
          return state.answer;
        },
        renew() {},
        close() {},
      }),
    },
  );
  const settle = async () => {
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
  };
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      await settle();
      clock.advance(Math.min(100, left));
    }
    await settle();
  };
  return { exporter, clock, log, store, state, settle, pass };
}

test('a batch is on disk before it is sent, and removed when it was taken', async () => {
  const { exporter, state, store, pass, settle } = create();
  await exporter.start();
  state.answer = TAKEN;
  exporter.export(exchanges(0, 64));
  exporter.export(exchanges(64, 1));
  await settle();
  assert.deepEqual(state.sent, [{ id: 1, spans: BATCH, onDisk: true }]);
  await pass(300);
  assert.deepEqual(state.sent[1], { id: 2, spans: 8, onDisk: true });
  assert.equal(store.rows.size, 0);
  assertStats(exporter, { accepted: 520, exported: 520, stored: 0 });
});

test('while the endpoint is down, all goes to disk within 200 ms, and memory does not grow', async () => {
  const { exporter, store, pass, state } = create();
  await exporter.start();
  for (let n = 0; n < 100; n++) {
    exporter.export(exchanges(n * 65, 65));
    await pass(200);
  }
  assertStats(exporter, { accepted: 52_000, waiting: 52_000, stored: 52_000, dropped: 0 });
  assert.ok(exporter.hasRoom(20_000));
  const onDisk = [...store.rows.values()].reduce((sum, { spans }) => sum + spans, 0);
  assert.equal(onDisk, 52_000);
  assert.equal(store.counts.reads, 0, 'nothing is read before it can be sent');
  state.answer = TAKEN;
  await pass(60_000);
  assertStats(exporter, { exported: 52_000, stored: 0 });
  const ids = state.sent.slice(-100).map(({ id }) => id ?? 0);
  assert.deepEqual(
    ids,
    [...ids].sort((a, b) => a - b),
    'oldest first',
  );
});

test('what an earlier run left is sent first, and counted', async () => {
  const rows = new Map<number, StoredBatch>();
  const first = create(rows);
  await first.exporter.start();
  first.exporter.export(exchanges(0, 64 * 20));
  await first.settle();
  // It is gone here, as by kill -9.
  const second = create(new Map(rows));
  second.state.answer = TAKEN;
  await second.exporter.start();
  assertStats(second.exporter, { accepted: 20 * BATCH });
  assert.match(second.log.lines[0] ?? '', /^info .*: 10240 spans of an earlier run wait on disk\.$/);
  second.exporter.export(exchanges(0, 64));
  await second.settle();
  assert.deepEqual(
    second.state.sent.map(({ id }) => id),
    Array.from({ length: 21 }, (_, n) => n + 1),
  );
  assertStats(second.exporter, { exported: 21 * BATCH, stored: 0 });
  assert.equal(second.store.rows.size, 0);
});

test('a full disk share drops the newest, counted and said; the oldest are kept', async () => {
  const { exporter, log, state, pass, settle, store } = create(new Map(), {}, 500_000);
  await exporter.start();
  for (let n = 0; n < 20; n++) {
    exporter.export(exchanges(n * 64, 64));
    await settle();
  }
  const { stored = 0, dropped } = exporter.stats();
  assert.ok(dropped > 0 && stored > 0);
  assert.ok(!exporter.hasRoom(1));
  const bytes = [...store.rows.values()].reduce((sum, row) => sum + row.bytes.length, 0);
  assert.ok(bytes < 500_000 + 200_000, `${bytes} bytes`);
  assert.match(
    log.lines.join('\n'),
    /is too slow for the 500000 bytes of its queue on disk: .* dropped so far/,
  );
  assertStats(exporter, { accepted: 20 * BATCH, dropped: 20 * BATCH - stored });
  state.answer = TAKEN;
  await pass(5000);
  assert.equal(state.sent[0]?.id, 1);
  assert.ok(exporter.hasRoom(1));
  assertStats(exporter, { exported: stored, stored: 0 });
});

test('a disk that stands still for five seconds of 5,000 exchanges of 7 spans each loses nothing', async () => {
  const { exporter, state, store, pass } = create(new Map(), { queueSize: DEFAULT_UNWRITTEN_SPANS });
  await exporter.start();
  state.answer = TAKEN;
  store.hang();
  const spans = exchanges(0, 64);
  const times = Math.floor((5 * 5000 * 7) / spans.length);
  for (let n = 0; n < times; n++) exporter.export(spans);
  assertStats(exporter, {
    accepted: times * spans.length,
    waiting: times * spans.length,
    dropped: 0,
    stored: 0,
  });
  store.resume();
  await pass(5000);
  assertStats(exporter, { exported: times * spans.length, stored: 0, dropped: 0 });
});

describe('a disk that fails', () => {
  test('leaves a queue in memory that is bounded, and is used again when it can be', async () => {
    const { exporter, log, state, store, pass, settle } = create(new Map(), { queueSize: 4 * BATCH });
    await exporter.start();
    store.failure = 'database or disk is full';
    for (let n = 0; n < 6; n++) {
      exporter.export(exchanges(n * 64, 64));
      await settle();
    }
    assertStats(exporter, { accepted: 6 * BATCH, waiting: 4 * BATCH, dropped: 2 * BATCH, stored: 0 });
    assert.match(log.lines[0] ?? '', /has a queue on disk that fails \(database or disk is full\)/);
    store.failure = undefined;
    state.answer = TAKEN;
    await pass(5000);
    exporter.export(exchanges(0, 64));
    await settle();
    assertStats(exporter, { exported: 5 * BATCH, dropped: 2 * BATCH });
    assert.match(log.lines.join('\n'), /otlp\.queue can be written again/);
  });

  test('what waits in memory is written as soon as the disk takes something', async () => {
    const { exporter, store, settle } = create();
    await exporter.start();
    store.failure = 'database or disk is full';
    exporter.export(exchanges(0, 128));
    await settle();
    store.failure = undefined;
    exporter.export(exchanges(128, 64));
    await settle();
    const { stored = 0 } = exporter.stats();
    // One that was under way is not among those that wait.
    assert.ok(stored >= 2 * BATCH, `${stored} on disk`);
  });

  test('batches that cannot be read are lost, counted, and those behind them are not', async () => {
    const rows = new Map<number, StoredBatch>();
    const first = create(rows);
    await first.exporter.start();
    first.exporter.export(exchanges(0, 64 * 10));
    await first.settle();
    const second = create(rows);
    second.store.damaged.add(2).add(10);
    second.state.answer = TAKEN;
    second.store.hang();
    await second.exporter.start();
    for (const id of [5, 6]) second.store.forget(id);
    second.store.resume();
    await second.settle();
    assertStats(second.exporter, {
      accepted: 10 * BATCH,
      exported: 6 * BATCH,
      dropped: 4 * BATCH,
      stored: 0,
    });
    assert.match(second.log.lines.join('\n'), /misses spans that cannot be read from .*otlp\.queue any more/);
    assert.equal(second.store.rows.size, 0);
  });

  test('what cannot be removed is sent no second time in this run', async () => {
    const { exporter, state, store, pass } = create();
    await exporter.start();
    state.answer = TAKEN;
    exporter.export(exchanges(0, 64));
    const stop = setInterval(() => {
      if (state.sent.length > 0) store.failure = 'database or disk is full';
    }, 0);
    await pass(1000);
    clearInterval(stop);
    assert.equal(state.sent.length, 1);
    assertStats(exporter, { exported: BATCH, waiting: 0 });
  });
});

describe('shutdown', () => {
  test('an endpoint that is down: what waits is put on disk, at once', async () => {
    const { exporter, store, settle, log, clock } = create();
    await exporter.start();
    exporter.export(exchanges(0, 64));
    await settle();
    exporter.export(exchanges(64, 1));
    await exporter.shutdown(3500);
    assert.equal(clock.now(), 0);
    assertStats(exporter, { waiting: 520, stored: 520, dropped: 0 });
    assert.equal(store.rows.size, 2);
    assert.ok(store.counts.closed);
    assert.match(log.lines.at(-1) ?? '', /^info .*520 spans stay on disk for the next run\.$/);
    assert.equal(clock.armed, 0);
  });

  test('an endpoint that answers gets all of it', async () => {
    const { exporter, store, state } = create();
    await exporter.start();
    state.answer = TAKEN;
    exporter.export(exchanges(0, 100));
    await exporter.shutdown(3500);
    assertStats(exporter, { exported: 800, waiting: 0, dropped: 0 });
    assert.equal(store.rows.size, 0);
  });

  test('a disk that hangs holds nobody up', async () => {
    const { exporter, store, settle, pass } = create();
    await exporter.start();
    store.hang();
    exporter.export(exchanges(0, 64));
    await settle();
    const ended = exporter.shutdown(1000);
    await pass(2000);
    await ended;
    assertStats(exporter, { dropped: BATCH, waiting: 0 });
  });

  test('a disk that is slow lets go of the queue before the next exporter gets it', async () => {
    const { exporter, store, settle, pass } = create();
    await exporter.start();
    exporter.export(exchanges(0, 64));
    await settle();
    store.hang();
    let ended = false;
    const shutdown = exporter.shutdown(1000, { sameQueue: true, adopt() {} }).then(() => {
      ended = true;
    });
    await pass(20_000);
    assert.ok(!ended && !store.counts.closed);
    store.resume();
    await shutdown;
    assert.ok(store.counts.closed);
  });

  test('before the start', async () => {
    const { exporter } = create();
    await exporter.shutdown(0);
  });
});

describe('a real disk', () => {
  const folder = temporaryFolder(after);
  const start = async (endpoint: string, directory: string, name = 'otlp/a') => {
    const log = createLogLines();
    const retry = { enabled: true, initialIntervalMs: 5, maxIntervalMs: 20, maxElapsedMs: 0 };
    const exporter = createOtlpExporter(
      name,
      { ...DEFAULT_OTLP_OPTIONS, endpoint, retry, disk: { directory, maxBytes: 2 ** 28 } },
      { log },
    );
    await exporter.start();
    return { exporter, log };
  };
  const until = async (ready: () => boolean) => {
    while (!ready()) await new Promise((resolve) => setTimeout(resolve, 2));
  };

  test('from one run to the next', async (t) => {
    const gone = await startOtlpSink();
    await gone.stop();
    const first = await start(gone.endpoint, join(folder, 'next'));
    first.exporter.export(exchanges(0, 1000));
    await until(() => first.exporter.stats().stored === 7680);
    await first.exporter.shutdown(3500);
    assertStats(first.exporter, { waiting: 8000, stored: 8000, dropped: 0 });
    const sink = await startOtlpSink({ port: gone.port });
    t.after(() => sink.stop());
    const second = await start(sink.endpoint, join(folder, 'next'));
    await sink.waitForSpans(8000);
    await second.exporter.shutdown(3500);
    assert.equal(new Set(sink.received().map(({ spanId }) => spanId)).size, 8000);
    assert.equal(sink.received().length, 8000);
    const third = await start(sink.endpoint, join(folder, 'next'));
    assertStats(third.exporter, { accepted: 0, stored: 0 });
    await third.exporter.shutdown(3500);
  });

  test('two on one directory: refused; of two exporters each has its file', async () => {
    const directory = join(folder, 'shared');
    const first = await start('http://127.0.0.1:1', directory);
    await assert.rejects(start('http://127.0.0.1:1', directory), {
      code: 'EXPORTER_START_FAILED',
      message: `The queue ${directory}/otlp%2Fa.queue cannot be used: another hopspan has it; give each a directory of its own.`,
    });
    const other = await start('http://127.0.0.1:1', directory, 'otlphttp/b');
    await Promise.all([first.exporter.shutdown(0), other.exporter.shutdown(0)]);
  });

  test('a directory that cannot be one is told at the start', async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'file'), '');
    await assert.rejects(start('http://127.0.0.1:1', join(folder, 'file')), {
      code: 'EXPORTER_START_FAILED',
      message:
        /^The queue .*\/file\/otlp%2Fa\.queue cannot be used: .*; correct sending_queue\.directory or its permissions\.$/,
    });
  });

  test('a damaged file is said, and what is good of it is sent', async (t) => {
    const directory = join(folder, 'damaged');
    mkdirSync(directory);
    writeFileSync(join(directory, 'otlp%2Fa.queue'), 'x'.repeat(10_000));
    const sink = await startOtlpSink();
    t.after(() => sink.stop());
    const { exporter, log } = await start(sink.endpoint, directory);
    assert.match(log.lines[0] ?? '', /otlp%2Fa\.queue was damaged; .* is kept as .*\.damaged\.$/);
    exporter.export(exchanges(0, 10));
    await sink.waitForSpans(80);
    await exporter.shutdown(1000);
  });
});
