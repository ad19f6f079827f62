import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { HopspanError } from '../../../src/errors.ts';
import { waterfall } from '../../../src/exporter/console/waterfall.ts';
import { toOtlpJson } from '../../../src/exporter/otlp-json.ts';
import type { KernelRecord } from '../../../src/receiver/kernel-record.ts';
import { encodeEnd, encodeRecord, encodeStart, MAGIC } from '../../../src/recording/format.ts';
import {
  makeClock,
  makeHost,
  makeProxy,
  makeStream,
  processOfBytes,
  sideOfBytes,
} from '../../harness/kernel-records.ts';
import { createRandom } from '../../harness/random.ts';
import { readAll, spansOf, writeRecording } from '../../harness/recordings.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
const path = join(folder, 'damaged.hsrec');
const records = makeStream(3);
let whole = Buffer.alloc(0);
/** Where each message ends. */
const borders: number[] = [];

before(async () => {
  await writeRecording(path, records);
  whole = readFileSync(path);
  let at = encodeStart().length;
  borders.push(at);
  for (const record of records) {
    at += encodeRecord(record).length;
    borders.push(at);
  }
});

async function readBytes(bytes: Uint8Array): Promise<{ records: KernelRecord[]; message: string }> {
  writeFileSync(path, bytes);
  const { records: read, error } = await readAll(path);
  if (error === undefined) return { records: read, message: '' };
  assert.ok(error instanceof HopspanError, String(error));
  assert.equal(error.code, 'RECORDING_INVALID');
  assert.match(error.message, /^[^\n]+\.$/);
  return { records: read, message: error.message };
}

test('cut off at every byte: says where and how many records, and hands out what came before', async () => {
  for (let length = 0; length < whole.length; length++) {
    const { records: read, message } = await readBytes(whole.subarray(0, length));
    if (length < MAGIC.length) {
      assert.match(message, /does not begin as a recording/);
      continue;
    }
    const good = borders.filter((border) => border <= length);
    const count = Math.max(0, good.length - 1);
    assert.deepEqual(read, records.slice(0, count), `${length} bytes`);
    assert.match(message, new RegExp(`was cut off at byte ${good.at(-1) ?? MAGIC.length} and lacks its end`));
    if (count > 1) assert.match(message, new RegExp(`; the ${count} records before it are good\\.$`));
  }
  assert.deepEqual(await readBytes(whole), { records, message: '' });
});

test('one flipped bit: found, whatever it hit, and nothing but true records handed out', async () => {
  const random = createRandom(7);
  for (let n = 0; n < 600; n++) {
    const bytes = Buffer.from(whole);
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
    const { records: read, message } = await readBytes(bytes);
    const before = Math.max(0, borders.filter((border) => border <= at).length - 1);
    assert.deepEqual(read, records.slice(0, before), `byte ${at}`);
    assert.match(message, /damaged at byte|cut off at byte|does not begin/, `byte ${at}`);
  }
});

test('random bytes after a good beginning', async () => {
  const random = createRandom(8);
  for (let n = 0; n < 300; n++) {
    const length = Math.floor(random() * 4000);
    const noise = Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
    const { records: read } = await readBytes(Buffer.concat([whole.subarray(0, borders[4]), noise]));
    assert.deepEqual(read, records.slice(0, 4));
  }
});

describe('foreign files', () => {
  const files: [string, string | Buffer][] = [
    ['empty', ''],
    ['text', '{"resourceSpans":[]}\n'],
    ['gzip', Buffer.from('1f8b0800000000000003', 'hex')],
    ['ELF', Buffer.from('7f454c4602010100000000000000000003003e00', 'hex')],
    ['zeros', Buffer.alloc(100_000)],
  ];
  for (const [name, content] of files) {
    test(name, async () => {
      const { records: read, message } = await readBytes(Buffer.from(content));
      assert.match(message, /damaged\.hsrec does not begin as a recording does; give a file/);
      assert.deepEqual(read, []);
    });
  }

  test('a folder, and nothing', async () => {
    const folderError = (await readAll(folder)).error;
    assert.match(String(folderError), /cannot be read: it is a folder/);
    const nothing = (await readAll(join(folder, 'none'))).error;
    assert.ok(nothing instanceof HopspanError && nothing.exitCode === 2);
    assert.match(nothing.message, /none cannot be read: it does not exist; correct the path\.$/);
  });
});

