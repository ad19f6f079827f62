import type { z } from 'zod';
import {
  type Check,
  mappingAt,
  mistakeAtKey,
  mistakeAtValue,
  noteUnknownKeys,
  parsePart,
  pathName,
} from './check.ts';
import { didYouMean, found } from './mistakes.ts';
import { listed } from './rules.ts';

/** One entry of `receivers`, `processors` or `exporters`: what stands before and after its colon. */
export interface Component<Type extends string, Parsed> {
  readonly type: Type;
  readonly name: string;
  readonly parsed: Parsed;
}

type ComponentOf<Schemas extends Record<string, z.ZodType>> = {
  [T in keyof Schemas & string]: Component<T, z.infer<Schemas[T]>>;
}[keyof Schemas & string];

/** What the Collector allows behind the slash (component.ID): no spaces, controls or symbols. */
const INSTANCE = /^[^\p{Z}\p{C}\p{S}]{1,1024}$/u;

/** The type in front of a component's slash, or undefined for a malformed name. */
export function componentType(name: string): string | undefined {
  const slash = name.indexOf('/');
  if (slash < 0) return name;
  return INSTANCE.test(name.slice(slash + 1)) ? name.slice(0, slash) : undefined;
}

/** Reads one section of components; those with mistakes are noted and left out. */
export function readComponents<const Schemas extends Record<string, z.ZodType>>(
  check: Check,
  sectionName: 'receivers' | 'processors' | 'exporters',
  schemas: Schemas,
): ComponentOf<Schemas>[] {
  const types = Object.keys(schemas);
  const singular = sectionName.slice(0, -1);
  const components: ComponentOf<Schemas>[] = [];
  for (const [name, value] of Object.entries(componentsOf(check, sectionName, listed(types, 'or')))) {
    const path = [sectionName, name];
    const type = componentType(name);
    const schema = type === undefined ? undefined : Object.hasOwn(schemas, type) ? schemas[type] : undefined;
    if (type === undefined) {
      mistakeAtKey(
        check,
        path,
        `found the name ${found(name)}, expected TYPE or TYPE/NAME without spaces or symbols`,
      );
    } else if (!schema) {
      const hint = didYouMean(type, types);
      mistakeAtKey(
        check,
        path,
        `found the unknown ${singular} ${found(name)}, expected ${listed(types, 'or')}${hint}`,
      );
    } else {
      const parsed = parsePart(check, schema, value, path);
      if (parsed !== undefined) components.push({ type, name, parsed } as ComponentOf<Schemas>);
    }
  }
  return components;
}

function componentsOf(check: Check, sectionName: string, types: string): Readonly<Record<string, unknown>> {
  const section = mappingAt(check, [sectionName]);
  const place = check.document.placeOf([sectionName]);
  const mayBeEmpty = sectionName === 'processors' && (section || !place || place.found === 'nothing');
  if (mayBeEmpty) return section ?? {};
  if (section && Object.keys(section).length > 0) return section;
  if (section)
    mistakeAtKey(check, [sectionName], `found no entry in ${sectionName}, expected at least one of ${types}`);
  else notAMapping(check, [sectionName], `a mapping with at least one of ${types}`);
  return {};
}

function notAMapping(check: Check, path: readonly string[], expected: string): void {
  const place = check.document.placeOf(path);
  const name = path.length === 0 ? '' : ` for ${pathName(path)}`;
  if (!place || place.found === 'nothing')
    mistakeAtKey(check, path, `found nothing${name}, expected ${expected}`);
  else mistakeAtValue(check, path, `found ${place.found}${name}, expected ${expected}`);
}

/** Checks the keys of a mapping that must be there; false where it is not a mapping at all. */
export function checkMapping(
  check: Check,
  path: readonly string[],
  requiredKeys: readonly string[],
  otherKeys: readonly string[] = [],
): boolean {
  const mapping = mappingAt(check, path);
  if (!mapping) {
    notAMapping(check, path, `a mapping with ${listed(requiredKeys, 'and')}`);
    return false;
  }
  const valid = [...requiredKeys, ...otherKeys];
  const unknown = Object.keys(mapping).filter((key) => !valid.includes(key));
  noteUnknownKeys(check, unknown, valid, path);
  return true;
}
