import { didYouMean, found } from './mistakes.ts';

/** One scalar after `${env:NAME}` was replaced. */
export interface Expanded {
  readonly text: string;
  /** The whole scalar was one reference, so its value may be of any type. */
  readonly whole: boolean;
  /** Something was replaced; otherwise `text` is at most unescaped. */
  readonly changed: boolean;
  /** Variables that are neither set nor have a default; they count as empty. */
  readonly unset: readonly string[];
  readonly mistakes: readonly string[];
}

/** The Collector's pattern for names (confmap, internal/envvar). */
const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const NESTING_LIMIT = 8;

/** Characters of a scalar with references, and of what it becomes: well above any sensible value. */
const SOURCE_LIMIT = 8_192;
const EXPANDED_LIMIT = 65_536;

/**
 * Replaces `${env:NAME}`, `${env:NAME:-default}` and their short form without `env:`, as the OpenTelemetry
 * Collector does; `$$` is one `$`, and a default may hold references. What a variable holds is taken as it is
 * and not expanded again, so a password with a `$` in it survives.
 */
export function expandEnv(source: string, env: NodeJS.ProcessEnv, nesting = 0): Expanded {
  const mistakes: string[] = [];
  const unset: string[] = [];
  let text = '';
  let position = 0;
  let whole = false;
  let changed = false;
  if (source.length > SOURCE_LIMIT && source.includes('${')) return tooLong(SOURCE_LIMIT);
  while (position < source.length) {
    const dollar = source.indexOf('$', position);
    if (dollar < 0) break;
    text += source.slice(position, dollar);
    position = dollar + 1;
    if (source[position] === '$') {
      position += 1;
      text += '$';
      continue;
    }
    const end = source[position] === '{' ? closingBrace(source, position) : -1;
    if (end < 0) {
      text += '$';
      continue;
    }
    const result = lookUp(source.slice(position + 1, end), env, nesting);
    mistakes.push(...result.mistakes);
    unset.push(...result.unset);
    text += result.text;
    changed = true;
    whole = dollar === 0 && end === source.length - 1;
    position = end + 1;
    if (text.length > EXPANDED_LIMIT) return tooLong(EXPANDED_LIMIT);
  }
  text += source.slice(position);
  return { text, whole, changed, unset, mistakes };
}

function tooLong(limit: number): Expanded {
  const mistake = `found more than ${limit} characters with references to variables, expected fewer`;
  return { text: '', whole: false, changed: true, unset: [], mistakes: [mistake] };
}

/** Where the brace at `open` closes; -1 where it does not. */
function closingBrace(source: string, open: number): number {
  let depth = 0;
  for (let index = open; index < source.length; index += 1) {
    if (source[index] === '{' && source[index - 1] === '$') depth += 1;
    if (source[index] === '}') depth -= 1;
    if (depth === 0) return index;
  }
  return -1;
}

interface LookedUp {
  readonly text: string;
  readonly unset: readonly string[];
  readonly mistakes: readonly string[];
}

function lookUp(reference: string, env: NodeJS.ProcessEnv, nesting: number): LookedUp {
  const wrong = (what: string) => ({ text: '', unset: [], mistakes: [`found ${what}`] });
  const [, scheme, body = ''] = /^(?:([A-Za-z][\w+.]*):(?!-))?(.*)$/su.exec(reference) ?? [];
  if (scheme !== undefined && scheme !== 'env') {
    return wrong(
      `${found(`\${${scheme}:…}`)}, expected \${env:NAME} or \${env:NAME:-default}${didYouMean(scheme, ['env'])}`,
    );
  }
  const [name = '', fallback] = splitOnce(body, ':-');
  if (!NAME.test(name)) {
    return wrong(`${found(name)} as the name of a variable, expected letters, digits and _, no digit first`);
  }
  const value = env[name];
  if (value !== undefined) return { text: value, unset: [], mistakes: [] };
  if (fallback === undefined) return { text: '', unset: [name], mistakes: [] };
  if (nesting >= NESTING_LIMIT)
    return wrong(`defaults nested more than ${NESTING_LIMIT} deep, expected fewer`);
  return expandEnv(fallback, env, nesting + 1);
}

function splitOnce(text: string, separator: string): [string, string?] {
  const index = text.indexOf(separator);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + separator.length)];
}
