import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { createOutput } from '../../../src/cli/output.ts';
import { createConsoleExporter } from '../../../src/exporter/console/console-exporter.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { makeExchange } from '../../harness/make-spans.ts';

function brokenStream(code: string): Writable {
  return new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(`write ${code}`), { code })),
  });
}

/** A stream that a terminal could stand behind; `createOutput` asks for no more. */
function outputTo(stream: Writable) {
  return createOutput(stream as unknown as NodeJS.WriteStream);
}

describe('output', () => {
  test('a reader who left is no error, and ends it', async () => {
    const output = outputTo(brokenStream('EPIPE'));
    const errors: unknown[] = [];
    output.on('error', (error) => errors.push(error));
    const written = new Promise((resolve) => output.write('line\n', resolve));
    await output.closed;
    assert.equal(await written, undefined);
    assert.equal(await new Promise((resolve) => output.write('more\n', resolve)), undefined);
    assert.deepEqual(errors, []);
  });

  test('another error stays one', async () => {
    const output = outputTo(brokenStream('ENOSPC'));
    const told = new Promise((resolve) => output.on('error', resolve));
    const written = await new Promise((resolve) => output.write('line\n', resolve));
    assert.ok(written instanceof Error);
    assert.equal(await told, written);
    assert.equal(await Promise.race([output.closed.then(() => 'closed'), Promise.resolve('open')]), 'open');
  });

  test('the console exporter says nothing about a reader who left', async () => {
    const output = outputTo(brokenStream('EPIPE'));
    const log = createLogLines();
    const exporter = createConsoleExporter(
      'console',
      { format: 'waterfall', color: 'auto' },
      { log, stream: output },
    );
    await exporter.start();
    exporter.export(makeExchange());
    await output.closed;
    await exporter.shutdown(1000);
    assert.deepEqual(log.lines, []);
  });

  test('what the stream is stays visible', () => {
    const stream = Object.assign(new Writable(), { isTTY: true, columns: 77 });
    assert.equal(outputTo(stream).isTTY, true);
    assert.equal(outputTo(stream).columns, 77);
    assert.equal(outputTo(new Writable()).isTTY, false);
  });
});
