import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { cLibraryOf, createTurns } from '../../../src/receiver/turns.ts';
import { ROLE, SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { makeSide } from '../../harness/kernel-records.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const { TLS, HTTP1 } = SIDE_FLAGS;
const PID = process.pid;

function watched(answer: 'allowed' | 'EPERM' = 'allowed') {
  const attached = new Set<string>();
  const source = {
    countTurns(pid: number, path: string, symbol: string) {
      if (answer !== 'allowed') return answer;
      const key = `${pid} ${path} ${symbol}`;
      attached.add(key);
      return { detach: () => void attached.delete(key) };
    },
  };
  const turns = createTurns(source, () => ({ path: '/libc', calls: ['epoll_wait', 'epoll_pwait'] }));
  const side = (fields: Partial<SideRecord>): void => turns.onSide(makeSide({ tgid: PID, ...fields }));
  return { turns, attached, side };
}

describe('turns are counted', () => {
  test('from the first TLS connection on, until the process ends', () => {
    const { turns, attached } = watched();
    turns.onHello(PID);
    turns.onHello(PID);
    assert.deepEqual([...attached], [`${PID} /libc epoll_wait`, `${PID} /libc epoll_pwait`]);
    assert.equal(turns.counted(), 1);
    turns.onExit(PID);
    assert.equal(attached.size, 0);
  });

  test('not where TLS is passed through', () => {
    const { turns, attached, side } = watched();
    turns.onHello(PID);
    side({ flags: TLS, peer: 9 });
    turns.onHello(PID);
    assert.equal(attached.size, 0);
    side({ flags: TLS, role: ROLE.UPSTREAM, exchange: 2 });
    assert.equal(attached.size, 2, 'once an exchange of it stays unpaired');
    side({ flags: TLS, peer: 9 });
    assert.equal(attached.size, 2, 'for good');
  });

  test('nowhere else', () => {
    const { attached, side } = watched();
    side({ flags: HTTP1, role: ROLE.UPSTREAM, exchange: 2 });
    side({ role: ROLE.UPSTREAM, exchange: 2 });
    assert.equal(attached.size, 0);
  });

  test('or refused, once and told', () => {
    const { turns } = watched('EPERM');
    turns.onHello(PID);
    turns.onHello(PID);
    assert.equal(turns.refused(), 1);
    assert.equal(turns.reasonFor(PID), 'epoll_pwait: EPERM');
  });
});

describe('the C library of a process', () => {
  const folder = temporaryFolder(after);

  function fake(pid: number, library: string): string {
    const file = join(folder, `${pid}/root/lib/${library}`);
    mkdirSync(join(folder, `${pid}/root/lib`), { recursive: true });
    writeFileSync(file, '');
    const { ino } = statSync(file);
    writeFileSync(join(folder, `${pid}/maps`), `7f00-7f01 r-xp 00000000 08:01 ${ino} /lib/${library}\n`);
    return file;
  }

  test('glibc and musl, as the process sees them', () => {
    const glibc = fake(1, 'libc.so.6');
    assert.deepEqual(cLibraryOf(1, folder), { path: glibc, calls: ['epoll_wait', 'epoll_pwait'] });
    const musl = fake(2, 'ld-musl-x86_64.so.1');
    assert.deepEqual(cLibraryOf(2, folder), { path: musl, calls: ['epoll_pwait'] });
  });

  test('none', () => {
    fake(3, 'libcrypto.so.3');
    assert.equal(cLibraryOf(3, folder), undefined);
    assert.equal(cLibraryOf(4, folder), undefined);
  });
});
