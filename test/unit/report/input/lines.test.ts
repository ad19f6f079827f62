import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLines } from '../../../../src/report/input/lines.ts';

/** A file that hands out so many bytes a read. */
function fileOf(text: string, bytes: number): Parameters<typeof readLines>[0] {
  const content = Buffer.from(text);
  const read = async (buffer: Buffer, offset: number, length: number, position: number): Promise<object> => ({
    bytesRead: content.copy(buffer, offset, position, position + Math.min(length, bytes)),
    buffer,
  });
  return { read } as unknown as Parameters<typeof readLines>[0];
}

async function linesOf(text: string, bytes: number, limit?: number): Promise<(string | undefined)[]> {
  const lines: (string | undefined)[] = [];
  for await (const line of readLines(fileOf(text, bytes), limit)) lines.push(line);
  return lines;
}

test('lines, wherever the reads end', async () => {
  const text = 'one\n\nthrée\nlast';
  for (let bytes = 1; bytes < 20; bytes++) assert.deepEqual(await linesOf(text, bytes), text.split('\n'));
});

test('a line that is too long is undefined, and those around it are whole', async () => {
  for (const bytes of [1, 3, 1000])
    assert.deepEqual(await linesOf(`ab\n${'x'.repeat(50)}\ncd\n${'y'.repeat(50)}`, bytes, 10), [
      ...['ab', undefined, 'cd', undefined],
    ]);
});
