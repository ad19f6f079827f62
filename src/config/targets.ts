import { type Check, mappingAt, mistakeAtKey, pathName, warnAtKey } from './check.ts';
import { found } from './mistakes.ts';
import { listed } from './rules.ts';
import type { ParsedEbpf } from './schema.ts';
import { SELECTORS } from './target-rules.ts';
import type { Target, TargetSelector } from './types.ts';

/** The proxies that are watched where nothing else was asked for. */
export const KNOWN_PROXIES: readonly Target[] = ['envoy', 'nginx', 'haproxy'].map((executable) => ({
  by: 'executable',
  executable,
}));

type ParsedTarget = NonNullable<ParsedEbpf['targets']>[number];

/** Checks of each `receivers.ebpf*.targets` that concern more than one key; keys with mistakes count, too. */
export function checkTargets(check: Check): void {
  for (const [name, receiver] of Object.entries(mappingAt(check, ['receivers']) ?? {})) {
    const targets = (receiver as { targets?: unknown } | null)?.targets;
    if (!Array.isArray(targets)) continue;
    const path = ['receivers', name, 'targets'];
    if (targets.length === 0)
      mistakeAtKey(check, path, `found no target in ${pathName(path)}, expected at least one`);
    const first = new Map<string, number>();
    for (const [index, target] of targets.entries())
      checkTarget(check, [...path, String(index)], target, first);
  }
}

function checkTarget(
  check: Check,
  path: readonly string[],
  target: unknown,
  first: Map<string, number>,
): void {
  if (typeof target !== 'object' || target === null || Array.isArray(target)) return;
  const given = Object.entries(target).filter(([key, value]) => isSelector(key) && value !== null);
  const hasUnknown = Object.keys(target).some((key) => !isSelector(key) && key !== 'service_name');
  // Without a selector, an unknown key is most likely a misspelt one and has its own line.
  if (given.length !== 1 && !(given.length === 0 && hasUnknown)) {
    const what =
      given.length === 0
        ? 'no selector'
        : listed(
            given.map(([key]) => key),
            'and',
          );
    mistakeAtKey(
      check,
      path,
      `found ${what} in ${pathName(path)}, expected exactly one of ${listed(SELECTORS, 'or')}`,
    );
  }
  const selector = JSON.stringify(given);
  const index = Number(path.at(-1));
  const earlier = first.get(selector);
  if (earlier === undefined) first.set(selector, index);
  else if (given.length === 1) {
    warnAtKey(
      check,
      path,
      `the target ${found(String(given[0]?.[1]))} was given before; the first one counts`,
    );
  }
}

function isSelector(key: string): boolean {
  return SELECTORS.some((selector) => selector === key);
}

/** The typed target of a parsed one that `checkTargets` found no fault with. */
export function buildTarget(parsed: ParsedTarget, serviceName: string | undefined): Target {
  const name = parsed.service_name ?? serviceName;
  return { ...selectorOf(parsed), ...(name === undefined ? {} : { serviceName: name }) };
}

function selectorOf(parsed: ParsedTarget): TargetSelector {
  if (parsed.executable !== undefined) return { by: 'executable', executable: parsed.executable };
  if (parsed.path !== undefined) return { by: 'path', path: parsed.path };
  if (parsed.pid !== undefined) return { by: 'pid', pid: parsed.pid };
  if (parsed.listen_port !== undefined) return { by: 'listen_port', listenPort: parsed.listen_port };
  throw new Error('a target without a selector passed the checks');
}
