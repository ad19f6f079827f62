import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const BPF_FILE_SYSTEM = '/sys/fs/bpf';

/** Kinds of kernel objects, as bpftool's sub-commands and /proc/PID/fdinfo name them. */
const KINDS = { prog: 'prog_id', map: 'map_id', link: 'link_id' } as const;

/** Kernel objects by their ids, `prog 12`, which the kernel does not give again for a long time. */
export type BpfObjects = ReadonlySet<string>;

/** Every program, map and link that the kernel holds, whoever made it. */
export function allBpfObjects(): BpfObjects {
  return new Set(Object.keys(KINDS).flatMap((kind) => list(kind).map(({ id }) => `${kind} ${id}`)));
}

/** Those that a process holds open (proc_pid_fdinfo(5)), and the programs' names. */
export function bpfObjectsOf(pid: number): { readonly objects: BpfObjects; readonly names: string[] } {
  const objects = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    const info = readOrNothing(`/proc/${pid}/fdinfo/${fd}`);
    for (const [kind, field] of Object.entries(KINDS)) {
      const id = new RegExp(`^${field}:\\s+(\\d+)$`, 'm').exec(info)?.[1];
      if (id) objects.add(`${kind} ${id}`);
    }
  }
  const names = list('prog').flatMap(({ id, name }) => (objects.has(`prog ${id}`) && name ? [name] : []));
  return { objects, names };
}

/** Whatever is pinned, by path. */
export function bpfPins(): string[] {
  return readdirSync(BPF_FILE_SYSTEM, { recursive: true, encoding: 'utf8' });
}

function list(kind: string): { readonly id: number; readonly name?: string }[] {
  return JSON.parse(execFileSync('bpftool', ['-j', kind, 'list'], { encoding: 'utf8' }));
}

/** A descriptor may be closed between the listing and the look. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
