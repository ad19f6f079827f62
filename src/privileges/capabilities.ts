import { readFileSync } from 'node:fs';

/** include/uapi/linux/capability.h, in the order of their numbers. */
export const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
] as const;

export type Capability = (typeof CAPABILITIES)[number];

/** The numbers that a 64-bit mask has room for; a newer kernel may know some without a name here. */
const NUMBERS: readonly number[] = Array.from({ length: 64 }, (_, number) => number);

/** The mask in which the kernel keeps these. */
export function maskOf(...capabilities: readonly Capability[]): bigint {
  return capabilities.reduce((mask, name) => mask | (1n << BigInt(CAPABILITIES.indexOf(name))), 0n);
}

/** The names in a mask, by number; those without a name as `CAP_41`. */
export function namesOf(mask: bigint): string[] {
  return numbersOf(mask).map((number) => CAPABILITIES[number] ?? `CAP_${number}`);
}

export function numbersOf(mask: bigint): number[] {
  return NUMBERS.filter((number) => (mask & (1n << BigInt(number))) !== 0n);
}

/** What a thread may do, proc_pid_status(5). */
export interface Credentials {
  /** Effective user id. */
  readonly uid: number | undefined;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly bounding: bigint;
  readonly noNewPrivileges: boolean;
}

/** From the text of /proc/PID/status; undefined when it is none. */
export function parseCredentials(status: string): Credentials | undefined {
  const mask = (field: string): bigint | undefined => {
    const hex = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return hex === undefined ? undefined : BigInt(`0x${hex}`);
  };
  const effective = mask('CapEff');
  if (effective === undefined) return undefined;
  const uid = /^Uid:\s*\d+\s+(\d+)/m.exec(status)?.[1];
  return {
    uid: uid === undefined ? undefined : Number(uid),
    effective,
    permitted: mask('CapPrm') ?? effective,
    bounding: mask('CapBnd') ?? effective,
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(status),
  };
}

/** Those of this process's main thread; of nothing where /proc is not mounted. */
export function ownCredentials(): Credentials {
  try {
    return parseCredentials(readFileSync('/proc/self/status', 'utf8')) ?? UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}

const UNKNOWN: Credentials = {
  uid: undefined,
  effective: 0n,
  permitted: 0n,
  bounding: 0n,
  noNewPrivileges: false,
};