/** A message with a right checksum, after its length. */
function message(body: Buffer): Buffer {
  const crc = Buffer.alloc(5);
  crc.writeUInt8(125);
  crc.writeUInt32LE(crc32(body), 1);
  assert.ok(body.length + crc.length < 128);
  return Buffer.concat([Buffer.of(body.length + crc.length), body, crc]);
}

describe('with right checksums', () => {
  const start = encodeStart();
  const record = encodeRecord(makeClock(1));
  const end = encodeEnd({ records: 1, dropped: 0 });
  const cases: [string, Buffer[], RegExp, number][] = [
    ['a newer format', [MAGIC, message(Buffer.from('0a0708021203392e31', 'hex'))], /format 2.*"9\.1"/, 0],
    ['no header', [MAGIC, record, end], /does not begin as a recording does/, 0],
    ['a second header', [start, record, start.subarray(MAGIC.length), end], /damaged at byte/, 1],
    ['records after the end', [start, record, end, record], /damaged at byte/, 1],
    ['fewer records than were written', [start, end], /cut off/, 0],
    ['a kind that nobody knows', [start, record, message(Buffer.from('7a00', 'hex')), end], /damaged/, 1],
    ['no kind', [start, record, message(Buffer.alloc(0)), end], /damaged/, 1],
    [
      'an address of 17 bytes',
      [start, message(Buffer.from(`3214aa0211${'01'.repeat(17)}`, 'hex'))],
      /damaged/,
      0,
    ],
    ['groups in groups', [start, message(Buffer.alloc(100, 0x83))], /damaged/, 0],
    ['a length of 4 GiB', [start, record, Buffer.from('ffffffff0f', 'hex')], /damaged/, 1],
    ['a length just above the limit', [start, record, Buffer.from('818004', 'hex')], /damaged/, 1],
    ['an empty message', [start, record, Buffer.alloc(1)], /damaged/, 1],
  ];
  for (const [name, parts, expected, count] of cases) {
    test(name, async () => {
      const { records: read, message: said } = await readBytes(Buffer.concat(parts));
      assert.match(said, expected);
      assert.equal(read.length, count);
    });
  }

  test('records of random bytes do not upset what comes after the reader', async () => {
    const random = createRandom(9);
    const word = (): number => (random() < 0.5 ? Math.floor(random() * 4) : Math.floor(random() * 256));
    const parts = [start];
    let count = 0;
    for (let n = 0; n < 2000; n++, count++) {
      const zeros = random();
      const fill = (): number => (random() < zeros ? 0 : word());
      const side = sideOfBytes(fill);
      side.connection %= 8;
      side.peer %= 8;
      side.role %= 3;
      const others = [
        makeHost({ seed: 'x' }),
        makeProxy({ tgid: side.tgid }),
        makeClock(side.synNs),
        processOfBytes(fill),
      ];
      const other = others[Math.floor(random() * 40)];
      parts.push(encodeRecord(other ?? side));
    }
    const { records: read, message: said } = await readBytes(
      Buffer.concat([...parts, encodeEnd({ records: count, dropped: 0 })]),
    );
    assert.equal(said, '');
    assert.equal(read.length, count);
    const spans = await spansOf(read);
    assert.ok(spans.length > 100);
    assert.equal(typeof toOtlpJson(spans), 'string');
    assert.ok(waterfall(spans, { width: 100, color: false }).length > 0);
  });
});
