import { HopspanError } from '../errors.ts';
import { found } from './mistakes.ts';
import { applyRule, integerRule, type Rule, textRule } from './rules.ts';
import { textScalar } from './scalar.ts';
import type { TargetSelector } from './types.ts';

/** NAME_MAX and PATH_MAX of Linux (include/uapi/linux/limits.h), the latter with its closing NUL. */
const NAME_MAX_BYTES = 255;
const PATH_MAX_BYTES = 4095;
/** PID_MAX_LIMIT of 64-bit Linux (include/linux/threads.h). */
const PID_MAX = 4_194_304;

export const EXECUTABLE_RULE = textRule(
  'the name of an executable without its folder, such as envoy',
  (text) => !/^\.{0,2}$|\//.test(text) && Buffer.byteLength(text) <= NAME_MAX_BYTES,
);

export const PATH_RULE = textRule(
  'the absolute path of an executable, such as /usr/local/bin/envoy',
  (text) => text.startsWith('/') && !text.endsWith('/') && Buffer.byteLength(text) <= PATH_MAX_BYTES,
);

export const PID_RULE: Rule<number> = {
  ...integerRule(1, PID_MAX),
  expected: `a process id from 1 to ${PID_MAX}`,
};

export const PORT_RULE: Rule<number> = { ...integerRule(1, 65_535), expected: 'a TCP port from 1 to 65535' };

export const SERVICE_NAME_RULE = textRule(
  'a service name of 1 to 255 characters',
  (text) => text.trim() === text && text.length <= 255,
);

/** The ways to select a target, by their key in the file and (with dashes) their flag. */
export const SELECTORS = ['executable', 'path', 'pid', 'listen_port'] as const;

export type SelectorFlag = '--executable' | '--path' | '--pid' | '--listen-port';

/**
 * The target that a command line flag selects, by the rules of the file's keys.
 * Throws CONFIG_INVALID that names the flag.
 */
export function parseTargetFlag(flag: SelectorFlag, text: string): TargetSelector {
  switch (flag) {
    case '--executable':
      return { by: 'executable', executable: parseFlag(EXECUTABLE_RULE, flag, text) };
    case '--path':
      return { by: 'path', path: parseFlag(PATH_RULE, flag, text) };
    case '--pid':
      return { by: 'pid', pid: parseFlag(PID_RULE, flag, text) };
    case '--listen-port':
      return { by: 'listen_port', listenPort: parseFlag(PORT_RULE, flag, text) };
  }
}

function parseFlag<T>(rule: Rule<T>, flag: string, text: string): T {
  const value = applyRule(rule, textScalar(text));
  if (value !== undefined) return value;
  throw new HopspanError('CONFIG_INVALID', `${flag}: found ${found(text)}, expected ${rule.expected}`);
}
