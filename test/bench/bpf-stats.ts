/** Run counts and times of BPF programs, as the kernel keeps them while kernel.bpf_stats_enabled is 1. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { BpfObject } from '../../src/native/libbpf.ts';
import { compile } from './tools.ts';

const SYSCTL = '/proc/sys/kernel/bpf_stats_enabled';

export interface Runs {
  readonly count: number;
  readonly ns: number;
}

/** Switches the statistics on for `body`, and back to what they were. */
export async function withStatistics<T>(body: () => Promise<T>): Promise<T> {
  const before = readFileSync(SYSCTL, 'latin1').trim();
  const restore = (): void => writeFileSync(SYSCTL, before);
  process.once('exit', restore);
  writeFileSync(SYSCTL, '1');
  try {
    return await body();
  } finally {
    restore();
    process.off('exit', restore);
  }
}

/** What the programs that a process holds have run so far, by name. */
export function runsOf(pid: number): Map<string, Runs> {
  const ids = new Set<number>();
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    const id = /^prog_id:\s+(\d+)/m.exec(fdInfo(pid, fd))?.[1];
    if (id) ids.add(Number(id));
  }
  type Program = { id: number; name: string; run_cnt?: number; run_time_ns?: number };
  const programs = JSON.parse(
    execFileSync('bpftool', ['-j', 'prog', 'show'], { encoding: 'utf8' }),
  ) as Program[];
  return new Map(
    programs
      .filter(({ id }) => ids.has(id))
      .map(({ name, run_cnt = 0, run_time_ns = 0 }) => [name, { count: run_cnt, ns: run_time_ns }]),
  );
}

/** `after` less `before`. */
export function runsBetween(before: Map<string, Runs>, after: Map<string, Runs>): Map<string, Runs> {
  return new Map(
    [...after].map(([name, { count, ns }]) => {
      const then = before.get(name) ?? { count: 0, ns: 0 };
      return [name, { count: count - then.count, ns: ns - then.ns }];
    }),
  );
}

/** Mean nanoseconds that the statistics ascribe to a program that does nothing, run by `load`. */
export async function emptyRunNs(load: () => Promise<unknown>): Promise<number> {
  const path = compile('empty.bpf.c', 'empty.bpf.o', [
    ...['-target', 'bpf', '-mcpu=v3', '-c'],
    ...['x86_64', 'aarch64'].map((machine) => `-I/usr/include/${machine}-linux-gnu`),
  ]);
  const object = new BpfObject(readFileSync(path));
  try {
    object.load();
    object.attach('empty');
    await load();
    const { count = 0, ns = 0 } = runsOf(process.pid).get('empty') ?? {};
    return ns / count;
  } finally {
    object.close();
  }
}

function fdInfo(pid: number, fd: string): string {
  try {
    return readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1');
  } catch {
    return ''; // closed meanwhile
  }
}
