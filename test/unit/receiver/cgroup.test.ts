import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroup2Mount } from '../../../src/receiver/cgroup.ts';

test('cgroup2Mount() finds the unified hierarchy among the mounts', () => {
  const legacy = 'cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0';
  assert.equal(
    cgroup2Mount(`${legacy}\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n`),
    '/sys/fs/cgroup/unified',
  );
  assert.equal(cgroup2Mount('none /mnt/my\\040groups cgroup2 rw 0 0'), '/mnt/my groups');
  assert.equal(cgroup2Mount(legacy), undefined);
  assert.equal(cgroup2Mount(''), undefined);
});
