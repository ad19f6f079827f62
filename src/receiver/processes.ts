import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { Target } from '../config/types.ts';

const LISTEN_STATE = '0A';

export interface Executable {
  readonly path: string;
  readonly name: string;
}

/** Where processes are looked up; tests look elsewhere. */
const PROC = '/proc';

/** The file a process runs; undefined when it is gone or a kernel thread. */
export function executableOf(pid: number, proc: string = PROC): Executable | undefined {
  try {
    const path = readlinkSync(`${proc}/${pid}/exe`).replace(/ \(deleted\)$/, '');
    return { path, name: basename(path) };
  } catch {
    return undefined;
  }
}

export function allPids(proc: string = PROC): number[] {
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The container id (64 hexadecimal digits) in a process's cgroup path, or ''. */
export function containerIdOf(pid: number): string {
  try {
    return /[0-9a-f]{64}/.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[0] ?? '';
  } catch {
    return '';
  }
}

/** Local TCP ports on which a process listens, in its own network namespace. */
export function listeningPorts(pid: number, proc: string = PROC): number[] {
  const inodes = new Set(socketInodes(`${proc}/${pid}/fd`));
  if (inodes.size === 0) return [];
  const ports = new Set<number>();
  for (const table of ['tcp', 'tcp6']) {
    for (const row of readText(`${proc}/${pid}/net/${table}`).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
      if (state === LISTEN_STATE && inodes.has(inode)) {
        ports.add(Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16));
      }
    }
  }
  return [...ports];
}

/** True when the target describes this process; `listen_port` is looked up among the ports given. */
export function matches(target: Target, pid: number, exe: Executable, ports: () => number[]): boolean {
  switch (target.by) {
    case 'executable':
      return exe.name === target.executable;
    case 'path':
      return exe.path === target.path;
    case 'pid':
      return pid === target.pid;
    case 'listen_port':
      return ports().includes(target.listenPort);
  }
}

function socketInodes(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((fd) => {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1];
        return inode ? [inode] : [];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
