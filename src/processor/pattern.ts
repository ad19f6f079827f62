import { setFlagsFromString } from 'node:v8';

/* Values come from the wire: a pattern that runs away on one of them goes on in time that grows with its length only. */
setFlagsFromString('--enable-experimental-regexp-engine');
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');

/** What `compilePattern` takes, for messages. */
export const PATTERN_EXPECTED =
  'a regular expression as Go has them: no look-around, no back-references, no flags inside';

/**
 * A regular expression that takes time linear in the text, whatever the text: the part of Go's RE2 that JavaScript
 * writes alike. Undefined for one that is not valid or needs backtracking.
 * @param flags of JavaScript, such as `g`
 */
export function compilePattern(source: string, flags = ''): RegExp | undefined {
  try {
    /* `l`: V8's linear engine can execute it; without `l` the faster engine does, until it backtracks too much. */
    new RegExp(source, `${flags}l`);
    return new RegExp(source, flags);
  } catch {
    return undefined;
  }
}
