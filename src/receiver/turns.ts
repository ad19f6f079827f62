import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Link } from '../native/uprobe.ts';
import { SIDE_FLAGS, type SideRecord } from '../records.gen.ts';

/** glibc's wrappers call the kernel themselves; musl's epoll_wait() calls its epoll_pwait(), which counts for both. */
const GLIBC_CALLS = ['epoll_wait', 'epoll_pwait'];
const MUSL_CALLS = ['epoll_pwait'];
const GLIBC = /\/libc(?:\.so\.6|-2\.\d+\.so)$/;
const MUSL = /\/(?:ld-musl-[\w-]+|libc\.musl-[\w-]+)\.so\.1$/;

/** The C library that a process runs. */
export interface CLibrary {
  /** As this process can open it. */
  readonly path: string;
  /** Functions that wait for events. */
  readonly calls: readonly string[];
}

/** Undefined where the process has none, is gone, or may not be looked at. */
export function cLibraryOf(pid: number, proc = '/proc'): CLibrary | undefined {
  let maps: string;
  try {
    maps = readFileSync(`${proc}/${pid}/maps`, 'utf8');
  } catch {
    return undefined;
  }
  for (const line of maps.split('\n')) {
    /* address perms offset dev inode path, proc_pid_maps(5) */
    const [, , , , inode = '', path = ''] = line.split(/\s+/);
    const calls = GLIBC.test(path) ? GLIBC_CALLS : MUSL.test(path) ? MUSL_CALLS : undefined;
    if (!calls) continue;
    const found = [`${proc}/${pid}/root${path}`, path].find((file) => isInode(file, Number(inode)));
    if (found) return { path: found, calls };
  }
  return undefined;
}

function isInode(file: string, inode: number): boolean {
  try {
    return statSync(file).ino === inode;
  } catch {
    return false;
  }
}

/** Why the turns of this process's own event loop could not be counted; undefined where they could. */
export function tryTurns(probes: TurnsSource): string | undefined {
  const turns = createTurns(probes);
  turns.onHello(process.pid);
  return turns.reasonFor(process.pid);
}

/** What a process is to the counting of turns. */
interface Process {
  readonly links: Link[];
  /** Some exchange of it was paired by nothing else. */
  sure: boolean;
  /** A connection with TLS was paired without: it passes TLS through. */
  relays: boolean;
}

/**
 * Counts the turns of the event loop where pairing needs them: in processes that end TLS or begin it, as far as their
 * connections have shown. It costs these processes one or two microseconds a turn, and nobody else anything.
 */
export interface Turns {
  /** A connection of the process has begun with TLS. */
  onHello(tgid: number): void;
  onSide(record: SideRecord): void;
  onExit(tgid: number): void;
  /** Processes whose turns are counted. */
  counted(): number;
  /** Processes whose turns would be needed and could not be counted, so far. */
  refused(): number;
  /** Why the turns of this process cannot be counted. */
  reasonFor(tgid: number): string | undefined;
}

export interface TurnsSource {
  countTurns(pid: number, path: string, symbol: string): Link | string;
}

export function createTurns(
  probes: TurnsSource,
  library: (pid: number) => CLibrary | undefined = cLibraryOf,
): Turns {
  const processes = new Map<number, Process>();
  const refused = new Map<number, string>();
  let refusals = 0;

  function processOf(tgid: number): Process {
    let process = processes.get(tgid);
    if (!process) {
      process = { links: [], sure: false, relays: false };
      processes.set(tgid, process);
    }
    return process;
  }

  function attach(tgid: number, { links }: Process): void {
    if (links.length > 0 || refused.has(tgid) || !existsSync(`/proc/${tgid}`)) return;
    const found = library(tgid);
    let reason = 'its C library is not to be found';
    for (const call of found?.calls ?? []) {
      const link = probes.countTurns(tgid, found?.path ?? '', call);
      if (typeof link === 'string') reason = `${call}: ${link}`;
      else links.push(link);
    }
    if (links.length > 0) return;
    refused.set(tgid, reason);
    refusals++;
  }

  function detach({ links }: Process): void {
    for (const link of links.splice(0)) link.detach();
  }

  return {
    refused: () => refusals,
    reasonFor: (tgid) => refused.get(tgid),
    counted: () => [...processes.values()].filter(({ links }) => links.length > 0).length,
    onHello(tgid) {
      const process = processOf(tgid);
      if (process.sure || !process.relays) attach(tgid, process);
    },
    onSide(record) {
      if (!(record.flags & SIDE_FLAGS.TLS) || record.tgid === 0) return;
      const process = processOf(record.tgid);
      if (process.sure) return;
      /* Behind the handshake, and still without a pair. */
      if (!record.peer && record.exchange > 1) {
        process.sure = true;
        attach(record.tgid, process);
      } else if (record.peer) {
        process.relays = true;
        detach(process);
      }
    },
    onExit(tgid) {
      const process = processes.get(tgid);
      if (process) detach(process);
      processes.delete(tgid);
      refused.delete(tgid);
    },
  };
}
