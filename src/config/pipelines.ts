import {
  type Check,
  mappingAt,
  mistakeAtKey,
  mistakeAtValue,
  parsePart,
  pathName,
  warnAtKey,
} from './check.ts';
import { checkMapping, componentType } from './components.ts';
import { didYouMean, found, listedNames } from './mistakes.ts';
import { isTextScalar } from './scalar.ts';
import { PIPELINE } from './schema.ts';
import type { PipelineConfig } from './types.ts';

type Role = 'receivers' | 'processors' | 'exporters';
const ROLES: readonly Role[] = ['receivers', 'processors', 'exporters'];
const PIPELINES = ['service', 'pipelines'] as const;

/** Reads `service.pipelines` and follows every name to its definition; warns of definitions nobody uses. */
export function readPipelines(check: Check): PipelineConfig[] {
  const pipelines: PipelineConfig[] = [];
  const section = mappingAt(check, PIPELINES);
  if (!section) checkMapping(check, PIPELINES, ['traces']);
  else if (Object.keys(section).length === 0) {
    mistakeAtKey(check, PIPELINES, 'found no pipeline in service.pipelines, expected traces or traces/NAME');
  }
  for (const [name, value] of Object.entries(section ?? {})) {
    const path = [...PIPELINES, name];
    if (componentType(name) !== 'traces') {
      const hint = didYouMean(name, ['traces']);
      mistakeAtKey(check, path, `found the pipeline ${found(name)}, expected traces or traces/NAME${hint}`);
    }
    const parsed = parsePart(check, PIPELINE, value, path);
    const raw = mappingAt(check, path) ?? (value === null ? {} : undefined);
    if (raw) for (const role of ROLES) checkReferences(check, [...path, role], role, raw[role] ?? []);
    if (!parsed) continue;
    const pipeline = {
      name,
      receivers: parsed.receivers ?? [],
      processors: parsed.processors ?? [],
      exporters: parsed.exporters ?? [],
    };
    pipelines.push(pipeline);
  }
  if (check.mistakes.length === 0) warnOfUnused(check, pipelines);
  return pipelines;
}

/** Looks at the names as they stand in the file, so that other mistakes of the pipeline hide none of these. */
function checkReferences(check: Check, path: readonly string[], role: Role, names: unknown): void {
  if (!Array.isArray(names)) return;
  const singular = role.slice(0, -1);
  const defined = Object.keys(mappingAt(check, [role]) ?? {});
  if (names.length === 0 && role !== 'processors') {
    mistakeAtKey(check, path, `found no ${singular} in ${pathName(path)}, expected at least one`);
  }
  const seen = new Set<string>();
  for (const [index, value] of names.entries()) {
    const name = isTextScalar(value) ? value.text : value;
    if (typeof name !== 'string') continue;
    const item = [...path, String(index)];
    if (!defined.includes(name)) {
      const known = defined.length === 0 ? 'none, as there is none' : listedNames(defined);
      const what = `found the ${singular} ${found(name)}, which is not defined under ${role}`;
      mistakeAtValue(check, item, `${what}, expected ${known}${didYouMean(name, defined)}`);
    } else if (seen.has(name)) {
      mistakeAtValue(
        check,
        item,
        `found the ${singular} ${found(name)} again, expected it once in ${pathName(path)}`,
      );
    }
    seen.add(name);
  }
}

function warnOfUnused(check: Check, pipelines: readonly PipelineConfig[]): void {
  for (const role of ROLES) {
    const used = new Set(pipelines.flatMap((pipeline) => pipeline[role]));
    for (const name of Object.keys(mappingAt(check, [role]) ?? {})) {
      if (used.has(name)) continue;
      warnAtKey(
        check,
        [role, name],
        `the ${role.slice(0, -1)} ${found(name)} is used by no pipeline and is not started`,
      );
    }
  }
}
