import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

const ROOT = new URL('../../../', import.meta.url);

export const pathOf = (path: string): string => new URL(path, ROOT).pathname;
export const read = (path: string): string => readFileSync(pathOf(path), 'utf8');
/** A YAML file as what the caller says that it is; the tests look at the parts that they use. */
export const readYaml = <T>(path: string): T => parse(read(path), { merge: true }) as T;

/** The command that starts hopspan in a container. */
export function launcherOf(command: readonly string[] | undefined): readonly string[] {
  const end = command?.indexOf('hopspan') ?? -1;
  assert.ok(command && end > 0, 'something starts hopspan');
  return command.slice(0, end);
}

/** Docker and Kubernetes give capabilities to root; these let setpriv hand them to another user. */
export const TO_CHANGE_USER = ['SETUID', 'SETGID'];

/** The capabilities of docs/privileges.md without which some proxies are not seen, as `BPF` and so on. */
export function leastCapabilities(): readonly string[] {
  const rows = read('docs/privileges.md')
    .split('## After')[0]
    ?.matchAll(/^\| `CAP_(\w+)` \|/gm);
  return [...(rows ?? [])].map(([, name = '']) => name).filter((name) => name !== 'SYS_ADMIN');
}

/** What passes these capabilities on from root to a user that owns nothing. */
export function setprivOf(capabilities: readonly string[]): string[] {
  const set = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(',');
  const user = ['--reuid=65532', '--regid=65532', '--clear-groups'];
  return ['setpriv', ...user, `--inh-caps=${set}`, `--ambient-caps=${set}`];
}
