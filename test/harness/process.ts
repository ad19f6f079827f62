import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** How a child ended; `stopped` tells an end that the test asked for from one that it did not. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** A channel for `process.send`; the child must be a Node program. */
  readonly ipc?: boolean;
  /** Collected by `stdout()` unless a file descriptor is given. */
  readonly stdoutFd?: number;
  /** Sent to the child when this process dies without cleaning up (where util-linux' setpriv exists). */
  readonly parentDeathSignal?: 'KILL' | 'TERM';
}

/** A process that this test run started and must end. */
export interface Child {
  readonly pid: number;
  readonly process: ChildProcess;
  readonly exited: Promise<Exit>;
  /** Undefined while it runs. */
  exit(): Exit | undefined;
  stdout(): string;
  stderr(): string;
  /** Resolves with the first line of either stream that matches; rejects when the child ends before, or after `timeoutMs`. */
  line(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Nothing happens when it has ended already. */
  kill(signal: NodeJS.Signals): void;
  /** Asks by `signal`, then kills after `graceMs`; may be called twice. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<Exit>;
}

const running = new Set<Child>();
/** Servers in this process that nobody has stopped yet; they keep it alive. */
export const openServers = new Set<{ stop(): Promise<void> }>();
process.on('exit', () => {
  for (const child of running) for (const pid of descendants(child.pid)) trySignal(pid, 'SIGKILL');
});

/**
 * Stops whatever was started and nobody stopped, such as the processes of a test that failed halfway: they would keep
 * the test process alive. For `after(stopLeftovers)` at the top of every test file.
 */
export async function stopLeftovers(): Promise<void> {
  await Promise.all([...running].map((child) => child.stop('SIGTERM', 2000)));
  await Promise.all([...openServers].map((server) => server.stop()));
}

/**
 * Starts a program with as many file descriptors as this user may have. It is killed when this process exits.
 * Rejects when the program cannot be started.
 */
export async function startChild(
  command: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<Child> {
  const death = options.parentDeathSignal ?? 'KILL';
  // exec keeps the pid, so the child that Node knows is the program itself.
  const script = `ulimit -n "$(ulimit -H -n)"; command -v setpriv >/dev/null && exec setpriv --pdeathsig ${death} "$@"; exec "$@"`;
  const stdio: StdioOptions = [
    'ignore',
    options.stdoutFd ?? 'pipe',
    'pipe',
    ...(options.ipc ? ['ipc' as const] : []),
  ];
  const spawned = spawn('/bin/sh', ['-c', script, 'sh', command, ...args], {
    stdio,
    serialization: 'advanced',
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  await new Promise<void>((resolve, reject) => {
    spawned.once('spawn', resolve);
    spawned.once('error', reject);
  });
  return watchChild(spawned, command);
}

function watchChild(spawned: ChildProcess, command: string): Child {
  const pid = spawned.pid ?? 0;
  const text = { stdout: '', stderr: '' };
  const seen = new Set<() => void>();
  const notify = (): void => {
    for (const look of seen) look();
  };
  for (const name of ['stdout', 'stderr'] as const) {
    spawned[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      notify();
    });
  }
  let end: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    // `close` comes after `exit`, when both streams have been read to their end.
    spawned.once('close', (code, signal) => {
      end = { code, signal };
      running.delete(child);
      resolve(end);
      notify();
    });
  });
  const child: Child = {
    pid,
    process: spawned,
    exited,
    exit: () => end,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    line: (pattern, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const finish = (act: () => void): void => {
          clearTimeout(timer);
          seen.delete(look);
          act();
        };
        const fail = (why: string): void =>
          finish(() =>
            reject(new Error(`${command} ${why} before ${pattern}:\n${text.stdout}${text.stderr}`)),
          );
        const look = (): void => {
          const found = `${text.stdout}\n${text.stderr}`.split('\n').find((line) => pattern.test(line));
          if (found !== undefined) finish(() => resolve(found));
          else if (end !== undefined) fail(`ended (${end.signal ?? end.code})`);
        };
        const timer = setTimeout(() => fail(`was silent for ${timeoutMs} ms`), timeoutMs);
        seen.add(look);
        look();
      }),
    kill: (signal) => {
      if (spawned.exitCode === null && spawned.signalCode === null) trySignal(pid, signal);
    },
    stop: async (signal = 'SIGTERM', graceMs = 5000) => {
      const all = spawned.exitCode === null && spawned.signalCode === null ? descendants(pid) : [];
      child.kill(signal);
      const timer = setTimeout(() => {
        for (const each of all) trySignal(each, 'SIGKILL');
      }, graceMs);
      return exited.finally(() => clearTimeout(timer));
    },
  };
  running.add(child);
  return child;
}

/** The most that one turn of `until` counts for: what is longer, the whole machine stood still for. */
const TURN_MS = 1000;

/**
 * Polls until `check` gives a value other than false and undefined; the error names what was awaited, and what `seen`
 * says of it. Time in which this process itself did not run does not count.
 */
export async function until<T>(
  what: string,
  check: () => T | false | undefined | Promise<T | false | undefined>,
  timeoutMs = 20_000,
  seen = () => '',
): Promise<T> {
  const startMs = performance.now();
  let waitedMs = 0;
  for (let turns = 1, lastMs = startMs; ; turns++) {
    const value = await check();
    if (value !== false && value !== undefined) return value;
    const nowMs = performance.now();
    waitedMs += Math.min(nowMs - lastMs, TURN_MS);
    lastMs = nowMs;
    if (waitedMs > timeoutMs) {
      const all = `${Math.round(nowMs - startMs)} ms, looked ${turns} times`;
      throw new Error(`waited ${all}, in vain: ${what}${seen()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** `pid` and all processes below it, parents first. */
export function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : undefined;
    if (stat) children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(name)]);
  }
  const found = [pid];
  for (const each of found) found.push(...(children.get(each) ?? []));
  return found;
}

/** Fields 3 and 4 of /proc/PID/stat (proc_pid_stat(5)); undefined when there is no such process. */
export function readStat(pid: number): { state: string; parent: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name in parentheses may hold spaces and parentheses itself.
  const [state = '', parent = '0'] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state, parent: Number(parent) };
}

/** Signals a process that may be gone. */
export function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** CLOCK_MONOTONIC, nanoseconds; exact up to 104 days of uptime, then to a few nanoseconds. */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}

/**
 * Stops processes (SIGSTOP) for `ms` milliseconds. `whileStopped` starts once all of them stand still; the time counts
 * from its end. Returns the CLOCK_MONOTONIC nanoseconds between which none of them ran.
 */
export async function imposeStop(
  pids: number | readonly number[],
  ms: number,
  whileStopped?: () => void | Promise<void>,
): Promise<{ fromNs: number; toNs: number }> {
  const all = typeof pids === 'number' ? [pids] : pids;
  try {
    for (const pid of all) process.kill(pid, 'SIGSTOP');
    // SIGSTOP is asynchronous: a thread in the middle of a system call runs on until it returns.
    await until(`processes ${all.join(', ')} stopped`, () => all.every((pid) => threadsStopped(pid)));
    const fromNs = monotonicNs();
    await whileStopped?.();
    await new Promise((resolve) => setTimeout(resolve, ms));
    return { fromNs, toNs: monotonicNs() };
  } finally {
    for (const pid of all) trySignal(pid, 'SIGCONT');
  }
}

function threadsStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((tid) => {
    const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });
}
