import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, describe, test } from 'node:test';
import {
  type ConsoleOptions,
  consoleColor,
  consoleWidth,
  createConsoleExporter,
} from '../../../src/exporter/console/console-exporter.ts';
import { waterfall } from '../../../src/exporter/console/waterfall.ts';
import { createExporter } from '../../../src/exporter/create.ts';
import { DEFAULT_OTLP_OPTIONS } from '../../../src/exporter/otlp/options.ts';
import { toOtlpJson } from '../../../src/exporter/otlp-json.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { makeExchange } from '../../harness/make-spans.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const WATERFALL: ConsoleOptions = { format: 'waterfall', color: 'never' };

/** A stream whose reader takes what it gets when the test lets it. */
function createStream(write: (text: string, done: (error?: Error) => void) => void) {
  return new Writable({
    decodeStrings: false,
    write: (chunk, _encoding, done) => write(String(chunk), done),
  });
}

function collect() {
  const chunks: string[] = [];
  const stream = createStream((text, done) => {
    chunks.push(text);
    done();
  });
  return { chunks, stream };
}

describe('formats', () => {
  test('waterfall, an empty line after each batch', async () => {
    const { chunks, stream } = collect();
    const exporter = createConsoleExporter('console', WATERFALL, { log: createLogLines(), stream });
    await exporter.start();
    exporter.export(makeExchange());
    exporter.export([]);
    await exporter.shutdown(1000);
    const width = consoleWidth(stream);
    assert.equal(chunks.join(''), `${waterfall(makeExchange(), { width, color: false }).join('\n')}\n\n`);
    assert.deepEqual(exporter.stats(), { name: 'console', accepted: 8, exported: 8, dropped: 0, waiting: 0 });
  });

  test('json, a batch a line', async () => {
    const { chunks, stream } = collect();
    const options = { format: 'json', color: 'always' } as const;
    const exporter = createConsoleExporter('console', options, { log: createLogLines(), stream });
    await exporter.start();
    exporter.export(makeExchange());
    exporter.export(makeExchange({ traceNumber: 1 }));
    await exporter.shutdown(1000);
    assert.deepEqual(chunks.join('').split('\n'), [
      toOtlpJson(makeExchange()),
      toOtlpJson(makeExchange({ traceNumber: 1 })),
      '',
    ]);
  });
});

describe('width and colour', () => {
  const terminal = Object.assign(collect().stream, { isTTY: true, columns: 57 });
  const pipe = collect().stream;

  test('COLUMNS, then the terminal, then 100', () => {
    assert.equal(consoleWidth(terminal, { COLUMNS: '33' }), 33);
    assert.equal(consoleWidth(terminal, { COLUMNS: 'wide' }), 57);
    assert.equal(consoleWidth(pipe, {}), 100);
  });

  test('colour on a terminal only, unless told', () => {
    assert.equal(consoleColor('auto', terminal, {}), true);
    assert.equal(consoleColor('auto', terminal, { NO_COLOR: '1' }), false);
    assert.equal(consoleColor('auto', pipe, {}), false);
    assert.equal(consoleColor('always', pipe, { NO_COLOR: '1' }), true);
    assert.equal(consoleColor('never', terminal, {}), false);
  });
});

describe('a reader that is', () => {
  test('slow costs spans, counted and said, not memory', async () => {
    const log = createLogLines();
    const exporter = createConsoleExporter('console', WATERFALL, { log, stream: createStream(() => {}) });
    await exporter.start();
    for (let n = 0; n < 3000; n++) exporter.export(makeExchange({ traceNumber: n }));
    const { waiting, dropped } = exporter.stats();
    assert.equal(waiting, 20_480);
    assert.equal(dropped, 3520);
    assert.match(log.lines[0] ?? '', /^warn Exporter console: the output is read too slowly/);
    await exporter.shutdown(10);
    assert.equal(exporter.stats().dropped, 24_000);
  });

  test('gone ends nothing but the output', async () => {
    const log = createLogLines();
    const stream = createStream((_text, done) => done(new Error('write EPIPE')));
    const exporter = createConsoleExporter('console', WATERFALL, { log, stream });
    await exporter.start();
    exporter.export(makeExchange());
    exporter.export(makeExchange());
    await exporter.shutdown(1000);
    assert.equal(exporter.stats().dropped, 16);
    assert.match(log.lines[0] ?? '', /cannot be written \(write EPIPE\)/);
  });
});

test('createExporter makes each type by its configuration', async () => {
  const folder = temporaryFolder(after);
  const deps = { log: createLogLines(), stdout: collect().stream };
  for (const config of [
    { type: 'otlp', name: 'otlp/a', ...DEFAULT_OTLP_OPTIONS },
    { type: 'console', name: 'console/b', ...WATERFALL },
    { type: 'file', name: 'file/c', path: join(folder, 'x.jsonl') },
  ] as const) {
    const exporter = createExporter(config, deps);
    assert.equal(exporter.stats().name, config.name);
    await exporter.start();
    await exporter.shutdown(1000);
  }
});
