import { listed } from '../config/rules.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { type Machine, readLink, readText } from './machine.ts';

/* include/uapi/linux/capability.h */
const CAP_DAC_OVERRIDE = 1n;
const CAP_DAC_READ_SEARCH = 2n;
const CAP_NET_ADMIN = 12n;
const CAP_SYS_PTRACE = 19n;
const CAP_SYS_ADMIN = 21n;
const NEEDED: readonly (readonly [string, bigint])[] = [
  ['CAP_BPF', 39n],
  ['CAP_PERFMON', 38n],
  ['CAP_NET_ADMIN', CAP_NET_ADMIN],
];
/* The host's own namespaces have fixed inode numbers, include/linux/proc_ns.h. */
const HOST_PID_NAMESPACE = 'pid:[4026531836]';
const HOST_USER_NAMESPACE = 'user:[4026531837]';

interface Credentials {
  readonly user: string;
  readonly capabilities: bigint;
}

function credentials(machine: Machine): Credentials | undefined {
  const status = readText(machine, '/proc/self/status');
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status ?? '')?.[1];
  const uid = /^Uid:\s*\d+\s+(\d+)/m.exec(status ?? '')?.[1] ?? 'unknown';
  return mask === undefined
    ? undefined
    : { user: uid === '0' ? 'root' : `user ${uid}`, capabilities: BigInt(`0x${mask}`) };
}

function has({ capabilities }: Credentials, bit: bigint): boolean {
  return (capabilities & (1n << bit)) !== 0n;
}

/** May this process load the probes? CAP_SYS_ADMIN stands for each (bpf_capable() and its like in the kernel). */
export function checkRights(machine: Machine): Finding {
  const item = 'rights';
  const own = credentials(machine);
  if (!own)
    return warn(item, '/proc/self/status cannot be read', 'mount /proc, so that it can be looked at.');
  const missing = has(own, CAP_SYS_ADMIN) ? [] : NEEDED.filter(([, bit]) => !has(own, bit));
  if (missing.length > 0) {
    const names = listed(
      missing.map(([name]) => name),
      'and',
    );
    return fail(
      'NOT_PRIVILEGED',
      item,
      `${own.user} lacks ${names}`,
      own.user === 'root'
        ? `give the container what is missing: docker run ${missing.map(([name]) => `--cap-add ${name.slice(4)}`).join(' ')}`
        : 'run hopspan as root, for example with sudo.',
    );
  }
  const namespace = readLink(machine, '/proc/self/ns/user');
  if (namespace !== undefined && namespace !== HOST_USER_NAMESPACE)
    return fail(
      'NOT_PRIVILEGED',
      item,
      `${own.user} is one of a user namespace only (a rootless container)`,
      'run hopspan as the root of the host, or in a container without a user namespace of its own.',
    );
  return ok(item, `${own.user}, with ${NEEDED.map(([name]) => name).join(', ')}`);
}

/**
 * What another user's process runs, and where it listens: /proc/PID/exe and what is in /proc/PID/fd take CAP_SYS_PTRACE
 * (proc(5), ptrace(2)), /proc/PID/fd itself CAP_DAC_READ_SEARCH or CAP_DAC_OVERRIDE.
 */
export function checkOtherUsers(machine: Machine): Finding {
  const item = 'other users';
  const own = credentials(machine);
  const missing = own
    ? [
        ...(has(own, CAP_SYS_PTRACE) ? [] : ['CAP_SYS_PTRACE']),
        ...(has(own, CAP_DAC_READ_SEARCH) || has(own, CAP_DAC_OVERRIDE) ? [] : ['CAP_DAC_READ_SEARCH']),
      ]
    : [];
  if (missing.length === 0)
    return ok(item, 'processes of every user can be found (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH)');
  const names = listed(missing, 'and');
  return warn(
    item,
    `without ${names}, running proxies of other users are not found`,
    `run hopspan as root, or add ${names}; proxies that start later are found by name, and all by their port.`,
  );
}

/** The kernel counts processes by the host's ids: anywhere else /proc shows others. */
export function checkPidNamespace(machine: Machine): Finding {
  const item = 'pid namespace';
  const namespace = readLink(machine, '/proc/self/ns/pid');
  if (namespace === HOST_PID_NAMESPACE) return ok(item, "the host's");
  return warn(
    item,
    namespace === undefined ? 'unknown' : "not the host's: process ids differ from the kernel's",
    'start the container with the host\'s process ids: "pid: host", or hostPID: true in Kubernetes.',
  );
}
