/** What the bench needs from the machine: compiled helpers, pinned processes, CPU times, memory. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from '../harness/process.ts';

export const ROOT = new URL('../..', import.meta.url).pathname;
const FOLDER = join(process.env.HOPSPAN_CACHE ?? join(ROOT, '.cache'), 'bench');

/** The processor of the proxy, and that of everything else; the same one where there is only one. */
export const PROXY_CPU = 0;
export const OTHER_CPU = cpus().length > 1 ? 1 : 0;

/** Compiles a C file of this folder into the cache folder unless that is newer; returns the result's path. */
export function compile(source: string, output: string, flags: readonly string[]): string {
  mkdirSync(FOLDER, { recursive: true });
  const from = join(import.meta.dirname, source);
  const to = join(FOLDER, output);
  const built = statSync(to, { throwIfNoEntry: false });
  if (!built || built.mtimeMs < statSync(from).mtimeMs)
    execFileSync('clang', ['-O2', '-g', ...flags, from, '-o', to], { stdio: 'inherit' });
  return to;
}

/** Starts a program on one processor. */
export function startPinned(cpu: number, command: string, args: readonly string[]): Promise<Child> {
  return startChild('taskset', ['-c', String(cpu), command, ...args]);
}

/** Moves a running process with all its threads to one processor. */
export function pin(pid: number, cpu: number): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(cpu), String(pid)], { stdio: 'ignore' });
}

/** CPU time of all living threads of a process in nanoseconds (Documentation/scheduler/sched-stats.rst). */
export function cpuNs(pid: number): number {
  let sum = 0;
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const [running = '0'] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ');
    sum += Number(running);
  }
  return sum;
}

/** Resident memory in MB (10^6 bytes), as proc_pid_status(5) names it: now, the most so far, and its two parts. */
export type Memory = Readonly<Record<'VmRSS' | 'VmHWM' | 'RssAnon' | 'RssFile', number>>;

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const mb = (name: string): number =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024) / 1e6;
  return {
    VmRSS: mb('VmRSS'),
    VmHWM: mb('VmHWM'),
    RssAnon: mb('RssAnon'),
    RssFile: mb('RssFile'),
  };
}
