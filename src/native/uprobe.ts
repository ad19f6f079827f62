import { readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import koffi from 'koffi';
import { functionOffset } from './elf.ts';
import { isKernelSince } from './kernel-release.ts';
import { closeDescriptor, errnoText, libc } from './memory.ts';

/** A program's attachment to one place. */
export interface Link {
  /** May be called twice. */
  detach(): void;
}

/**
 * How a program is hung on user-space functions. A `multi` link (bpf_uprobe_multi_link_attach() in
 * kernel/trace/bpf_trace.c) takes no capability, only the loaded program; the perf event takes CAP_SYS_ADMIN
 * (CAP_PERFMON on some kernels before 6.16).
 */
export type UprobeKind = 'multi' | 'perf';

/** A loaded program for user-space functions, by its descriptor. */
export interface UprobeProgram {
  readonly fd: number;
  readonly kind: UprobeKind;
}

/** enum bpf_attach_type: BPF_TRACE_UPROBE_MULTI */
export const UPROBE_MULTI = 48;

const SYSCALLS = arch() === 'arm64' ? { bpf: 280, perfEventOpen: 241 } : { bpf: 321, perfEventOpen: 298 };
const syscall3 = libc.func('long syscall(long number, long a, const void *b, long c)');
const syscall5 = libc.func('long syscall(long number, const void *a, long b, long c, long d, long e)');
const ioctl = libc.func('int ioctl(int fd, unsigned long request, long argument)');

/* include/uapi/linux/bpf.h */
const BPF_LINK_CREATE = 28;
const LINK_CREATE_BYTES = 64;
/* include/uapi/linux/perf_event.h */
const PERF_ATTR_BYTES = 112;
const PERF_FLAG_FD_CLOEXEC = 8;
const PERF_EVENT_IOC_SET_BPF = 0x40042408;
const PERF_EVENT_IOC_ENABLE = 0x2400;
const PERF_UPROBE_TYPE = '/sys/bus/event_source/devices/uprobe/type';
const ANY_CPU = -1;
const NO_GROUP = -1;

/** Before 6.10 a multi link saw only one thread of a process (commit 46ba0e49b642). */
const FIRST_MULTI = [6, 10] as const;

/** What this kernel has; a program must be loaded for the one or the other. */
export function uprobeKind(kernel: string = release()): UprobeKind {
  return isKernelSince(kernel, FIRST_MULTI) ? 'multi' : 'perf';
}

/**
 * Runs the program whenever process `pid`, any thread of it, enters a function of the ELF file at `path`.
 * Returns an errno's name where the kernel or the file does not allow it.
 */
export function attachUprobe(
  program: UprobeProgram,
  pid: number,
  path: string,
  symbol: string,
): Link | string {
  const offset = functionOffset(path, symbol);
  if (offset === undefined) return 'ENOENT';
  const file = Buffer.from(`${path}\0`);
  const fd =
    program.kind === 'multi'
      ? multiLink(program.fd, pid, file, offset)
      : perfEvent(program.fd, pid, file, offset);
  if (typeof fd === 'string') return fd;
  let attached = true;
  return {
    detach() {
      if (attached) closeDescriptor(fd);
      attached = false;
    },
  };
}

/** `struct { … } link_create` of union bpf_attr. */
function multiLink(program: number, pid: number, file: Buffer, offset: number): number | string {
  const offsets = Buffer.alloc(8);
  offsets.writeBigUInt64LE(BigInt(offset));
  const attr = Buffer.alloc(LINK_CREATE_BYTES);
  attr.writeUInt32LE(program, 0);
  attr.writeUInt32LE(UPROBE_MULTI, 8);
  attr.writeBigUInt64LE(koffi.address(file), 16);
  attr.writeBigUInt64LE(koffi.address(offsets), 24);
  attr.writeUInt32LE(1, 48); // how many offsets
  attr.writeUInt32LE(pid, 56);
  const fd: number = syscall3(SYSCALLS.bpf, BPF_LINK_CREATE, attr, attr.length);
  return fd < 0 ? errnoText() : fd;
}

/** perf_event_open(2) with the uprobe PMU: `config1` is the file's name, `config2` the offset. */
function perfEvent(program: number, pid: number, file: Buffer, offset: number): number | string {
  const type = perfType();
  if (type === undefined) return 'ENODEV';
  const attr = Buffer.alloc(PERF_ATTR_BYTES);
  attr.writeUInt32LE(type, 0);
  attr.writeUInt32LE(attr.length, 4);
  attr.writeBigUInt64LE(koffi.address(file), 56);
  attr.writeBigUInt64LE(BigInt(offset), 64);
  const fd: number = syscall5(SYSCALLS.perfEventOpen, attr, pid, ANY_CPU, NO_GROUP, PERF_FLAG_FD_CLOEXEC);
  if (fd < 0) return errnoText();
  if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) >= 0 && ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) >= 0) return fd;
  const reason = errnoText();
  closeDescriptor(fd);
  return reason;
}

function perfType(): number | undefined {
  try {
    return Number(readFileSync(PERF_UPROBE_TYPE, 'utf8'));
  } catch {
    return undefined; // a kernel without CONFIG_UPROBE_EVENTS
  }
}
