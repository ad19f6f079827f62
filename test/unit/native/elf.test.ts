import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { functionOffset } from '../../../src/native/elf.ts';
import { cLibraryOf } from '../../../src/receiver/turns.ts';
import { createRandom } from '../../harness/random.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
const libc = cLibraryOf(process.pid)?.path ?? '';

/** As LLVM reads it: the symbol's address, taken into the file by the segment that holds it. */
function truth(path: string, symbol: string): number | undefined {
  const run = (...args: string[]): string[] =>
    execFileSync('llvm-readelf', ['-W', ...args, path], { encoding: 'utf8' }).split('\n');
  const fields = run('--dyn-syms')
    .map((line) => line.trim().split(/\s+/))
    .find(([, , , type, , , , name]) => type === 'FUNC' && name?.split('@')[0] === symbol);
  const address = Number(`0x${fields?.[1]}`);
  for (const line of run('--segments')) {
    const [type, offset, start, , size] = line.trim().split(/\s+/);
    const begin = Number(start);
    if (type === 'LOAD' && address >= begin && address < begin + Number(size))
      return address - begin + Number(offset);
  }
  return undefined;
}

describe('the place of a function in a file', () => {
  for (const symbol of ['epoll_wait', 'epoll_pwait', 'malloc']) {
    test(`${symbol} of the C library is where llvm-readelf finds it`, () => {
      assert.equal(functionOffset(libc, symbol), truth(libc, symbol));
    });
  }

  test('is unknown for a function that is not there, also for the beginning of a name', () => {
    assert.equal(functionOffset(libc, 'epoll_wai'), undefined);
    assert.equal(functionOffset(libc, ''), undefined);
  });

  test('is unknown for what is no such file', () => {
    for (const path of ['/', '/dev/zero', '/nowhere', '/proc/self/status', import.meta.filename])
      assert.equal(functionOffset(path, 'main'), undefined, path);
  });

  test('damaged files are read without harm', () => {
    const good = readFileSync(libc);
    const path = join(folder, 'damaged.so');
    const random = createRandom(7);
    const integer = (below: number): number => Math.floor(random() * below);
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.from(good.subarray(0, round % 3 === 0 ? integer(good.length) : good.length));
      for (let change = 0; change < 4 && bytes.length > 64; change++) bytes[integer(64)] = integer(256);
      writeFileSync(path, bytes);
      const offset = functionOffset(path, 'epoll_wait');
      assert.ok(offset === undefined || Number.isFinite(offset));
    }
  });
});
