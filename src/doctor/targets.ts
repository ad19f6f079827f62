import type { Target } from '../config/types.ts';
import { allPids, type Executable, executableOf, listeningPorts, matches } from '../receiver/processes.ts';
import { type Finding, fail, ok } from './finding.ts';
import type { Machine } from './machine.ts';

interface Process {
  readonly pid: number;
  readonly executable: Executable;
}

/** A line for every process that a target describes, or one that says that there is none yet. */
export function checkTargets(machine: Machine, targets: readonly Target[]): Finding[] {
  const proc = `${machine.root}/proc`;
  const processes = allPids(proc).flatMap((pid): Process[] => {
    const executable = executableOf(pid, proc);
    return executable && pid !== process.pid ? [{ pid, executable }] : [];
  });
  return targets.flatMap((target) => {
    const found = processes.filter(({ pid, executable }) =>
      matches(target, pid, executable, () => listeningPorts(pid, proc)),
    );
    return found.length === 0 ? [absent(target)] : found.map((each) => present(target, each, proc));
  });
}

function absent(target: Target): Finding {
  if (target.by !== 'pid') return ok('target', `${describe(target)}: none yet`);
  return fail(
    'TARGET_NOT_FOUND',
    'target',
    `there is no process ${target.pid} to watch`,
    "look up the proxy's process id, or name it by executable.",
  );
}

function present(target: Target, { pid, executable }: Process, proc: string): Finding {
  const ports = listeningPorts(pid, proc).sort((a, b) => a - b);
  const listening = ports.length === 0 ? 'listening nowhere' : `listening on ${ports.join(', ')}`;
  return ok('target', `${describe(target)}: pid ${pid}, ${executable.path}, ${listening}`);
}

function describe(target: Target): string {
  switch (target.by) {
    case 'executable':
      return target.executable;
    case 'path':
      return target.path;
    case 'pid':
      return `pid ${target.pid}`;
    case 'listen_port':
      return `port ${target.listenPort}`;
  }
}
