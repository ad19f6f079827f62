import { realpathSync } from 'node:fs';
import type { Target } from '../config/types.ts';
import { HopspanError } from '../errors.ts';
import { executableOf, isHidden } from './processes.ts';

/**
 * @throws HopspanError NOT_PRIVILEGED, or TARGET_NOT_FOUND for a process id that does not exist; other targets may come
 * later.
 */
export function requireTarget(target: Target): void {
  if (target.by !== 'pid' || executableOf(target.pid)) return;
  if (isHidden(target.pid)) {
    throw new HopspanError(
      'NOT_PRIVILEGED',
      `process ${target.pid} may not be looked at by this user; run hopspan as root, or add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.`,
    );
  }
  throw new HopspanError(
    'TARGET_NOT_FOUND',
    `there is no process ${target.pid} to watch; look up the proxy's process id, or name it by executable.`,
  );
}

/** A process is known by the file that it runs, which links may lead to. */
export function withRealPath(target: Target): Target {
  if (target.by !== 'path') return target;
  try {
    return { ...target, path: realpathSync(target.path) };
  } catch {
    return target; // not there yet
  }
}
