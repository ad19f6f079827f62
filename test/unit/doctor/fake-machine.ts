import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TRACEPOINTS } from '../../../src/doctor/kernel.ts';
import type { Machine } from '../../../src/doctor/machine.ts';

/** Files by their path; undefined takes one of the good machine's away. */
export type Files = Readonly<Record<string, string | Buffer | undefined>>;

export const BTF = '/sys/kernel/btf/vmlinux';

/** A BTF file that has a type for each of these tracepoints: a header and its strings. */
export function fakeBtf(tracepoints: readonly string[] = TRACEPOINTS): Buffer {
  const types = Buffer.alloc(16);
  const strings = Buffer.from(`\0int\0${tracepoints.map((name) => `btf_trace_${name}\0`).join('')}`);
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  header.writeUInt32LE(header.length, 4);
  header.writeUInt32LE(types.length, 12);
  header.writeUInt32LE(types.length, 16);
  header.writeUInt32LE(strings.length, 20);
  return Buffer.concat([header, types, strings]);
}

export function status(uid: number, capabilities: bigint): string {
  return `Name:\thopspan\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\nCapEff:\t${capabilities.toString(16).padStart(16, '0')}\n`;
}

const ALL = (1n << 41n) - 1n;
const GOOD_FILES: Files = {
  '/proc/sys/kernel/osrelease': '6.12.30-amd64\n',
  '/proc/sys/kernel/bpf_stats_enabled': '0\n',
  '/proc/sys/net/core/bpf_jit_enable': '1\n',
  '/proc/self/status': status(0, ALL),
  '/proc/self/mounts':
    'proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\n',
  '/proc/self/mountinfo': '30 24 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n',
  '/sys/kernel/security/lockdown': '[none] integrity confidentiality\n',
  [BTF]: fakeBtf(),
};
const GOOD_LINKS: Readonly<Record<string, string>> = {
  '/proc/self/ns/pid': 'pid:[4026531836]',
  '/proc/self/ns/user': 'user:[4026531837]',
};

/** A machine below a folder on which everything is well, but for what is given. */
export function fakeMachine(
  root: string,
  files: Files = {},
  links: Readonly<Record<string, string>> = {},
  rest: Partial<Machine> = {},
): Machine {
  const place = (path: string): string => {
    const full = join(root, path);
    mkdirSync(dirname(full), { recursive: true });
    return full;
  };
  for (const [path, text] of Object.entries({ ...GOOD_FILES, '/hopspan.bpf.o': '', ...files }))
    if (text !== undefined) writeFileSync(place(path), text);
  for (const [path, target] of Object.entries({ ...GOOD_LINKS, ...links })) symlinkSync(target, place(path));
  return { root, arch: 'x64', objectPath: join(root, 'hopspan.bpf.o'), libbpfVersion: () => 'v1.1', ...rest };
}
