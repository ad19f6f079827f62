import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createFileLook, onFileChange } from '../../../src/cli/file-changes.ts';
import { until } from '../../harness/process.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const EVERY_MS = 10;

/** Counts the changes of a file that `prepare` has made. */
function counted(t: { after(remove: () => void): void }, prepare: (folder: string) => string) {
  const folder = temporaryFolder((remove) => t.after(remove));
  const path = prepare(folder);
  const state = { changes: 0 };
  const end = onFileChange(path, () => state.changes++, EVERY_MS);
  t.after(end);
  const reaches = (changes: number) => until(`${changes} changes`, () => state.changes >= changes);
  return { folder, path, state, reaches };
}

const plain = (folder: string): string => {
  const path = join(folder, 'hopspan.yaml');
  writeFileSync(path, 'a');
  return path;
};

describe('a file is another one', () => {
  test('when it was written in place, with what length ever', async (t) => {
    const { path, state, reaches } = counted(t, plain);
    writeFileSync(path, 'b');
    await reaches(1);
    writeFileSync(path, '');
    await reaches(2);
    assert.equal(state.changes, 2);
  });

  test('when another one was renamed over it', async (t) => {
    const { folder, path, reaches } = counted(t, plain);
    writeFileSync(join(folder, 'new'), 'b');
    renameSync(join(folder, 'new'), path);
    await reaches(1);
  });

  test('when a link on its path leads elsewhere, as in a ConfigMap', async (t) => {
    const { folder, reaches } = counted(t, (folder) => {
      for (const version of ['1', '2']) {
        mkdirSync(join(folder, version));
        writeFileSync(join(folder, version, 'hopspan.yaml'), version);
      }
      symlinkSync('1', join(folder, '..data'));
      symlinkSync('..data/hopspan.yaml', join(folder, 'hopspan.yaml'));
      return join(folder, 'hopspan.yaml');
    });
    symlinkSync('2', join(folder, '..new'));
    renameSync(join(folder, '..new'), join(folder, '..data'));
    rmSync(join(folder, '1'), { recursive: true });
    await reaches(1);
  });

  test('when it is gone, and when it is there again', async (t) => {
    const { path, reaches } = counted(t, plain);
    rmSync(path);
    await reaches(1);
    writeFileSync(path, 'a');
    await reaches(2);
  });
});

test('writes in a row are one change, told when they are over', async (t) => {
  const path = plain(temporaryFolder((remove) => t.after(remove)));
  const look = createFileLook(path);
  assert.equal(await look(), false);
  for (let n = 0; n < 20; n++) {
    writeFileSync(path, 'x'.repeat(n));
    assert.equal(await look(), false, `${n}`);
  }
  assert.equal(await look(), true);
  assert.equal(await look(), false);
});

test('a file that is gone is told once', async (t) => {
  const folder = temporaryFolder((remove) => t.after(remove));
  const path = plain(folder);
  const look = createFileLook(path);
  renameSync(path, join(folder, 'away'));
  assert.equal(await look(), false);
  assert.equal(await look(), true);
  assert.equal(await look(), false);
});
