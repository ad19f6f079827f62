import { readdirSync, readFileSync } from 'node:fs';

/** What every thread of a process may do, as /proc/PID/task/TID/status has it: hexadecimal masks, and 0 or 1. */
export interface ThreadRights {
  readonly name: string;
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
  readonly noNewPrivileges: boolean;
}

export function threadRights(pid: number): ThreadRights[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    let text: string;
    try {
      text = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    } catch {
      return []; // ended meanwhile
    }
    const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(text)?.[1] ?? '';
    const mask = (name: string): bigint => BigInt(`0x${field(name)}`);
    return {
      name: field('Name'),
      inheritable: mask('CapInh'),
      permitted: mask('CapPrm'),
      effective: mask('CapEff'),
      bounding: mask('CapBnd'),
      ambient: mask('CapAmb'),
      noNewPrivileges: field('NoNewPrivs') === '1',
    };
  });
}

/** The kernel's mask of capabilities by their numbers in include/uapi/linux/capability.h. */
export function capabilityMask(...numbers: readonly number[]): bigint {
  return numbers.reduce((mask, number) => mask | (1n << BigInt(number)), 0n);
}
