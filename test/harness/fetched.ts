import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Where something is that a script brought here; `missing` says in one sentence why this machine cannot have it. */
export type Fetched = { readonly path: string } | { readonly missing: string };

/** Runs a script of scripts/, which builds or fetches on its first call and prints a path. */
export function fetched(script: `get-${string}.sh`): Fetched {
  const file = fileURLToPath(new URL(`../../scripts/${script}`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(file, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status === 0) return { path: stdout.trim() };
  if (status === 4) return { missing: stderr.trim() };
  throw new Error(`${script} failed (${status}):\n${stderr}`);
}

/** The path; fails where it is missing. */
export function pathOf(found: Fetched): string {
  if ('missing' in found) throw new Error(found.missing);
  return found.path;
}
