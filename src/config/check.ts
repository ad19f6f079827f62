import type { z } from 'zod';
import type { ConfigDocument } from './document.ts';
import { didYouMean, found, type Remark, shortened } from './mistakes.ts';
import { listed } from './rules.ts';

export type Path = readonly PropertyKey[];

/** Collects what is wrong with one document; each remark stands at its place in the file. */
export interface Check {
  readonly document: ConfigDocument;
  readonly mistakes: Remark[];
  readonly warnings: Remark[];
}

/** The document's value at a path as a mapping; undefined where there is none. */
export function mappingAt(check: Check, path: Path): Readonly<Record<string, unknown>> | undefined {
  let value = check.document.value;
  for (const key of path) value = isMapping(value) ? value[String(key)] : undefined;
  return isMapping(value) ? value : undefined;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}

/** Notes a mistake at the key that a path ends with, or at the nearest one above it that is there. */
export function mistakeAtKey(check: Check, path: Path, text: string): void {
  check.mistakes.push({ offset: keyOffset(check, path), text });
}

/** Notes a mistake at the value of a path, or at the nearest key above it that is there. */
export function mistakeAtValue(check: Check, path: Path, text: string): void {
  const offset = valueOffset(check, path);
  // A value that could not even be read (a bad reference or alias) has its line already.
  if (check.document.mistakes.some((mistake) => mistake.offset === offset)) return;
  check.mistakes.push({ offset, text });
}

export function warnAtKey(check: Check, path: Path, text: string): void {
  check.warnings.push({ offset: keyOffset(check, path), text });
}

export function warnAtValue(check: Check, path: Path, text: string): void {
  check.warnings.push({ offset: valueOffset(check, path), text });
}

/** Of the value, or of the nearest key above it that is there; undefined where there is no file at all. */
export function valueOffset(check: Check, path: Path): number | undefined {
  return check.document.placeOf(path)?.offset ?? keyOffset(check, path);
}

/** Undefined where there is no file at all. */
function keyOffset(check: Check, path: Path): number | undefined {
  for (let length = path.length; length >= 0; length -= 1) {
    const place = check.document.placeOf(path.slice(0, length));
    if (place) return place.keyOffset;
  }
  return undefined;
}

/** Parses a part of the document; every issue becomes a remark, and the result is then undefined. */
export function parsePart<S extends z.ZodType>(check: Check, schema: S, value: unknown, path: Path) {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) noteIssue(check, issue, [...path, ...issue.path]);
  return undefined;
}

function noteIssue(check: Check, issue: z.core.$ZodIssue, path: Path): void {
  if (issue.code === 'unrecognized_keys') {
    noteUnknownKeys(check, issue.keys, issue.message.split(' '), path);
    return;
  }
  const params: Record<string, unknown> = issue.code === 'custom' ? (issue.params ?? {}) : {};
  const name = pathName(path);
  if (params.atKey === true) {
    const key = found(String(path.at(-1)));
    mistakeAtKey(
      check,
      path,
      `found the key ${key} in ${pathName(path.slice(0, -1))}, expected ${issue.message}`,
    );
    return;
  }
  const place = check.document.placeOf(path);
  if (!place || place.found === 'nothing') {
    mistakeAtKey(check, path, `found no ${name}, expected ${issue.message}`);
    return;
  }
  const shown = params.secret === true ? 'something else' : place.found;
  const candidates = Array.isArray(params.candidates) ? params.candidates.map(String) : [];
  const hint =
    params.quoted === true
      ? '; leave out the quotes'
      : (spaceHint(shown, issue.message) ?? didYouMean(shown.replace(/^"(.*)"$/, '$1'), candidates));
  mistakeAtValue(check, path, `found ${shown} for ${name}, expected ${issue.message}${hint}`);
}

/** For a text where a mapping should be, most likely one whose colon has no space behind it. */
function spaceHint(shown: string, expected: string): string | undefined {
  const [, key, value] = /^"([a-z_]+):([^\s:/]+)"$/.exec(shown) ?? [];
  return expected === 'a mapping' && key ? `; did you mean "${key}: ${value}"?` : undefined;
}

/** Unknown keys of one mapping, each at its place. */
export function noteUnknownKeys(
  check: Check,
  keys: readonly string[],
  valid: readonly string[],
  path: Path,
): void {
  for (const key of keys) {
    const where = pathName(path);
    const hint = didYouMean(key, valid);
    mistakeAtKey(
      check,
      [...path, key],
      `found the key ${found(key)} in ${where}, expected ${listed(valid, 'or')}${hint}`,
    );
  }
}

/** A path for a message: `exporters.otlp`, `targets[0]`, or "the file" for its root. */
export function pathName(path: Path): string {
  if (path.length === 0) return 'the file';
  const parts = path.map((key) =>
    /^\d+$/.test(String(key)) ? `[${String(key)}]` : `.${shortened(String(key))}`,
  );
  return parts.join('').replace(/^\./, '');
}
