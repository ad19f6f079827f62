import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { createBatchStore } from '../../../src/exporter/otlp/batch-store.ts';
import { type Contents, isInUse, QueueFile } from '../../../src/exporter/otlp/queue-file.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
let files = 0;
const newPath = () => join(folder, 'made', String(files++), 'otlp.queue');

/** Bytes that say which batch they are. */
function bytesOf(id: number, length = 20_000): Uint8Array {
  return new Uint8Array(length).fill(id % 251).fill(id >> 8, 0, 1);
}

function fill(file: QueueFile, from: number, to: number): void {
  for (let id = from; id <= to; id++) file.put(id, id % 7, bytesOf(id));
}

/** Everything in it, each batch checked. */
function idsIn(file: QueueFile): { ids: number[]; damaged: number[] } {
  const found = { ids: [] as number[], damaged: [] as number[] };
  for (let last = 0; ; ) {
    const { batches, damaged, lastId } = file.readAfter(last, 3);
    for (const { id, spans, bytes } of batches) {
      assert.deepEqual([spans, Buffer.from(bytes)], [id % 7, Buffer.from(bytesOf(id))]);
      found.ids.push(id);
    }
    found.damaged.push(...damaged.map(({ id }) => id));
    if (lastId === undefined) return found;
    last = lastId;
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

function reopen(path: string, look: (file: QueueFile, contents: Contents) => void): void {
  const file = new QueueFile(path);
  try {
    look(file, file.contents);
  } finally {
    file.close();
  }
}

test('what was put is there after the next start, in order, less what was removed', () => {
  const path = newPath();
  const file = new QueueFile(path);
  assert.deepEqual(file.contents, { spans: 0, bytes: 0, lastId: 0 });
  fill(file, 1, 20);
  for (const id of [3, 1, 2, 20]) file.remove(id);
  file.close();
  reopen(path, (again, contents) => {
    assert.deepEqual(idsIn(again), { ids: range(4, 19), damaged: [] });
    const spans = range(4, 19).reduce((sum, id) => sum + (id % 7), 0);
    assert.deepEqual(contents, { spans, bytes: 16 * 20_000, lastId: 19 });
  });
});

test('the file is for its owner only', () => {
  const path = newPath();
  reopen(path, (file) => {
    fill(file, 1, 1);
    for (const name of [path, `${path}-wal`]) assert.equal(statSync(name).mode & 0o777, 0o600, name);
  });
});

test('a second one on the same file is refused, and the first goes on', () => {
  const path = newPath();
  const first = new QueueFile(path);
  fill(first, 1, 2);
  assert.throws(
    () => new QueueFile(path),
    (error) => isInUse(error),
  );
  fill(first, 3, 3);
  assert.deepEqual(idsIn(first).ids, [1, 2, 3]);
  first.close();
});

test("another program's database is left alone", () => {
  const path = newPath();
  new QueueFile(path).close();
  const other = new DatabaseSync(path);
  other.exec('PRAGMA application_id = 7');
  other.close();
  assert.throws(() => new QueueFile(path), /database of another program/);
});

test('a large file is given back once it is empty', () => {
  const path = newPath();
  const file = new QueueFile(path);
  for (let id = 1; id <= 20; id++) file.put(id, 1, new Uint8Array(1024 * 1024));
  file.sync();
  assert.ok(statSync(path).size > 20 * 1024 * 1024);
  for (const id of range(1, 20)) file.remove(id);
  file.sync();
  assert.ok(statSync(path).size < 100_000, `${statSync(path).size} bytes`);
  file.close();
});

/** Overwrites a part of a closed file. */
function spoil(path: string, from: number, length: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(length, 0xa5), 0, length, from);
  closeSync(fd);
}

test('bytes that changed on the disk are found, and cost their batch only', () => {
  const path = newPath();
  const file = new QueueFile(path);
  fill(file, 1, 5);
  file.close();
  const at = readFileSync(path).indexOf(Buffer.from(bytesOf(3).subarray(1, 3000)));
  spoil(path, at + 1000, 1);
  reopen(path, (again) => assert.deepEqual(idsIn(again), { ids: [1, 2, 4, 5], damaged: [3] }));
});

for (const [what, from] of [
  ['a part in the middle', 0.5],
  ['a part at the front', 0.1],
  ['a part near the end', 0.9],
] as const) {
  test(`${what} that is garbage costs what was in it; the damaged file is kept`, () => {
    const path = newPath();
    const file = new QueueFile(path);
    fill(file, 1, 200);
    file.close();
    const { size } = statSync(path);
    spoil(path, Math.floor((size * from) / 4096) * 4096, 4096 * 12);
    reopen(path, (again, { damagedFile, lastId }) => {
      const { ids, damaged } = idsIn(again);
      assert.ok(ids.length + damaged.length >= 195, `${ids.length} of 200 batches are left`);
      assert.ok(ids.length < 200);
      if (damagedFile !== undefined) assert.equal(statSync(damagedFile).size, size);
      fill(again, lastId + 1, lastId + 1);
    });
  });
}

test('a file that is no queue at all is put aside', () => {
  const path = newPath();
  new QueueFile(path).close();
  writeFileSync(path, 'not a database, '.repeat(1000));
  reopen(path, (file, contents) => {
    assert.deepEqual(contents, { spans: 0, bytes: 0, lastId: 0, damagedFile: `${path}.damaged` });
    fill(file, 1, 1);
  });
  assert.match(readFileSync(`${path}.damaged`, 'utf8'), /^not a database/);
});

test('a log that was torn in the middle of a write costs what was behind the tear', () => {
  const path = newPath();
  const file = new QueueFile(path);
  fill(file, 1, 10);
  // As after a crash: the log is not yet in the file.
  const [main, log] = [readFileSync(path), readFileSync(`${path}-wal`)];
  file.close();
  for (const cut of [0, 1, 100, 4000, 20_000, 60_000, log.length - 1]) {
    const torn = newPath();
    new QueueFile(torn).close();
    writeFileSync(torn, main);
    writeFileSync(`${torn}-wal`, log.subarray(0, log.length - cut));
    reopen(torn, (again, { damagedFile }) => {
      assert.equal(damagedFile, undefined);
      const { ids } = idsIn(again);
      assert.deepEqual(ids, range(1, ids.length));
      assert.ok(ids.length >= 10 - 1 - Math.ceil(cut / 20_000), `${ids.length} left of 10, ${cut} bytes cut`);
    });
  }
});

test('a directory that cannot be made says why', () => {
  writeFileSync(join(folder, 'plain'), '');
  assert.throws(() => new QueueFile(join(folder, 'plain', 'q', 'x.queue')), /ENOTDIR/);
  assert.equal(existsSync(join(folder, 'plain', 'q')), false);
});

const MODULE = new URL('../../../src/exporter/otlp/queue-file.ts', import.meta.url).href;
/** Puts batches and tells the id of each when it is put; removes every third one. */
const WRITER = `import { QueueFile } from '${MODULE}';
import { writeSync } from 'node:fs';
const file = new QueueFile(process.argv[1]);
for (let id = file.contents.lastId + 1; ; id++) {
  file.put(id, id % 7, new Uint8Array(20_000).fill(id % 251).fill(id >> 8, 0, 1));
  writeSync(1, id + '\\n');
  if (id % 3 === 0) file.remove(id - 2);
  if (id % 50 === 0) file.sync();
}`;

test('kill -9 at any time: what was put is there, five times over', async () => {
  const path = newPath();
  let last = 0;
  for (let round = 1; round <= 5; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      said += chunk;
      if (said.split('\n').length > 97 * round) child.kill('SIGKILL');
    }
    const told = Number(said.trimEnd().split('\n').at(-1));
    assert.ok(told > last);
    reopen(path, (file, { lastId, damagedFile }) => {
      assert.equal(damagedFile, undefined);
      // The one in the writing may be there or not.
      assert.ok(lastId === told || lastId === told + 1, `${lastId} after ${told}`);
      const { ids, damaged } = idsIn(file);
      assert.deepEqual(damaged, []);
      const there = new Set(ids);
      for (let id = 1; id < told; id++) assert.ok(there.has(id) || id % 3 === 1, `batch ${id}`);
      // A kill may have come between a batch and a removal.
      assert.ok(ids.filter((id) => id % 3 === 1).length <= round + 1);
    });
    last = told;
  }
});

