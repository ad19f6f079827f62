import type { PipelineSpan } from '../spans/foreign-span.ts';
import { compilePattern, PATTERN_EXPECTED } from './pattern.ts';
import {
  durationNs,
  nameOf,
  resourceAttribute,
  spanAttribute,
  statusMessageOf,
  statusOf,
  traceStateOf,
} from './span-fields.ts';

/** Whether something is so of a span. Never throws. */
export type Condition = (span: PipelineSpan) => boolean;

/** Undefined is OTTL's nil. */
type Value = string | number | boolean | readonly string[] | undefined;
type Read = (span: PipelineSpan) => Value;

/** What a condition says wrongly, and where. */
export class ConditionError extends Error {
  /** Of the character, from 0. */
  readonly at: number;
  /** Names of which one may have been meant instead of `word`. */
  readonly candidates: readonly string[];
  readonly word: string;

  /** @param expected completes "expected …" */
  constructor(at: number, expected: string, word = '', candidates: readonly string[] = []) {
    super(expected);
    this.at = at;
    this.word = word;
    this.candidates = candidates;
  }
}

const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'] as const;
const STATUS_CODES = ['UNSET', 'OK', 'ERROR'] as const;

/** OTTL's enums are numbers. */
const ENUMS: ReadonlyMap<string, number> = new Map([
  ...KINDS.map((kind, number) => [`SPAN_KIND_${kind}`, number] as const),
  ...STATUS_CODES.map((code, number) => [`STATUS_CODE_${code}`, number] as const),
]);

const PATHS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['name', nameOf],
  ['kind', (span) => KINDS.indexOf(span.kind)],
  ['status.code', (span) => STATUS_CODES.indexOf(statusOf(span))],
  ['status.message', statusMessageOf],
  ['trace_id.string', (span) => span.traceId],
  ['span_id.string', (span) => span.spanId],
  ['parent_span_id.string', (span) => span.parentSpanId ?? ''],
  ['trace_state', traceStateOf],
]);
const MAPS: ReadonlyMap<string, (key: string) => Read> = new Map([
  ['attributes', spanAttribute],
  ['resource.attributes', resourceAttribute],
]);
const END_TIME = 'end_time_unix_nano';
const START_TIME = 'start_time_unix_nano';
const VALUE_EXPECTED =
  'a path such as name or attributes["key"], a text in double quotes, a number, true, false or nil';
const PATH_NAMES = [...PATHS.keys(), ...[...MAPS.keys()].map((map) => `${map}["key"]`)];

const COMPARISONS: ReadonlyMap<string, (a: Value, b: Value) => boolean> = new Map([
  ['==', (a, b) => a === b],
  ['!=', (a, b) => a !== b],
  ['<', (a, b) => order(a, b) < 0],
  ['<=', (a, b) => order(a, b) <= 0],
  ['>', (a, b) => order(a, b) > 0],
  ['>=', (a, b) => order(a, b) >= 0],
]);

/** Less than 0, 0, or more; NaN, which compares as false, where values are in no order. */
function order(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a !== 'string' || typeof b !== 'string') return Number.NaN;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Beyond it nobody could read a condition, and nesting would end the stack. */
const MAX_CHARACTERS = 4096;
const MAX_DEPTH = 32;

/**
 * Reads a condition of a small part of OTTL: comparisons, `and`, `or`, `not`, parentheses and `IsMatch`, with OTTL's
 * precedence. Values of different types are not the same, and not in any order.
 * @throws ConditionError
 */
export function parseCondition(text: string): Condition {
  if (text.length > MAX_CHARACTERS) throw new ConditionError(MAX_CHARACTERS, 'a shorter condition');
  const parser = new Parser(tokensOf(text));
  const condition = parser.either();
  parser.end();
  return condition;
}

interface Token {
  readonly type: 'word' | 'text' | 'number' | 'sign' | 'end';
  readonly text: string;
  readonly at: number;
}

const TOKEN = /\s*(?:([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?)|(==|!=|<=|>=|[<>()[\].,-]))/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    const match = TOKEN.exec(text);
    const begin = at + (/^\s*/.exec(text.slice(at))?.[0].length ?? 0);
    if (!match) throw new ConditionError(begin, VALUE_EXPECTED);
    const [, word, quoted, number, sign] = match;
    if (word !== undefined) tokens.push({ type: 'word', text: word, at: begin });
    else if (quoted !== undefined) tokens.push({ type: 'text', text: unquoted(quoted, begin), at: begin });
    else if (number !== undefined) tokens.push({ type: 'number', text: number, at: begin });
    else tokens.push({ type: 'sign', text: sign ?? '', at: begin });
  }
  return [...tokens, { type: 'end', text: '', at: end }];
}

