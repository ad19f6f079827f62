import { parseDurationNs } from './duration.ts';
import { isTextScalar } from './scalar.ts';

/** What one value may be: read by the file's schema, the OTEL_* variables, the command line and the reference. */
export interface Rule<T> {
  /** Completes "expected …". */
  readonly expected: string;
  /** Returns undefined for what does not fit. */
  readonly parse: (value: unknown) => T | undefined;
  /** All valid values, where there are few. */
  readonly candidates?: readonly string[];
}

/** Applies a rule to a value of the file, or to text whose type is open. */
export function applyRule<T>(rule: Rule<T>, value: unknown): T | undefined {
  if (!isTextScalar(value)) return rule.parse(value);
  return rule.parse(value.text) ?? rule.parse(value.typed);
}

/** A text without control characters; empty text is no text. */
export function textRule(expected: string, accept: (text: string) => boolean = () => true): Rule<string> {
  const parse = (value: unknown) =>
    typeof value === 'string' && value !== '' && !/\p{Cc}/u.test(value) && accept(value) ? value : undefined;
  return { expected, parse };
}

export function integerRule(minimum: number, maximum: number, unit = ''): Rule<number> {
  const inRange = (value: number) => Number.isSafeInteger(value) && value >= minimum && value <= maximum;
  return {
    expected: `an integer from ${minimum} to ${maximum}${unit && ` ${unit}`}`,
    parse: (value) => (typeof value === 'number' && inRange(value) ? value : undefined),
  };
}

export function numberRule(minimum: number, maximum: number): Rule<number> {
  return {
    expected: `a number from ${minimum} to ${maximum}`,
    parse: (value) => (typeof value === 'number' && value >= minimum && value <= maximum ? value : undefined),
  };
}

export function booleanRule(): Rule<boolean> {
  const parse = (value: unknown) => (typeof value === 'boolean' ? value : undefined);
  return { expected: 'true or false', parse, candidates: ['true', 'false'] };
}

export function oneOfRule<const T extends string>(...candidates: readonly T[]): Rule<T> {
  const parse = (value: unknown) => candidates.find((candidate) => candidate === value);
  return { expected: listed(candidates, 'or'), parse, candidates };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** A number of bytes, or one of KiB, MiB or GiB; both bounds are written like that, too. */
export function sizeRule(minimum: string, maximum: string): Rule<number> {
  const read = (value: unknown) => {
    const [, digits = '', unit = ''] = /^(\d{1,15}) ?([KMG]iB)?$/.exec(String(value)) ?? [];
    return digits === '' ? Number.NaN : Number(digits) * (UNITS[unit] as number);
  };
  const [low, high] = [read(minimum), read(maximum)];
  return {
    expected: `bytes, or a size such as 512MiB or 2GiB, from ${minimum} to ${maximum}`,
    parse: (value) => {
      const bytes = typeof value === 'number' || typeof value === 'string' ? read(value) : Number.NaN;
      return bytes >= low && bytes <= high ? bytes : undefined;
    },
  };
}

/** A duration as Go writes it, between two such durations; gives nanoseconds. */
export function durationNsRule(minimum: string, maximum: string): Rule<number> {
  const [minimumNs = 0, maximumNs = 0] = [parseDurationNs(minimum), parseDurationNs(maximum)];
  const read = (value: unknown) =>
    value === 0 ? 0 : typeof value === 'string' ? parseDurationNs(value) : undefined;
  return {
    expected: `a duration such as "5s", "200ms" or "1m30s", from ${minimum} to ${maximum}`,
    parse: (value) => {
      const ns = read(value);
      return ns !== undefined && ns >= minimumNs && ns <= maximumNs ? ns : undefined;
    },
  };
}

/** As `durationNsRule`, in milliseconds (not always whole). */
export function durationMsRule(minimum: string, maximum: string): Rule<number> {
  const rule = durationNsRule(minimum, maximum);
  const parse = (value: unknown) => {
    const ns = rule.parse(value);
    return ns === undefined ? undefined : ns / 1e6;
  };
  return { expected: rule.expected, parse };
}

/** "a", "a or b", "a, b or c". */
export function listed(words: readonly string[], conjunction: 'and' | 'or'): string {
  const last = words.at(-1) ?? 'none';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} ${conjunction} ${last}`;
}
