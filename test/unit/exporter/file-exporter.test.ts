import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type AppendHandle, createFileExporter } from '../../../src/exporter/file/file-exporter.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { makeExchange } from '../../harness/make-spans.ts';
import { createManualClock } from '../../harness/manual-clock.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);

interface Line {
  readonly resourceSpans: { readonly scopeSpans: { readonly spans: { readonly spanId: string }[] }[] }[];
}

function spanIds(text: string): string[] {
  const lines = text.trimEnd().split('\n');
  return lines.flatMap((line) =>
    (JSON.parse(line) as Line).resourceSpans.flatMap((entry) =>
      entry.scopeSpans.flatMap((scope) => scope.spans.map((span) => span.spanId)),
    ),
  );
}

function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: no`), { code });
}

/** A file in memory whose writes the test decides about, one after the other. */
function createFakeFile() {
  const state = { text: '', closed: false };
  const plans: ((buffer: Buffer) => number)[] = [];
  const handle: AppendHandle = {
    async write(buffer) {
      const bytesWritten = plans.shift()?.(buffer) ?? buffer.length;
      state.text += buffer.subarray(0, bytesWritten).toString();
      return { bytesWritten };
    },
    async close() {
      state.closed = true;
    },
  };
  return { state, plans, handle };
}

describe('writing', () => {
  test('appends, a line a batch, and never truncates', async () => {
    const path = join(folder, 'spans.jsonl');
    for (const traceNumber of [0, 1]) {
      const exporter = createFileExporter('file', { path }, { log: createLogLines() });
      await exporter.start();
      exporter.export(makeExchange({ traceNumber }));
      await exporter.shutdown(10_000);
      await exporter.shutdown(10_000);
      assert.deepEqual(exporter.stats(), { name: 'file', accepted: 8, exported: 8, dropped: 0, waiting: 0 });
    }
    const text = readFileSync(path, 'utf8');
    assert.equal(text.split('\n').length, 3);
    assert.ok(text.endsWith('}\n'));
    assert.equal(new Set(spanIds(text)).size, 16);
  });

  test('everything that comes while a line is written goes into the next ones, in order', async () => {
    const path = join(folder, 'many.jsonl');
    const exporter = createFileExporter('file', { path }, { log: createLogLines() });
    await exporter.start();
    const batches = Array.from({ length: 300 }, (_, traceNumber) => makeExchange({ traceNumber }));
    for (const batch of batches) exporter.export(batch);
    await exporter.shutdown(10_000);
    const text = readFileSync(path, 'utf8');
    assert.deepEqual(
      spanIds(text),
      batches.flat().map((span) => span.spanId),
    );
    assert.ok(text.split('\n').length < 10);
  });

  test('spans handed over before the start are written after it', async () => {
    const path = join(folder, 'early.jsonl');
    const exporter = createFileExporter('file', { path }, { log: createLogLines() });
    exporter.export(makeExchange());
    await exporter.start();
    await exporter.shutdown(10_000);
    assert.equal(spanIds(readFileSync(path, 'utf8')).length, 8);
  });
});

describe('errors at the start', () => {
  writeFileSync(join(folder, 'plain'), '');
  mkdirSync(join(folder, 'folder'));
  for (const [path, reason] of [
    [join(folder, 'none', 'spans.jsonl'), 'its folder .*/none does not exist; create it'],
    [join(folder, 'folder'), 'it is a folder; add a file name'],
    [join(folder, 'plain', 'spans.jsonl'), '.*/plain is not a folder'],
  ] as const) {
    test(reason, async () => {
      const exporter = createFileExporter('file', { path }, { log: createLogLines() });
      await assert.rejects(exporter.start(), {
        name: 'HopspanError',
        code: 'EXPORTER_START_FAILED',
        message: new RegExp(reason),
      });
      assert.equal(existsSync(join(folder, 'none')), false);
    });
  }
});

describe('a disk that fails', () => {
  test('a full one (/dev/full): dropped, counted, said once', async () => {
    const log = createLogLines();
    const exporter = createFileExporter('file', { path: '/dev/full' }, { log, clock: createManualClock() });
    await exporter.start();
    for (let n = 0; n < 3; n++) exporter.export(makeExchange({ traceNumber: n }));
    await exporter.shutdown(10_000);
    assert.deepEqual(exporter.stats(), { name: 'file', accepted: 24, exported: 0, dropped: 24, waiting: 0 });
    assert.match(log.lines[0] ?? '', /^warn Exporter file: \/dev\/full cannot be written \(ENOSPC\)/);
    assert.match(log.lines.at(-1) ?? '', /24 dropped so far/);
    assert.ok(log.lines.length <= 2);
  });

  test('goes on when there is room again; a line cut short stands alone', async () => {
    const { state, plans, handle } = createFakeFile();
    const log = createLogLines();
    const exporter = createFileExporter('file', { path: 'x' }, { log, openFile: async () => handle });
    await exporter.start();
    plans.push(
      () => 10,
      () => {
        throw diskError('ENOSPC');
      },
    );
    exporter.export(makeExchange({ traceNumber: 0 }));
    exporter.export(makeExchange({ traceNumber: 1 }));
    await exporter.shutdown(10_000);
    const [fragment, whole, end] = state.text.split('\n');
    assert.equal(fragment?.length, 10);
    assert.equal(spanIds(whole ?? '').length, 8);
    assert.equal(end, '');
    assert.deepEqual(exporter.stats(), { name: 'file', accepted: 16, exported: 8, dropped: 8, waiting: 0 });
    assert.deepEqual(log.lines, [
      'warn Exporter file: x cannot be written (ENOSPC): 8 spans waiting, 8 dropped so far.',
      'info Exporter file: x can be written again, 8 dropped so far.',
    ]);
    assert.equal(state.closed, true);
  });

  test('one that hangs: memory is bounded, and shutdown ends in time', async () => {
    const log = createLogLines();
    const handle: AppendHandle = { write: () => new Promise(() => {}), close: () => new Promise(() => {}) };
    const exporter = createFileExporter('file', { path: 'x' }, { log, openFile: async () => handle });
    await exporter.start();
    for (let n = 0; n < 4000; n++) exporter.export(makeExchange({ traceNumber: n }));
    assert.equal(exporter.stats().waiting, 20_480);
    assert.equal(exporter.stats().dropped, 11_520);
    await exporter.shutdown(20);
    assert.equal(exporter.stats().waiting, 0);
    assert.equal(exporter.stats().dropped, 32_000);
    assert.match(log.lines[0] ?? '', /too slow for the queue of 20480 spans/);
    assert.match(log.lines.at(-1) ?? '', /did not take the last 20480 spans.*32000 dropped/);
  });
});
