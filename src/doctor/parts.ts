import { closeSync, openSync } from 'node:fs';
import { LIBBPF_REMEDY, LIBRARY } from '../native/libbpf.ts';
import { cgroup2Mount } from '../receiver/cgroup.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { type Machine, readText } from './machine.ts';

export function checkLibbpf(machine: Machine): Finding {
  const version = machine.libbpfVersion();
  if (version !== undefined) return ok('libbpf', version);
  return fail('LIBBPF_MISSING', 'libbpf', `${LIBRARY} (libbpf 1.0 or later) cannot be loaded`, LIBBPF_REMEDY);
}

/** The compiled probes, which an npm package brings and a checkout builds. */
export function checkObject({ objectPath }: Machine): Finding {
  const item = 'BPF object';
  try {
    /* Opened, since access(2) does not count the capabilities of a user other than root. */
    closeSync(openSync(objectPath, 'r'));
    return ok(item, objectPath);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT')
      return fail(
        'BPF_LOAD_FAILED',
        item,
        `${objectPath} cannot be read (${code})`,
        'let this user read it and its folders.',
      );
    return fail(
      'BPF_LOAD_FAILED',
      item,
      `${objectPath} does not exist`,
      'build it with "make build", or install the package anew.',
    );
  }
}

/** Where the accept hook attaches. It sees the processes of the cgroup that is mounted, and those below it. */
export function checkCgroup(machine: Machine): Finding {
  const item = 'cgroup v2';
  const mount = cgroup2Mount(readText(machine, '/proc/self/mounts') ?? '');
  if (mount === undefined)
    return warn(
      item,
      'not mounted: the moment of accept is unknown, and accept waits count as read waits',
      'mount it with: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified',
    );
  /* Only the root of the hierarchy has no cgroup.type (Documentation/admin-guide/cgroup-v2.rst, "Core Interface Files"). */
  const isPart = readText(machine, `${mount}/cgroup.type`) !== undefined;
  if (!isPart) return ok(item, `${mount}, the whole hierarchy`);
  return warn(
    item,
    `${mount} is a container's part of the hierarchy: accepts outside of it are not seen`,
    "start the container with the host's cgroup namespace (--cgroupns=host), or give it the host's /sys/fs/cgroup.",
  );
}
