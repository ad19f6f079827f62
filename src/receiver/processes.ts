import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import type { Target } from '../config/types.ts';

const LISTEN_STATE = '0A';
const CHUNK_BYTES = 4096;

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

/** May this user look which files a process has open, and so on which ports it listens? */
export function canListFiles(pid: number, proc: string = PROC): boolean {
  try {
    readdirSync(`${proc}/${pid}/fd`);
    return true;
  } catch (error) {
    return !isForbidden(error);
  }
}

/** There is such a process, but this user may not know what it runs. */
export function isHidden(pid: number, proc: string = PROC): boolean {
  try {
    readlinkSync(`${proc}/${pid}/exe`);
    return false;
  } catch (error) {
    return isForbidden(error);
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM');
}

/** The name that a process goes by, which everybody may read; '' when it is gone. */
export function commandName(pid: number, proc: string = PROC): string {
  return readText(`${proc}/${pid}/comm`).trimEnd();
}

/** Local TCP ports on which a process listens, in its own network namespace. */
export function listeningPorts(pid: number, proc: string = PROC): number[] {
  const inodes = new Set(socketInodes(`${proc}/${pid}/fd`));
  if (inodes.size === 0) return [];
  const ports = new Set<number>();
  for (const table of ['tcp', 'tcp6']) {
    for (const { port, inode } of listeners(`${proc}/${pid}/net/${table}`))
      if (inodes.has(inode)) ports.add(port);
  }
  return [...ports];
}

/**
 * The first rows of /proc/PID/net/tcp: the kernel lists listening sockets before all others (tcp_seq_start() in
 * net/ipv4/tcp_ipv4.c), and a busy host has a hundred thousand others.
 */
function* listeners(path: string): Generator<{ port: number; inode: string }> {
  let heading = true;
  for (const row of readLines(path)) {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    if (heading) heading = false;
    else if (state !== LISTEN_STATE) return;
    else yield { port: Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16), inode };
  }
}

/** The lines of a text file, of which no more is read than is asked for; none where it cannot be read. */
function* readLines(path: string): Generator<string> {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let rest = '';
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
      const lines = (rest + buffer.toString('latin1', 0, count)).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
    if (rest !== '') yield rest;
  } catch {
    // Gone, or not ours to read.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** A process as far as a target can describe one; what takes time to find out is looked up when it is asked for. */
export interface ProcessFacts {
  readonly pid: number;
  readonly executable: Executable;
  /** TCP ports on which it listens. */
  ports(): readonly number[];
  /** Its own id and those of its parents, as far as they run the same file: of a worker up to its master. */
  lineage(): readonly number[];
}

/** Undefined for a process that is gone or a kernel thread. */
export function factsOf(pid: number, proc: string = PROC): ProcessFacts | undefined {
  const executable = executableOf(pid, proc);
  if (!executable) return undefined;
  let ports: readonly number[] | undefined;
  let lineage: readonly number[] | undefined;
  return {
    pid,
    executable,
    ports() {
      ports ??= listeningPorts(pid, proc);
      return ports;
    },
    lineage() {
      lineage ??= lineageOf(pid, executable, proc);
      return lineage;
    },
  };
}

/** True when the target describes this process. Workers belong to the process id of their master. */
export function matches(target: Target, { pid, executable, ports, lineage }: ProcessFacts): boolean {
  switch (target.by) {
    case 'executable':
      return executable.name === target.executable;
    case 'path':
      return executable.path === target.path;
    case 'pid':
      return pid === target.pid || lineage().includes(target.pid);
    case 'listen_port':
      return ports().includes(target.listenPort);
  }
}

function lineageOf(pid: number, executable: Executable, proc: string): number[] {
  const lineage = [pid];
  for (;;) {
    const parent = parentOf(lineage.at(-1) ?? 0, proc);
    if (parent === 0 || executableOf(parent, proc)?.path !== executable.path) return lineage;
    lineage.push(parent);
  }
}

/** Field 4 of /proc/PID/stat, proc_pid_stat(5); 0 for none. */
function parentOf(pid: number, proc: string): number {
  const text = readText(`${proc}/${pid}/stat`);
  /* The name in parentheses may hold spaces and parentheses itself. */
  const [, parent = '0'] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(parent);
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
