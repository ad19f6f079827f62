import { z } from 'zod';
import { applyRule, type Rule } from './rules.ts';
import { isTextScalar, textScalar } from './scalar.ts';

/** What the reference (docs/configuration.md) says about one key. */
export interface FieldInfo {
  readonly accepts: string;
  readonly default: string;
  readonly meaning: string;
}

export const FIELD_INFO = z.registry<FieldInfo>();

/**
 * A key that may be left out, or be null as in the Collector; `fallback` then stands for it. `shownDefault` is
 * the default as a user would write it.
 */
export function optional<T, const F extends T | undefined>(
  rule: Rule<T>,
  fallback: F,
  shownDefault: string,
  meaning: string,
) {
  const schema = z
    .preprocess(nullIfUnset, leaf(rule).nullish())
    .transform((value): T | F => value ?? fallback);
  return schema.register(FIELD_INFO, { accepts: rule.expected, default: shownDefault, meaning });
}

/** A key that must be there. */
export function required<T>(rule: Rule<T>, meaning: string) {
  return leaf(rule).register(FIELD_INFO, { accepts: rule.expected, default: 'required', meaning });
}

/** A mapping with these keys and no others; absent or null it is empty, so that its keys' defaults hold. */
export function section<const S extends z.core.$ZodLooseShape>(shape: S) {
  const keys = Object.keys(shape);
  const error = (issue: { code?: string }) =>
    issue.code === 'unrecognized_keys' ? keys.join(' ') : 'a mapping';
  return z.preprocess((value) => typedOf(value) ?? {}, z.strictObject(shape, { error }));
}

/** As `section`, but absent it is undefined; null, it is there with its keys' defaults. */
export function optionalSection<const S extends z.core.$ZodLooseShape>(shape: S) {
  return z.preprocess(
    (value) => (value === undefined ? undefined : (typedOf(value) ?? {})),
    section(shape).optional(),
  );
}

/** A list; absent or null it is undefined. */
export function list<const T extends z.core.SomeType>(item: T, info: FieldInfo) {
  const schema = z.preprocess(typedOf, z.array(item, { error: info.accepts }).nullish());
  return schema.register(FIELD_INFO, info);
}

function leaf<T>(rule: Rule<T>) {
  return z.unknown().transform((value, context): T => {
    const result = applyRule(rule, value);
    if (result !== undefined) return result;
    context.addIssue({
      code: 'custom',
      message: rule.expected,
      params: { candidates: rule.candidates ?? [], quoted: isQuoted(rule, value) },
    });
    return z.NEVER;
  });
}

/** A text that would be right without its quotes. */
function isQuoted<T>(rule: Rule<T>, value: unknown): boolean {
  return typeof value === 'string' && rule.parse(textScalar(value).typed) !== undefined;
}

function nullIfUnset(value: unknown): unknown {
  return typedOf(value) === null ? null : value;
}

function typedOf(value: unknown): unknown {
  return isTextScalar(value) ? value.typed : value;
}
