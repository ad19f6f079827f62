import type { z } from 'zod';
import { list, optional, optionalSection, required, section } from './fields.ts';
import {
  booleanRule,
  durationMsRule,
  integerRule,
  numberRule,
  oneOfRule,
  type Rule,
  textRule,
} from './rules.ts';

const STATUS_CODES = oneOfRule('ERROR', 'OK', 'UNSET');
export const KEY_RULE = textRule('the name of an attribute');
export const PERCENT_RULE: Rule<number> = { ...numberRule(0, 100), expected: 'a percentage from 0 to 100' };
const MILLISECONDS = integerRule(0, 3_600_000, 'milliseconds');
const ANY_INTEGER = integerRule(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);

const SIMPLE_TYPES = [
  'always_sample',
  'status_code',
  'latency',
  'string_attribute',
  'numeric_attribute',
  'boolean_attribute',
  'probabilistic',
] as const;

const SETTINGS = {
  status_code: optionalSection({
    status_codes: list(required(STATUS_CODES, ''), {
      accepts: `a list of ${STATUS_CODES.expected}`,
      default: 'required',
      meaning: 'Keeps traces with a span of one of these.',
    }),
  }),
  latency: optionalSection({
    threshold_ms: required(MILLISECONDS, 'Keeps traces that took so long or longer, in milliseconds.'),
    upper_threshold_ms: optional(
      MILLISECONDS,
      0,
      '0',
      'Only those that took less than this; 0: no such limit.',
    ),
    span_name: optional(
      textRule('the name of a span'),
      undefined,
      'none',
      'Not in the Collector: spans of this name are looked at, each by itself, instead of the whole trace; `read wait` for example.',
    ),
  }),
  string_attribute: optionalSection({
    key: required(KEY_RULE, 'Of a span or its resource.'),
    values: list(required(textRule('a text'), ''), {
      accepts: 'a list of texts',
      default: 'required',
      meaning: 'Keeps traces where it has one of these values.',
    }),
    enabled_regex_matching: optional(
      booleanRule(),
      false,
      'false',
      'The values are regular expressions: the part of RE2 that JavaScript writes alike.',
    ),
  }),
  numeric_attribute: optionalSection({
    key: required(KEY_RULE, 'Of a span or its resource.'),
    min_value: optional(
      ANY_INTEGER,
      Number.MIN_SAFE_INTEGER,
      'no limit',
      'Keeps traces where it is at least this.',
    ),
    max_value: optional(
      ANY_INTEGER,
      Number.MAX_SAFE_INTEGER,
      'no limit',
      'Keeps traces where it is at most this.',
    ),
  }),
  boolean_attribute: optionalSection({
    key: required(KEY_RULE, 'Of a span or its resource.'),
    value: required(booleanRule(), 'Keeps traces where it has this value.'),
  }),
  probabilistic: optionalSection({
    sampling_percentage: optional(
      PERCENT_RULE,
      0,
      '0',
      'Keeps so many percent of all traces, by their ids: the same ones as `probabilistic_sampler`.',
    ),
  }),
};

const NAME = required(textRule('a text'), 'What the policy is called; each has a name of its own.');
const TYPE_MEANING = 'What it looks at; its settings stand under a key of the same name.';

const SUB_POLICY = section({
  name: NAME,
  type: required(oneOfRule(...SIMPLE_TYPES), TYPE_MEANING),
  ...SETTINGS,
});

const POLICY = section({
  name: NAME,
  type: required(oneOfRule(...SIMPLE_TYPES, 'and'), TYPE_MEANING),
  ...SETTINGS,
  and: optionalSection({
    and_sub_policy: list(SUB_POLICY, {
      accepts: 'a list of policies without `and`',
      default: 'required',
      meaning: 'Keeps traces that all of these would keep.',
    }),
  }),
});

const CACHE_RULE = integerRule(0, 10_000_000, 'traces');

export const TAIL_SAMPLING = section({
  decision_wait: optional(
    durationMsRule('1ms', '10m'),
    30_000,
    '30s',
    'From the first span of a trace to the decision on it.',
  ),
  num_traces: optional(
    integerRule(1, 10_000_000, 'traces'),
    50_000,
    '50000',
    'The most traces that wait, and the most whose decision is remembered; above it the oldest are decided on early.',
  ),
  max_spans: optional(
    integerRule(1, 10_000_000, 'spans'),
    262_144,
    '262144',
    'Not in the Collector: the most spans that wait; above it the oldest traces are decided on early.',
  ),
  expected_new_traces_per_sec: optional(
    integerRule(0, 10_000_000),
    0,
    '0',
    'Taken for the sake of files of the Collector; nothing depends on it.',
  ),
  decision_cache: section({
    sampled_cache_size: optional(
      CACHE_RULE,
      0,
      '0',
      'Traces that were kept, remembered beyond `num_traces` for spans that come late.',
    ),
    non_sampled_cache_size: optional(CACHE_RULE, 0, '0', 'The same for traces that were not kept.'),
  }),
  policies: list(POLICY, {
    accepts: 'a list of policies',
    default: 'required',
    meaning: 'Reasons to keep a trace: it is kept if one of them says so.',
  }),
});

export type ParsedTailSampling = z.infer<typeof TAIL_SAMPLING>;
export type ParsedPolicy = NonNullable<ParsedTailSampling['policies']>[number];
export type ParsedSubPolicy = z.infer<typeof SUB_POLICY>;
