import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { readRecording } from '../../../src/recording/read.ts';
import { createRecordingWriter } from '../../../src/recording/write.ts';
import { makeClock, makeHost, makeProxy, makeStream } from '../../harness/kernel-records.ts';
import { readAll } from '../../harness/recordings.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
const path = join(folder, 'written.hsrec');

test('a recording without records is whole; closing twice is one closing', async () => {
  const writer = await createRecordingWriter(path);
  await Promise.all([writer.close(), writer.close()]);
  assert.deepEqual(await readAll(path), { records: [] });
});

test('what stood in the file is gone', async () => {
  writeFileSync(path, 'x'.repeat(100_000));
  const writer = await createRecordingWriter(path);
  writer.write(makeClock(1));
  await writer.close();
  assert.deepEqual((await readAll(path)).records, [makeClock(1)]);
});

test('what the disk cannot take in time is dropped, counted, and said in the file', async () => {
  const writer = await createRecordingWriter(path, { queueBytes: 4096 });
  const records = makeStream(200);
  for (const record of records) writer.write(record);
  assert.ok(writer.busy());
  const { records: kept, dropped } = writer.stats();
  assert.ok(kept > 0 && dropped > 0);
  assert.equal(kept + dropped, records.length);
  await writer.close();
  writer.write(makeClock(1));
  assert.equal(writer.stats().dropped, dropped + 1);
  let told: unknown;
  let count = 0;
  for await (const _ of readRecording(path, (end) => (told = end))) count++;
  assert.equal(count, kept);
  assert.deepEqual(told, { records: kept, dropped });
});

test('a record longer than a reader takes is dropped', async () => {
  const writer = await createRecordingWriter(path);
  writer.write(makeHost());
  writer.write(makeProxy({ executablePath: 'x'.repeat(70_000) }));
  await writer.close();
  assert.deepEqual(writer.stats(), { records: 1, dropped: 1 });
  assert.deepEqual(await readAll(path), { records: [makeHost()] });
});

describe('a file that cannot be written', () => {
  for (const [where, reason] of [
    [join(folder, 'none', 'x'), /its folder .*none does not exist; create it\.$/],
    [folder, /it is a folder; add a file name\.$/],
  ] as const) {
    test(`at the start: ${reason.source}`, async () => {
      await assert.rejects(createRecordingWriter(where), {
        name: 'HopspanError',
        code: 'RECORDING_NOT_WRITTEN',
        message: reason,
      });
      assert.ok(!existsSync(join(folder, 'none')));
    });
  }

  test('later, on a full disk: said at once and at the end', async () => {
    const writer = await createRecordingWriter('/dev/full');
    writer.write(makeClock(1));
    const expected = { code: 'RECORDING_NOT_WRITTEN', message: /the disk is full; make room/ };
    await assert.rejects(writer.failed, expected);
    writer.write(makeClock(2));
    assert.deepEqual(writer.stats(), { records: 1, dropped: 1 });
    await assert.rejects(writer.close(), expected);
  });
});
