import type { Target } from '../config/types.ts';
import { allPids, factsOf, matches, type ProcessFacts } from '../receiver/processes.ts';
import { type Finding, fail, ok } from './finding.ts';
import type { Machine } from './machine.ts';

/** A line for every process that a target describes, or one that says that there is none yet. */
export function checkTargets(machine: Machine, targets: readonly Target[]): Finding[] {
  const proc = `${machine.root}/proc`;
  const processes = allPids(proc)
    .filter((pid) => pid !== process.pid)
    .flatMap((pid) => factsOf(pid, proc) ?? []);
  return targets.flatMap((target) => {
    const found = processes.filter((each) => matches(target, each));
    return found.length === 0 ? [absent(target)] : found.map((each) => present(target, each));
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

function present(target: Target, { pid, executable, ports }: ProcessFacts): Finding {
  const sorted = ports().toSorted((a, b) => a - b);
  const listening = sorted.length === 0 ? 'listening nowhere' : `listening on ${sorted.join(', ')}`;
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
