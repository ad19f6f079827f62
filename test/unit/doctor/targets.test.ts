import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import type { Machine } from '../../../src/doctor/machine.ts';
import { checkTargets } from '../../../src/doctor/targets.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';
import { fakeMachine } from './fake-machine.ts';

const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0 100 0 0 10 0
   1: 00000000:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 502 1 0 100 0 0 10 0
   2: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 503 1 0 20 4 30 10 -1
`;

function addProcess(root: string, pid: number, path: string, sockets: readonly number[] = []): void {
  const folder = join(root, 'proc', String(pid));
  mkdirSync(join(folder, 'fd'), { recursive: true });
  mkdirSync(join(folder, 'net'));
  symlinkSync(path, join(folder, 'exe'));
  for (const [fd, inode] of sockets.entries())
    symlinkSync(`socket:[${inode}]`, join(folder, 'fd', String(fd)));
  writeFileSync(join(folder, 'net', 'tcp'), TCP);
}

describe('targets', () => {
  let machine: Machine;
  beforeEach((t) => {
    assert.ok('after' in t);
    const root = temporaryFolder((remove) => t.after(remove));
    machine = fakeMachine(root);
    addProcess(root, 70001, '/usr/local/bin/envoy', [502, 501, 503]);
    addProcess(root, 70002, '/opt/envoy (deleted)');
    addProcess(root, 70003, '/usr/sbin/nginx', [9]);
  });

  test('each process of a target has a line with its file and ports', () => {
    assert.deepEqual(checkTargets(machine, [{ by: 'executable', executable: 'envoy' }]), [
      {
        status: 'ok',
        item: 'target',
        found: 'envoy: pid 70001, /usr/local/bin/envoy, listening on 8080, 9000',
      },
      { status: 'ok', item: 'target', found: 'envoy: pid 70002, /opt/envoy, listening nowhere' },
    ]);
  });

  test('a port finds who listens on it', () => {
    const [finding] = checkTargets(machine, [{ by: 'listen_port', listenPort: 8080 }]);
    assert.equal(finding?.found, 'port 8080: pid 70001, /usr/local/bin/envoy, listening on 8080, 9000');
  });

  test('what may start later is no failure; a process id that does not exist is one', () => {
    const [path, port, pid] = checkTargets(machine, [
      { by: 'path', path: '/usr/sbin/haproxy' },
      { by: 'listen_port', listenPort: 1 },
      { by: 'pid', pid: 70004 },
    ]);
    assert.deepEqual(path, { status: 'ok', item: 'target', found: '/usr/sbin/haproxy: none yet' });
    assert.deepEqual(port, { status: 'ok', item: 'target', found: 'port 1: none yet' });
    assert.equal(pid?.status, 'fail');
    assert.match(pid?.found ?? '', /no process 70004/);
  });
});
