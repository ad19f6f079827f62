import type { z } from 'zod';
import { compilePattern, PATTERN_EXPECTED } from '../processor/pattern.ts';
import { PRECISION } from '../processor/randomness.ts';
import { DETECTORS } from '../processor/resource-detection.ts';
import { list, optional, required, section } from './fields.ts';
import { booleanRule, durationMsRule, integerRule, listed, oneOfRule, type Rule, textRule } from './rules.ts';
import { KEY_RULE, PERCENT_RULE, TAIL_SAMPLING } from './schema-tail-sampling.ts';

const SCALAR_RULE: Rule<string | number | boolean> = {
  expected: 'a text, a number, true or false',
  parse: (value) =>
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value))
      ? value
      : undefined,
};

const HOP_PARENT = section({
  wait: optional(
    durationMsRule('0s', '1m'),
    2_000,
    '2s',
    "How long an application's SERVER span waits for the hops of its trace.",
  ),
  remember: optional(
    durationMsRule('0s', '10m'),
    30_000,
    '30s',
    "How long hops are remembered for applications' spans that come later. SDKs send every 5 s by default.",
  ),
  max_spans: optional(
    integerRule(1, 1_000_000, 'spans'),
    65_536,
    '65536',
    "The most spans that wait, and the most of hops' that are remembered; above it the oldest go.",
  ),
});

const FILTER = section({
  error_mode: optional(
    oneOfRule('ignore', 'silent', 'propagate'),
    'propagate',
    'propagate',
    'Taken for the sake of files of the Collector: conditions of this kind cannot fail.',
  ),
  traces: section({
    span: list(required(textRule('a condition'), ''), {
      accepts: 'a list of conditions',
      default: 'required',
      meaning: 'Spans for which one of these is true are dropped; see docs/processors.md.',
    }),
  }),
});

const PATTERN = textRule(PATTERN_EXPECTED, (text) => compilePattern(text) !== undefined);

const ATTRIBUTES = section({
  actions: list(
    section({
      key: optional(KEY_RULE, undefined, 'none', 'The attribute that is changed.'),
      action: required(
        oneOfRule('insert', 'update', 'upsert', 'delete', 'hash'),
        '`insert`: only where there is none; `update`: only where there is one; `upsert`: both. `hash`: SHA-256 of the value.',
      ),
      value: optional(
        SCALAR_RULE,
        undefined,
        'none',
        'For `insert`, `update` and `upsert`: the value, with the type that YAML gives it.',
      ),
      from_attribute: optional(
        KEY_RULE,
        undefined,
        'none',
        'Instead of `value`: another attribute of the span; where it is not there nothing is done.',
      ),
      pattern: optional(
        PATTERN,
        undefined,
        'none',
        'For `delete` and `hash`: a regular expression of names, beside `key` or instead of it.',
      ),
    }),
    {
      accepts: 'a list of actions',
      default: 'required',
      meaning: 'Done in this order, each on what the one before left.',
    },
  ),
});

const keys = (meaning: string) =>
  list(required(KEY_RULE, ''), { accepts: 'a list of names of attributes', default: 'none', meaning });
const patterns = (meaning: string) =>
  list(required(PATTERN, ''), { accepts: 'a list of regular expressions', default: 'none', meaning });

const REDACTION = section({
  allow_all_keys: optional(
    booleanRule(),
    false,
    'false',
    'Without it every attribute is removed that is not in `allowed_keys`, of resources too.',
  ),
  allowed_keys: keys('Attributes that are left.'),
  ignored_keys: keys('Attributes that are left and not looked at.'),
  blocked_key_patterns: patterns('Attributes whose name matches have their value masked whole.'),
  blocked_values: patterns('What matches in a value is replaced by `****`.'),
  allowed_values: patterns('Values that match are not masked.'),
  redact_all_types: optional(
    booleanRule(),
    false,
    'false',
    'Numbers and booleans are looked at, too, as text; lists and maps are looked through always.',
  ),
  summary: optional(
    oneOfRule('silent'),
    'silent',
    'silent',
    'Attributes about what was redacted: hopspan adds none.',
  ),
});

const PROBABILISTIC_SAMPLER = section({
  sampling_percentage: required(PERCENT_RULE, 'So many percent of all traces are kept, by their ids.'),
  mode: optional(
    oneOfRule('equalizing'),
    'equalizing',
    'equalizing',
    "The Collector's mode of that name; it has others, of which `hash_seed` is its default.",
  ),
  sampling_precision: optional(
    integerRule(1, 14),
    PRECISION,
    String(PRECISION),
    'Hexadecimal digits of the threshold that stands in the tracestate.',
  ),
});

const MIB_RULE = integerRule(1, 1_048_576, 'MiB');
const PERCENTAGE_RULE: Rule<number> = { ...integerRule(1, 100), expected: 'a percentage from 1 to 100' };

const MEMORY_LIMITER = section({
  check_interval: required(durationMsRule('100ms', '1m'), 'Between two looks; 1s is recommended.'),
  limit_mib: optional(
    MIB_RULE,
    undefined,
    'none',
    "The most that hopspan's heap and buffers should take; the process takes some 100 MiB more.",
  ),
  spike_limit_mib: optional(
    MIB_RULE,
    undefined,
    '20 % of the limit',
    'Receivers wait from so much below the limit on.',
  ),
  limit_percentage: optional(
    PERCENTAGE_RULE,
    undefined,
    'none',
    'Instead of `limit_mib`: of the memory of the container, else of the machine.',
  ),
  spike_limit_percentage: optional(
    PERCENTAGE_RULE,
    undefined,
    'none',
    'Instead of `spike_limit_mib`, with `limit_percentage`: of the same memory.',
  ),
  min_gc_interval_when_soft_limited: optional(
    durationMsRule('0s', '1h'),
    10_000,
    '10s',
    'Between two collections of garbage while receivers wait.',
  ),
  min_gc_interval_when_hard_limited: optional(
    durationMsRule('0s', '1h'),
    0,
    '0s',
    'The same above the limit.',
  ),
});

const BATCH = section({
  timeout: optional(
    durationMsRule('0s', '1m'),
    200,
    '200ms',
    'The longest that a span waits; 0: it does not.',
  ),
  send_batch_size: optional(
    integerRule(0, 1_000_000, 'spans'),
    8192,
    '8192',
    'Spans go on when so many are there; 0: when the time is over.',
  ),
});

const RESOURCE_DETECTION = section({
  detectors: list(required(oneOfRule(...DETECTORS), ''), {
    accepts: `a list of ${listed(DETECTORS, 'or')}`,
    default: '[env]',
    meaning:
      '`env`: the attributes in `OTEL_RESOURCE_ATTRIBUTES`; `system`: the host and its operating system. Of an attribute that two of them give, the first one counts.',
  }),
  timeout: optional(
    durationMsRule('1ms', '1m'),
    5_000,
    '5s',
    'The longest that the start waits for the detectors.',
  ),
  override: optional(booleanRule(), true, 'true', 'Attributes that a resource has already are replaced.'),
});

/** Hopspan's own first; the others have the Collector's names and keys. */
export const PROCESSORS = {
  hop_parent: HOP_PARENT,
  tail_sampling: TAIL_SAMPLING,
  filter: FILTER,
  attributes: ATTRIBUTES,
  redaction: REDACTION,
  probabilistic_sampler: PROBABILISTIC_SAMPLER,
  memory_limiter: MEMORY_LIMITER,
  batch: BATCH,
  resourcedetection: RESOURCE_DETECTION,
};

export type ParsedMemoryLimiter = z.infer<typeof MEMORY_LIMITER>;
