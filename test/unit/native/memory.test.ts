import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { HopspanError } from '../../../src/errors.ts';
import { wallClockNs } from '../../../src/native/clock.ts';
import { closeDescriptor, mapShared, openDirectory, PAGE_SIZE } from '../../../src/native/memory.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);

describe('mapShared', () => {
  const path = join(folder, 'mapped');
  const fd = openSync(path, 'w+');
  ftruncateSync(fd, 2 * PAGE_SIZE);
  after(() => closeSync(fd));

  test('is the memory itself, from the offset on, both ways', () => {
    const mapping = mapShared(fd, PAGE_SIZE, PAGE_SIZE, true);
    const bytes = new Uint8Array(mapping.buffer);
    writeSync(fd, Buffer.from([42]), 0, 1, PAGE_SIZE + 7);
    assert.equal(bytes[7], 42);
    bytes[8] = 43;
    assert.equal(readFileSync(path)[PAGE_SIZE + 8], 43);
    mapping.unmap();
    mapping.unmap(); // may be called twice
  });

  test('what cannot be mapped is told with the errno and what to do', () => {
    assert.throws(
      () => mapShared(-1, PAGE_SIZE, 0, false),
      (error) =>
        error instanceof HopspanError &&
        error.code === 'BPF_LOAD_FAILED' &&
        /EBADF.*max_connections/.test(error.message),
    );
  });
});

describe('openDirectory', () => {
  test('gives a descriptor, or -1', () => {
    const fd = openDirectory(folder);
    assert.ok(fd >= 0);
    closeDescriptor(fd);
    assert.equal(openDirectory(join(folder, 'none')), -1);
    assert.equal(openDirectory(join(folder, 'mapped')), -1);
  });
});

test('wallClockNs() is the time of day', () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const now = wallClockNs();
  const afterwards = BigInt(Date.now() + 1) * 1_000_000n;
  assert.ok(now >= before && now <= afterwards);
});