function unquoted(text: string, at: number): string {
  try {
    return String(JSON.parse(text));
  } catch {
    throw new ConditionError(at, 'a text with the escapes of JSON, such as \\" and \\\\');
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get #next(): Token {
    return this.#ahead(0);
  }

  #ahead(count: number): Token {
    const last = this.#tokens.length - 1;
    return this.#tokens[Math.min(this.#index + count, last)] as Token;
  }

  /** Goes past the next token if it is this one. */
  #skip(text: string): boolean {
    const { type, text: is } = this.#next;
    if (is !== text || (type !== 'word' && type !== 'sign')) return false;
    this.#index++;
    return true;
  }

  #must(text: string, expected = `"${text}"`): void {
    if (!this.#skip(text)) this.#fail(expected);
  }

  #fail(expected: string, candidates: readonly string[] = []): never {
    throw new ConditionError(this.#next.at, expected, this.#next.text, candidates);
  }

  end(): void {
    if (this.#next.type !== 'end') this.#fail('and, or, or the end');
  }

  either(): Condition {
    const parts = [this.#both()];
    while (this.#skip('or')) parts.push(this.#both());
    return parts.length === 1 && parts[0] ? parts[0] : (span) => parts.some((part) => part(span));
  }

  #both(): Condition {
    const parts = [this.#negated()];
    while (this.#skip('and')) parts.push(this.#negated());
    return parts.length === 1 && parts[0] ? parts[0] : (span) => parts.every((part) => part(span));
  }

  #negated(): Condition {
    if (!this.#skip('not')) return this.#primary();
    if (++this.#depth > MAX_DEPTH) this.#fail('fewer levels');
    const inner = this.#negated();
    this.#depth--;
    return (span) => !inner(span);
  }

  #primary(): Condition {
    if (this.#next.text === '(' && !this.#isDuration(1)) {
      this.#index++;
      if (++this.#depth > MAX_DEPTH) this.#fail('fewer levels');
      const inner = this.either();
      this.#depth--;
      this.#must(')');
      return inner;
    }
    const { type, text } = this.#next;
    if (type === 'word' && this.#ahead(1).text === '(') {
      if (text !== 'IsMatch')
        this.#fail('the function IsMatch, the only one that hopspan knows', ['IsMatch']);
      return this.#isMatch();
    }
    const left = this.#value();
    const compare = this.#next.type === 'sign' ? COMPARISONS.get(this.#next.text) : undefined;
    if (!compare) {
      /* As OTTL has it, true and false are conditions. */
      if (type === 'word' && (text === 'true' || text === 'false')) return () => text === 'true';
      this.#fail('==, !=, <, <=, > or >=');
    }
    this.#index++;
    const right = this.#value();
    return (span) => compare(left(span), right(span));
  }

  /** IsMatch(value, "pattern"): false for nil; other values as text. */
  #isMatch(): Condition {
    this.#index += 2;
    const read = this.#value();
    this.#must(',');
    const { type, text } = this.#next;
    const pattern = type === 'text' ? compilePattern(text) : undefined;
    if (!pattern) this.#fail(`${PATTERN_EXPECTED}, in double quotes`);
    this.#index++;
    this.#must(')');
    return (span) => {
      const value = read(span);
      return value !== undefined && pattern.test(String(value));
    };
  }

  #value(): Read {
    const { type, text } = this.#next;
    if (this.#isDuration(0) || (text === '(' && this.#isDuration(1))) return this.#duration();
    if (type === 'text' || type === 'number') {
      this.#index++;
      const constant = type === 'text' ? text : Number(text);
      return () => constant;
    }
    if (type !== 'word') this.#fail(VALUE_EXPECTED);
    const literal = LITERALS.get(text) ?? ENUMS.get(text);
    if (literal !== undefined || text === 'nil') {
      this.#index++;
      return () => literal;
    }
    return this.#path();
  }

  /** OTTL's way to say how long a span took; no other arithmetic is known. */
  #isDuration(ahead: number): boolean {
    const words = [END_TIME, '-', START_TIME];
    return words.every((word, index) => this.#ahead(ahead + index).text === word);
  }

  #duration(): Read {
    const isInside = this.#skip('(');
    this.#index += 3;
    if (isInside) this.#must(')');
    return durationNs;
  }

  #path(): Read {
    const begin = this.#next.at;
    const words = [this.#next.text];
    this.#index++;
    while (this.#next.text === '.' && this.#ahead(1).type === 'word') {
      words.push(this.#ahead(1).text);
      this.#index += 2;
    }
    /* OTTL's contexts may stand in front: span.name. */
    const path = (words[0] === 'span' ? words.slice(1) : words).join('.');
    const readMap = MAPS.get(path);
    if (readMap) return this.#key(readMap);
    const read = PATHS.get(path);
    if (read) return read;
    const candidates = [...PATHS.keys(), ...MAPS.keys(), ...ENUMS.keys(), ...LITERALS.keys(), 'nil'];
    throw new ConditionError(begin, `one of the paths ${PATH_NAMES.join(', ')}`, words.join('.'), candidates);
  }

  #key(readMap: (key: string) => Read): Read {
    this.#must('[', 'a key such as ["http.request.method"]');
    const { type, text } = this.#next;
    if (type !== 'text') this.#fail('a key in double quotes');
    this.#index++;
    this.#must(']');
    return readMap(text);
  }
}

const LITERALS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);
