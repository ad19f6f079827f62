import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { temporaryFolder } from '../../harness/temporary-folder.ts';
import { leastCapabilities, read } from './files.ts';

const unit = read('deploy/systemd/hopspan.service');
const setting = (key: string): string | undefined => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1];

/** In tenths, as `systemd-analyze security` counts: 100 is everything. */
const MOST_EXPOSED = 30;

describe('hopspan.service', () => {
  it('has the capabilities of docs/privileges.md and no others', () => {
    const expected = leastCapabilities().map((name) => `CAP_${name}`);
    for (const key of ['CapabilityBoundingSet', 'AmbientCapabilities']) {
      assert.deepEqual(setting(key)?.split(' '), expected, key);
    }
    assert.equal(setting('NoNewPrivileges'), 'yes');
  });

  it('sets nothing that blinds it or that V8 cannot live with', () => {
    for (const key of [
      'ProtectProc',
      'ProcSubset',
      'PrivateUsers',
      'MemoryDenyWriteExecute',
      'PrivateNetwork',
    ]) {
      assert.equal(setting(key), undefined, key);
    }
  });

  it('is told to reload, after a look at the file', () => {
    const commands = [...unit.matchAll(/^ExecReload=(.*)$/gm)].map((match) => match[1]);
    const file = setting('ExecStart')?.match(/--config (\S+)/)?.[1];
    assert.deepEqual(commands, [`/usr/bin/hopspan validate --config ${file}`, '/bin/kill -HUP $MAINPID']);
  });

  const { status } = spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' });
  const skip = status === 0 ? false : 'no systemd-analyze on this machine';
  /** The unit where systemd can look at it, with a program that is there. */
  function installed(): string {
    const file = join(temporaryFolder(after), 'hopspan.service');
    writeFileSync(file, unit.replace(/^(ExecStart|ExecReload)=\/usr\/bin\/hopspan/gm, '$1=/bin/true'));
    return file;
  }

  it('lets no system call be forbidden that giving up capabilities takes', { skip }, () => {
    const { stdout } = spawnSync('systemd-analyze', ['syscall-filter'], { encoding: 'utf8' });
    const sets = new Map<string, string[]>();
    let current: string[] = [];
    for (const line of stdout.split('\n')) {
      if (line.startsWith('@')) {
        current = [];
        sets.set(line.trim(), current);
      } else if (/^\s+[@a-z]/.test(line)) current.push(line.trim());
    }
    const expand = (name: string): string[] =>
      name.startsWith('@') ? (sets.get(name) ?? []).flatMap(expand) : [name];
    const allowed = new Set(['@default', ...(setting('SystemCallFilter')?.split(' ') ?? [])].flatMap(expand));
    for (const call of ['bpf', 'perf_event_open', 'capset', 'prctl', 'execve', 'memfd_create', 'faccessat2'])
      assert.ok(allowed.has(call), call);
  });

  it('is exposed no more than measured', { skip }, () => {
    const args = ['security', '--offline=true', `--threshold=${MOST_EXPOSED}`, installed()];
    const analysed = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    assert.equal(analysed.status, 0, analysed.stdout);
  });

  it('is understood by systemd', { skip }, () => {
    const file = installed();
    const {
      status: verified,
      stdout,
      stderr,
    } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    assert.equal(verified, 0, stderr);
    assert.equal(`${stdout}${stderr}`, '');
  });
});
