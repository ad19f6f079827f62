import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

const ROOT = new URL('../../../', import.meta.url);

export const pathOf = (path: string): string => new URL(path, ROOT).pathname;
export const read = (path: string): string => readFileSync(pathOf(path), 'utf8');
/** A YAML file as what the caller says that it is; the tests look at the parts that they use. */
export const readYaml = <T>(path: string): T => parse(read(path), { merge: true }) as T;

/** The capabilities of docs/privileges.md without which some proxies are not seen, as `BPF` and so on. */
export function leastCapabilities(): readonly string[] {
  const rows = read('docs/privileges.md').matchAll(/^\| `CAP_(\w+)` \|/gm);
  return [...rows].map(([, name = '']) => name).filter((name) => name !== 'SYS_ADMIN');
}
