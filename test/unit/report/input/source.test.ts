import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { HopspanError } from '../../../../src/errors.ts';
import { toOtlpJson } from '../../../../src/exporter/otlp-json.ts';
import { type InputReport, openInput } from '../../../../src/report/input/source.ts';
import { fixturePaths } from '../../../harness/fixtures.ts';
import { makeExchange } from '../../../harness/make-spans.ts';
import { temporaryFolder } from '../../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
const { recording } = fixturePaths('envoy-echo');

async function read(path: string): Promise<{ report: InputReport; spans: number }> {
  let spans = 0;
  const input = await openInput(path, { phaseFloorNs: 0, resourceAttributes: {} });
  const report = await input.read((batch) => {
    spans += batch.length;
  });
  return { report, spans };
}

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function refused(path: string): Promise<string> {
  const error = await read(path).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof HopspanError, String(error));
  assert.match(error.message, /^[^\n]+\.$/);
  return error.message;
}

describe('what a report is made of', () => {
  test('a recording, however it is called', async () => {
    const { report, spans } = await read(file('spans.jsonl', readFileSync(recording)));
    assert.deepEqual([report.kind, report.dropped, report.cut], ['recording', 0, undefined]);
    assert.ok(spans > 0 && report.read > 0);
  });

  test('a recording that was cut off: what is there, and where it ends', async () => {
    const whole = readFileSync(recording);
    const { report, spans } = await read(file('cut', whole.subarray(0, whole.length / 2)));
    assert.match(report.cut ?? '', /was cut off at byte \d+/);
    assert.ok(spans > 0);
  });

  test('lines of spans; broken ones are counted', async () => {
    const line = toOtlpJson(makeExchange());
    const lines = [
      line,
      line.slice(0, 300),
      '',
      'not JSON',
      '{"resourceSpans":7}',
      line.replace('"spanId":"', '"spanId":"x'),
      line,
    ];
    const { report, spans } = await read(file('spans', lines.join('\n')));
    assert.deepEqual(
      [report.kind, report.read, report.brokenLines, report.brokenSpans, spans],
      ['spans', 3, 3, 1, 23],
    );
  });

  test('anything else is refused, in one sentence', async () => {
    assert.match(await refused(file('empty', '')), /empty is empty; give what "hopspan record"/);
    assert.match(await refused(file('text', 'hello\nworld\n')), /neither a recording nor spans/);
    assert.match(await refused(file('json', '{"logs":[]}')), /neither a recording nor spans/);
    assert.match(
      await refused(file('png', Buffer.from([0x89, 0x50, 0, 0, 1]))),
      /neither a recording nor spans/,
    );
    assert.match(
      await refused(join(folder, 'none')),
      /none cannot be read: it does not exist; correct the path\.$/,
    );
    assert.match(await refused(folder), /not a regular file|it is a folder/);
    assert.match(
      await refused('/dev/null'),
      /\/dev\/null is not a regular file, and the input is read twice/,
    );
    assert.match(
      await refused(file('magic', readFileSync(recording).subarray(0, 12))),
      /was cut off|damaged/,
    );
  });
});
