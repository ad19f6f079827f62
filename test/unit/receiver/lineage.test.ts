import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import type { Target } from '../../../src/config/types.ts';
import { factsOf, matches } from '../../../src/receiver/processes.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

describe('the processes of a target', () => {
  let proc: string;
  beforeEach((t) => {
    assert.ok('after' in t);
    proc = temporaryFolder((remove) => t.after(remove));
    add(1, 0, '/sbin/init');
    add(10, 1, '/usr/sbin/nginx', 'nginx: master (x) y');
    add(11, 10, '/usr/sbin/nginx');
    add(12, 10, '/usr/sbin/nginx');
    add(13, 12, '/usr/sbin/nginx');
    add(14, 10, '/bin/sh');
    add(15, 14, '/usr/sbin/nginx');
    add(20, 1, '/usr/sbin/nginx');
    mkdirSync(join(proc, '30')); // a kernel thread has no file
  });

  function add(pid: number, parent: number, file: string, name = 'nginx'): void {
    const folder = join(proc, String(pid));
    mkdirSync(folder);
    symlinkSync(file, join(folder, 'exe'));
    writeFileSync(join(folder, 'stat'), `${pid} (${name}) S ${parent} ${pid} ${pid} 0 -1`);
  }

  const found = (target: Target): number[] =>
    [1, 10, 11, 12, 13, 14, 15, 20, 30, 99].filter((pid) => {
      const facts = factsOf(pid, proc);
      return facts !== undefined && matches(target, facts);
    });

  test('a master brings its workers, and theirs, but no other program and nothing beyond it', () => {
    assert.deepEqual(found({ by: 'pid', pid: 10 }), [10, 11, 12, 13]);
  });

  test('a worker brings those beneath it', () => {
    assert.deepEqual(found({ by: 'pid', pid: 12 }), [12, 13]);
    assert.deepEqual(found({ by: 'pid', pid: 11 }), [11]);
  });

  test('a name and a path find all that run the file', () => {
    const all = [10, 11, 12, 13, 15, 20];
    assert.deepEqual(found({ by: 'executable', executable: 'nginx' }), all);
    assert.deepEqual(found({ by: 'path', path: '/usr/sbin/nginx' }), all);
    assert.deepEqual(found({ by: 'path', path: '/opt/nginx' }), []);
  });
});
