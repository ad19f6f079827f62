import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Target } from '../../../src/config/types.ts';
import { allPids, executableOf, factsOf, listeningPorts, matches } from '../../../src/receiver/processes.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

interface FakeProcess {
  readonly exe?: string;
  readonly parent?: number;
  readonly name?: string;
  /** What its descriptors are, from 0. */
  readonly fds?: readonly string[];
  readonly tcp?: string;
  readonly tcp6?: string;
}

/** A /proc with these processes. */
function fakeProc(processes: Record<number, FakeProcess>): string {
  const proc = temporaryFolder(after);
  mkdirSync(join(proc, 'self'));
  for (const [pid, { exe, parent = 1, name = 'x', fds, tcp, tcp6 }] of Object.entries(processes)) {
    const folder = join(proc, pid);
    mkdirSync(join(folder, 'net'), { recursive: true });
    if (exe) symlinkSync(exe, join(folder, 'exe'));
    writeFileSync(join(folder, 'stat'), `${pid} (${name}) S ${parent} 1 1 0 -1`);
    if (fds) mkdirSync(join(folder, 'fd'));
    for (const [fd, target] of (fds ?? []).entries()) symlinkSync(target, join(folder, 'fd', String(fd)));
    if (tcp) writeFileSync(join(folder, 'net/tcp'), tcp);
    if (tcp6) writeFileSync(join(folder, 'net/tcp6'), tcp6);
  }
  return proc;
}

/** A table as proc_net_tcp writes it: local address, state, inode. */
const table = (...rows: [local: string, state: string, inode: number][]): string =>
  [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    ...rows.map(
      ([local, state, inode], n) =>
        `   ${n}: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0`,
    ),
  ].join('\n');

describe('executableOf', () => {
  const proc = fakeProc({
    10: { exe: '/opt/envoy/bin/envoy' },
    11: { exe: '/usr/bin/nginx (deleted)' },
    12: {},
  });

  test('is the file that the process runs, replaced or not', () => {
    assert.deepEqual(executableOf(10, proc), { path: '/opt/envoy/bin/envoy', name: 'envoy' });
    assert.deepEqual(executableOf(11, proc), { path: '/usr/bin/nginx', name: 'nginx' });
  });

  test('a kernel thread has none, nor has a process that is gone', () => {
    assert.equal(executableOf(12, proc), undefined);
    assert.equal(executableOf(99, proc), undefined);
  });

  test('allPids() are the numbers among the names', () => {
    assert.deepEqual(allPids(proc).toSorted(), [10, 11, 12]);
  });
});

describe('listeningPorts', () => {
  const LISTEN = '0A';
  const ESTABLISHED = '01';

  test('are those of its own listening sockets, IPv4 and IPv6', () => {
    const proc = fakeProc({
      10: {
        fds: ['/dev/null', 'socket:[501]', 'socket:[502]', 'socket:[503]', 'pipe:[504]'],
        tcp: table(
          ['0100007F:1F40', LISTEN, 501],
          ['0100007F:1F41', ESTABLISHED, 502],
          ['0100007F:1F42', LISTEN, 999], // another process's
          ['0100007F:1F43', LISTEN, 504],
        ),
        tcp6: table([`${'0'.repeat(32)}:1F90`, LISTEN, 503]),
      },
    });
    assert.deepEqual(listeningPorts(10, proc).toSorted(), [8000, 8080]);
  });

  test('are none where they cannot be read', () => {
    const proc = fakeProc({ 10: { fds: ['socket:[501]'] }, 11: {} });
    for (const pid of [10, 11, 99]) assert.deepEqual(listeningPorts(pid, proc), []);
  });
});

describe('matches', () => {
  const proc = fakeProc({
    10: {
      ...{ exe: '/usr/sbin/nginx', name: 'a) b (c', fds: ['socket:[5]'] },
      tcp: table(['00000000:1F40', '0A', 5]),
    },
    11: { exe: '/usr/sbin/nginx', parent: 10, name: 'nginx: worker (1) x' },
    12: { exe: '/usr/bin/helper', parent: 10 },
  });
  const cases: [Target, number[]][] = [
    [{ by: 'executable', executable: 'nginx' }, [10, 11]],
    [{ by: 'executable', executable: 'ngin' }, []],
    [{ by: 'path', path: '/usr/sbin/nginx' }, [10, 11]],
    [{ by: 'path', path: '/opt/nginx' }, []],
    [{ by: 'pid', pid: 10 }, [10, 11]], // a worker belongs to its master, a child that runs something else does not
    [{ by: 'pid', pid: 11 }, [11]],
    [{ by: 'listen_port', listenPort: 8000 }, [10]],
  ];
  for (const [target, expected] of cases) {
    test(`${JSON.stringify(target)} means ${expected.join(', ') || 'nobody'}`, () => {
      const found = [10, 11, 12].filter((pid) => {
        const facts = factsOf(pid, proc);
        return facts !== undefined && matches(target, facts);
      });
      assert.deepEqual(found, expected);
    });
  }

  test('a process that is gone has no facts', () => assert.equal(factsOf(99, proc), undefined));
});
