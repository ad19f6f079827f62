import { readFileSync } from 'node:fs';

/** Where the cgroup v2 hierarchy is mounted, or undefined. */
export function cgroup2Mount(mounts: string = readFileSync('/proc/self/mounts', 'utf8')): string | undefined {
  for (const line of mounts.split('\n')) {
    const [, path, type] = line.split(' ');
    if (type === 'cgroup2' && path) return path.replace(/\\040/g, ' ');
  }
  return undefined;
}