test('a full disk refuses a batch and keeps the others; with room again it goes on', (t) => {
  const disk = join(folder, 'full');
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    t.skip('this user may not mount a tmpfs');
    return;
  }
  try {
    const path = join(disk, 'otlp.queue');
    const file = new QueueFile(path);
    let id = 1;
    assert.throws(() => {
      for (; id < 100; id++) fill(file, id, id);
    }, /full/);
    const stored = id - 1;
    assert.ok(stored > 10, `${stored} batches of 20 kB on 1 MB`);
    assert.deepEqual(idsIn(file).ids, range(1, stored));
    const tryAll = (ids: number[]) => {
      for (const each of ids) {
        try {
          file.remove(each);
          file.sync();
        } catch (error) {
          assert.match(String(error), /full/);
        }
      }
    };
    tryAll(range(1, stored));
    fill(file, 200, 205);
    assert.deepEqual(idsIn(file).ids, range(200, 205));
    file.close();
    reopen(path, (again) => assert.deepEqual(idsIn(again).ids, range(200, 205)));
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

test('damage that comes while it runs is said, and costs what was in it', async () => {
  const path = newPath();
  const file = new QueueFile(path);
  fill(file, 1, 300);
  file.close();
  const said: string[] = [];
  const store = createBatchStore(path, (damagedFile) => said.push(damagedFile));
  assert.equal((await store.open()).lastId, 300);
  const { size } = statSync(path);
  spoil(path, Math.floor((size * 0.5) / 4096) * 4096, 4096 * 40);
  const ids: number[] = [];
  for (let last = 0; ; ) {
    const { batches, lastId } = await store.readAfter(last, 4);
    for (const { id, bytes } of batches) {
      assert.deepEqual(Buffer.from(bytes), Buffer.from(bytesOf(id)));
      ids.push(id);
    }
    if (lastId === undefined) break;
    last = lastId;
  }
  assert.ok(ids.length >= 280 && ids.length < 300, `${ids.length} of 300`);
  assert.deepEqual(ids.slice(-100), range(201, 300));
  assert.deepEqual(said, [`${path}.damaged`]);
  await store.put(301, 1, new Uint8Array([1, 2, 3]));
  await store.close();
  reopen(path, ({ contents }) => assert.equal(contents.lastId, 301));
});
