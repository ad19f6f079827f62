import type { Listener } from '../config/listeners.ts';
import type { EbpfReceiverConfig } from '../config/types.ts';
import type { Finding } from './finding.ts';
import {
  checkArchitecture,
  checkBtf,
  checkJit,
  checkKernel,
  checkLockdown,
  checkStats,
  checkTracefs,
} from './kernel.ts';
import { checkListeners } from './listeners.ts';
import type { Machine } from './machine.ts';
import { checkCgroup, checkLibbpf, checkObject } from './parts.ts';
import {
  checkAcceptHook,
  checkGivenUp,
  checkOtherUsers,
  checkPidNamespace,
  checkRights,
  checkTurns,
} from './rights.ts';
import { checkTargets } from './targets.ts';
import { checkTrial, type Trial, untried } from './trial.ts';

/** What must be well before anything is loaded; what no right can mend comes first. */
export function* required(machine: Machine): Generator<Finding> {
  yield checkKernel(machine);
  yield checkBtf(machine);
  yield checkLockdown(machine);
  yield checkLibbpf(machine);
  yield checkObject(machine);
  yield checkRights(machine);
}

/** Every item, one after the other: the machine, this process, then a real trial and the targets. */
export function* examine(
  machine: Machine,
  trial: Trial,
  receivers: readonly EbpfReceiverConfig[],
  listeners: readonly Listener[] = [],
): Generator<Finding> {
  let failed = false;
  for (const finding of required(machine)) {
    failed ||= finding.status === 'fail';
    yield finding;
  }
  yield checkArchitecture(machine);
  yield checkAcceptHook(machine);
  yield checkTurns(machine);
  yield checkOtherUsers(machine);
  yield checkPidNamespace(machine);
  yield checkCgroup(machine);
  yield checkTracefs(machine);
  yield checkJit(machine);
  yield checkStats(machine);
  yield checkListeners(listeners);
  for (const receiver of receivers) {
    const { finding, needs } = failed ? untried() : checkTrial(trial, receiver);
    yield finding;
    if (needs) yield checkGivenUp(machine, needs);
    yield* checkTargets(machine, receiver.targets);
  }
}
