import { listed } from '../config/rules.ts';
import { uprobeKind } from '../native/uprobe.ts';
import {
  type Capability,
  type Credentials,
  maskOf,
  namesOf,
  parseCredentials,
} from '../privileges/capabilities.ts';
import type { Need } from '../privileges/needed.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { type Machine, readLink, readText } from './machine.ts';

/** Without these nothing can be watched. */
const NEEDED = ['CAP_BPF', 'CAP_PERFMON'] as const;
/** Names in one line. */
const MOST_NAMES = 6;
/* The host's own namespaces have fixed inode numbers, include/linux/proc_ns.h. */
const HOST_PID_NAMESPACE = 'pid:[4026531836]';
const HOST_USER_NAMESPACE = 'user:[4026531837]';

function credentials(machine: Machine): Credentials | undefined {
  return parseCredentials(readText(machine, '/proc/self/status') ?? '');
}

function nameOf({ uid }: Credentials): string {
  return uid === 0 ? 'root' : `user ${uid ?? 'unknown'}`;
}

function has({ effective }: Credentials, capability: Capability): boolean {
  return (effective & maskOf(capability)) !== 0n;
}

/** CAP_SYS_ADMIN stands for each that BPF asks for (bpf_capable() and its like in the kernel). */
function allows(own: Credentials, capability: Capability): boolean {
  return has(own, capability) || has(own, 'CAP_SYS_ADMIN');
}

/** May this process load the raw tracepoints, which all else is built on? */
export function checkRights(machine: Machine): Finding {
  const item = 'rights';
  const own = credentials(machine);
  if (!own)
    return warn(item, '/proc/self/status cannot be read', 'mount /proc, so that it can be looked at.');
  const missing = NEEDED.filter((capability) => !allows(own, capability));
  if (missing.length > 0) {
    const names = listed(missing, 'and');
    return fail(
      'NOT_PRIVILEGED',
      item,
      `${nameOf(own)} lacks ${names}`,
      own.uid === 0
        ? `give the container what is missing: docker run ${missing.map((name) => `--cap-add ${name.slice(4)}`).join(' ')}`
        : 'run hopspan as root, for example with sudo.',
    );
  }
  const namespace = readLink(machine, '/proc/self/ns/user');
  if (namespace !== undefined && namespace !== HOST_USER_NAMESPACE)
    return fail(
      'NOT_PRIVILEGED',
      item,
      `${nameOf(own)} is one of a user namespace only (a rootless container)`,
      'run hopspan as the root of the host, or in a container without a user namespace of its own.',
    );
  return ok(item, `${nameOf(own)}, with ${NEEDED.join(', ')}: raw tracepoints are allowed`);
}

/** A cgroup program for sockets takes CAP_NET_ADMIN (is_net_admin_prog_type() in kernel/bpf/syscall.c). */
export function checkAcceptHook(machine: Machine): Finding {
  const item = 'accept hook';
  const own = credentials(machine);
  if (!own || allows(own, 'CAP_NET_ADMIN')) return ok(item, 'allowed (CAP_NET_ADMIN)');
  return warn(
    item,
    'without CAP_NET_ADMIN the moment of accept is unknown, and accept waits count as read waits',
    'run hopspan as root, or add CAP_NET_ADMIN.',
  );
}

/** What the kernel asks for where turns of event loops are counted. */
export function checkTurns(machine: Machine): Finding {
  const item = 'turns';
  const kind = uprobeKind(readText(machine, '/proc/sys/kernel/osrelease') ?? '');
  if (kind === 'multi') return ok(item, 'allowed: this kernel asks for no capability');
  const own = credentials(machine);
  if (!own || has(own, 'CAP_SYS_ADMIN')) return ok(item, 'allowed (CAP_SYS_ADMIN)');
  return warn(
    item,
    'without CAP_SYS_ADMIN a kernel before 6.10 may count no turns of event loops: what ends TLS stays unpaired',
    'run hopspan as root, or add CAP_SYS_ADMIN; or say turns: off.',
  );
}

/** What is left after attaching; of what it has, by the receivers' needs. */
export function checkGivenUp(machine: Machine, needs: readonly Need[]): Finding {
  const item = 'after attaching';
  const own = credentials(machine);
  if (!own) return ok(item, 'unknown: /proc/self/status cannot be read');
  const kept = maskOf(...needs.map(({ capability }) => capability));
  const given = namesOf(own.permitted & ~kept);
  const gives =
    given.length > MOST_NAMES
      ? `all ${given.length} others are given up`
      : `${listed(given, 'and')} given up`;
  const keeps = [...Map.groupBy(needs, ({ reason }) => reason)].map(([reason, those]) => {
    const names = those.map(({ capability }) => capability);
    return `${listed(names, 'and')} (${reason})`;
  });
  const parts = [
    keeps.length === 0 ? 'no capability is kept' : `kept: ${keeps.join(', ')}`,
    ...(given.length > 0 ? [gives] : []),
    ...(own.uid === 0 ? ["root's own files stay open to it: better a user of its own"] : []),
  ];
  return ok(item, parts.join('; '));
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
        ...(has(own, 'CAP_SYS_PTRACE') ? [] : ['CAP_SYS_PTRACE']),
        ...(has(own, 'CAP_DAC_READ_SEARCH') || has(own, 'CAP_DAC_OVERRIDE') ? [] : ['CAP_DAC_READ_SEARCH']),
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
