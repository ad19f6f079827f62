import { isKernelSince } from '../native/kernel-release.ts';
import { missingTracepoints } from './btf.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { type Machine, readBytes, readText } from './machine.ts';

const BTF = '/sys/kernel/btf/vmlinux';
/** The first kernel with sk_data_ready, sock_send_length and sock_recv_length (include/trace/events/sock.h). */
const FIRST = [6, 3] as const;

/** The raw tracepoints of bpf/hopspan.bpf.c that must be there. */
export const TRACEPOINTS = [
  'inet_sock_set_state',
  'sched_process_exec',
  'sched_process_exit',
  'sched_process_fork',
  'sk_data_ready',
  'sock_recv_length',
  'sock_send_length',
  'tcp_destroy_sock',
] as const;

/** A distribution may bring the tracepoints to an older kernel: what the kernel says of itself counts more. */
export function checkKernel(machine: Machine): Finding {
  const item = 'kernel';
  const release = readText(machine, '/proc/sys/kernel/osrelease');
  if (release === undefined)
    return warn(item, 'unknown version', 'mount /proc, so that it can be looked at.');
  if (isKernelSince(release, FIRST)) return ok(item, `Linux ${release}`);
  const btf = readBytes(machine, BTF);
  if (btf && missingTracepoints(btf, TRACEPOINTS)?.length === 0) {
    return warn(
      item,
      `Linux ${release} is older than 6.3, but has the tracepoints`,
      'hopspan was not tried on such a kernel: compare its spans with what you know of the traffic.',
    );
  }
  return fail(
    'KERNEL_TOO_OLD',
    item,
    `Linux ${release} is too old`,
    'hopspan needs 6.3 or later: Debian 13, Ubuntu 24.04 and Fedora 39 have one, Debian 12 offers one in backports.',
  );
}

export function checkArchitecture(machine: Machine): Finding {
  const item = 'architecture';
  if (machine.arch === 'x64') return ok(item, 'x86_64');
  if (machine.arch === 'arm64')
    return warn(
      item,
      'aarch64',
      'hopspan was not tried on it yet: compare its spans with what you know of the traffic.',
    );
  return warn(item, machine.arch, 'run hopspan on x86_64: the buffers of system calls are not found here.');
}

/** The kernel's own types, and the tracepoints among them. */
export function checkBtf(machine: Machine): Finding {
  const item = 'BTF';
  const remedy =
    'boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as the standard ones of distributions are.';
  const btf = readBytes(machine, BTF);
  if (!btf) return fail('BTF_MISSING', item, `${BTF} does not exist`, remedy);
  const missing = missingTracepoints(btf, TRACEPOINTS);
  if (!missing) return fail('BTF_MISSING', item, `${BTF} is no BTF of this machine`, remedy);
  if (missing.length > 0) {
    const which = `tracepoint${missing.length > 1 ? 's' : ''} ${missing.join(', ')}`;
    return fail(
      'KERNEL_TOO_OLD',
      item,
      `${BTF} does not have the ${which}`,
      'boot a standard kernel of version 6.3 or later.',
    );
  }
  return ok(item, `${BTF} has all ${TRACEPOINTS.length} tracepoints`);
}

/** At "integrity" reading kernel memory stays allowed (LOCKDOWN_BPF_READ_KERNEL, include/linux/security.h). */
export function checkLockdown(machine: Machine): Finding {
  const item = 'lockdown';
  const path = '/sys/kernel/security/lockdown';
  const text = readText(machine, path);
  const mode = /\[(\w+)\]/.exec(text ?? '')?.[1];
  if (mode === 'confidentiality')
    return fail(
      'KERNEL_LOCKDOWN',
      item,
      `${path} is at "confidentiality"`,
      'boot with lockdown=integrity or without it.',
    );
  return ok(item, mode ?? 'not in this kernel, or securityfs is not mounted');
}

export function checkJit(machine: Machine): Finding {
  const item = 'BPF JIT';
  const path = '/proc/sys/net/core/bpf_jit_enable';
  const value = readText(machine, path);
  if (value === undefined) return ok(item, `unknown: ${path} cannot be read`);
  if (value !== '0') return ok(item, `on (net.core.bpf_jit_enable=${value})`);
  return warn(
    item,
    'off: probes are interpreted, which is several times slower',
    'turn it on with: sysctl -w net.core.bpf_jit_enable=1',
  );
}

export function checkStats(machine: Machine): Finding {
  const item = 'BPF statistics';
  const value = readText(machine, '/proc/sys/kernel/bpf_stats_enabled');
  if (value !== '1') return ok(item, 'off');
  return ok(item, 'on (kernel.bpf_stats_enabled=1): "bpftool prog" shows times, which cost a little');
}

/** Tracepoints are reached by their BTF, not through tracefs; other hook tiers and bpftrace need it. */
export function checkTracefs(machine: Machine): Finding {
  const item = 'tracefs';
  const mount = (readText(machine, '/proc/self/mounts') ?? '')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'tracefs')?.[1];
  if (mount) return ok(item, `mounted at ${mount}`);
  return warn(
    item,
    'not mounted, which these probes can do without',
    'for other tools, mount it with: mount -t tracefs tracefs /sys/kernel/tracing',
  );
}
