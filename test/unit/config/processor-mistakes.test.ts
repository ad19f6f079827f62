import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mistakesOf, parse, yaml } from './harness.ts';

const POLICY_TYPES =
  'always_sample, status_code, latency, string_attribute, numeric_attribute, boolean_attribute, probabilistic';
const SETTINGS = POLICY_TYPES.replace('always_sample, ', '');
const PATTERN = 'a regular expression as Go has them: no look-around, no back-references, no flags inside';

const VALUE =
  'a path such as name or attributes["key"], a text in double quotes, a number, true, false or nil';
const PATHS =
  'name, kind, status.code, status.message, trace_id.string, span_id.string, parent_span_id.string, trace_state, attributes["key"], resource.attributes["key"]';

/** The processors as text, and the lines that they must give, less the `f.yaml:4:` in front. */
const CASES: readonly (readonly [string, ...string[]])[] = [
  // tail_sampling
  ['{tail_sampling: }', '14: found no policy in processors.tail_sampling.policies, expected at least one'],
  [
    '{tail_sampling: {policies: []}}',
    '30: found no policy in processors.tail_sampling.policies, expected at least one',
  ],
  [
    '{tail_sampling: {policies: 5}}',
    '40: found 5 for processors.tail_sampling.policies, expected a list of policies',
  ],
  [
    '{tail_sampling: {decision_wait: 0s, num_traces: 0, max_spans: 1.5, decision_wate: 1s}}',
    '45: found "0s" for processors.tail_sampling.decision_wait, expected a duration such as "5s", "200ms" or "1m30s", from 1ms to 10m',
    '61: found 0 for processors.tail_sampling.num_traces, expected an integer from 1 to 10000000 traces',
    '75: found 1.5 for processors.tail_sampling.max_spans, expected an integer from 1 to 10000000 spans',
    '80: found the key "decision_wate" in processors.tail_sampling, expected decision_wait, num_traces, max_spans, expected_new_traces_per_sec, decision_cache or policies; did you mean "decision_wait"?',
  ],
  [
    '{tail_sampling: {decision_cache: {sampled_cache: 5}, policies: [{name: a, type: always_sample}]}}',
    '47: found the key "sampled_cache" in processors.tail_sampling.decision_cache, expected sampled_cache_size or non_sampled_cache_size; did you mean "sampled_cache_size"?',
  ],
  ...policyCases([
    ['{type: always_sample}', '41: found no processors.tail_sampling.policies[0].name, expected a text'],
    [
      '{name: a, type: latancy}',
      `57: found "latancy" for processors.tail_sampling.policies[0].type, expected ${POLICY_TYPES} or and; did you mean "latency"?`,
    ],
    [
      '{name: a, type: rate_limiting}',
      `57: found "rate_limiting" for processors.tail_sampling.policies[0].type, expected ${POLICY_TYPES} or and`,
    ],
    [
      '{name: a, type: latency}',
      '41: found no latency in processors.tail_sampling.policies[0], expected its settings',
    ],
    [
      '{name: a, type: latency, latency: }',
      '66: found no processors.tail_sampling.policies[0].latency.threshold_ms, expected an integer from 0 to 3600000 milliseconds',
    ],
    [
      '{name: a, type: latency, latency: {threshold_ms: 5s}}',
      '90: found "5s" for processors.tail_sampling.policies[0].latency.threshold_ms, expected an integer from 0 to 3600000 milliseconds',
    ],
    [
      '{name: a, type: latency, latency: {threshold_ms: 5, upper_threshold_ms: 5}}',
      '113: found 5 for processors.tail_sampling.policies[0].latency.upper_threshold_ms, expected more than the threshold_ms of 5',
    ],
    [
      '{name: a, type: latency, latency: {threshold_ms: 5, spanname: read wait}}',
      '93: found the key "spanname" in processors.tail_sampling.policies[0].latency, expected threshold_ms, upper_threshold_ms or span_name; did you mean "span_name"?',
    ],
    [
      '{name: a, type: always_sample, latency: {threshold_ms: 5}}',
      '72: found latency in processors.tail_sampling.policies[0], which is of the type always_sample, expected the settings of that',
    ],
    [
      '{name: a, type: status_code, status_code: {status_codes: [error]}}',
      '99: found "error" for processors.tail_sampling.policies[0].status_code.status_codes[0], expected ERROR, OK or UNSET; did you mean "ERROR"?',
    ],
    [
      '{name: a, type: status_code, status_code: {status_codes: []}}',
      '84: found no status code in processors.tail_sampling.policies[0].status_code.status_codes, expected at least one',
    ],
    [
      '{name: a, type: string_attribute, string_attribute: {key: a}}',
      '75: found no value in processors.tail_sampling.policies[0].string_attribute.values, expected at least one',
    ],
    [
      '{name: a, type: string_attribute, string_attribute: {key: a, values: ["(", "(?=a)", a], enabled_regex_matching: true}}',
      `111: found "(" for processors.tail_sampling.policies[0].string_attribute.values[0], expected ${PATTERN}`,
      `116: found "(?=a)" for processors.tail_sampling.policies[0].string_attribute.values[1], expected ${PATTERN}`,
    ],
    [
      '{name: a, type: numeric_attribute, numeric_attribute: {key: a, min_value: 5, max_value: 4}}',
      '115: found 5 for processors.tail_sampling.policies[0].numeric_attribute.min_value, expected at most the max_value of 4',
    ],
    [
      '{name: a, type: boolean_attribute, boolean_attribute: {key: a, value: "yes"}}',
      '111: found "yes" for processors.tail_sampling.policies[0].boolean_attribute.value, expected true or false',
    ],
    [
      '{name: a, type: probabilistic, probabilistic: {sampling_percentage: 101}}',
      '109: found 101 for processors.tail_sampling.policies[0].probabilistic.sampling_percentage, expected a percentage from 0 to 100',
    ],
    [
      '{name: a, type: and, and: {and_sub_policy: [{name: b, type: and}]}}',
      `101: found "and" for processors.tail_sampling.policies[0].and.and_sub_policy[0].type, expected ${POLICY_TYPES.replace(/, (\w+)$/, ' or $1')}`,
    ],
    [
      '{name: a, type: and, and: {}}',
      '62: found no policy in processors.tail_sampling.policies[0].and.and_sub_policy, expected at least one',
    ],
    [
      '{name: a, type: always_sample}, {name: a, type: always_sample}',
      '80: found "a" again for processors.tail_sampling.policies[1].name, expected another name',
    ],
    [
      '{name: a, typ: latency}',
      `41: found no processors.tail_sampling.policies[0].type, expected ${POLICY_TYPES} or and`,
      `51: found the key "typ" in processors.tail_sampling.policies[0], expected name, type, ${SETTINGS} or and; did you mean "type"?`,
    ],
  ]),
  // filter
  ['{filter: }', '14: found no condition in processors.filter.traces.span, expected at least one'],
  [
    '{filter: {traces: {spans: [true]}, error_mode: panic}}',
    '32: found the key "spans" in processors.filter.traces, expected span; did you mean "span"?',
    '60: found "panic" for processors.filter.error_mode, expected ignore, silent or propagate',
  ],
  [
    '{filter: {traces: {span: ["name = 5", true, \'atributes["a"] == 5\']}}}',
    '51: found true for processors.filter.traces.span[1], expected a condition',
  ],
  [
    '{filter: {traces: {span: ["name = 5", \'atributes["a"] == 5\', \'IsMatch(name, "(")\', "kind == SPAN_KIND_SEVER", "true"]}}}',
    `39: found "name = 5" for processors.filter.traces.span[0], expected ${VALUE}, at character 6`,
    `51: found "atributes["a"] == 5" for processors.filter.traces.span[1], expected one of the paths ${PATHS}, at character 1; did you mean "attributes"?`,
    `74: found "IsMatch(name, "(")" for processors.filter.traces.span[2], expected ${PATTERN}, in double quotes, at character 15`,
    `96: found "kind == SPAN_KIND_SEVER" for processors.filter.traces.span[3], expected one of the paths ${PATHS}, at character 9; did you mean "SPAN_KIND_SERVER"?`,
  ],
  // attributes
  ['{attributes: }', '14: found no action in processors.attributes.actions, expected at least one'],
  ...actionCases([
    [
      '{key: a, action: extract}',
      '54: found "extract" for processors.attributes.actions[0].action, expected insert, update, upsert, delete or hash',
    ],
    [
      '{key: a, action: insert}',
      '37: found no value in processors.attributes.actions[0], expected one of value and from_attribute',
    ],
    [
      '{key: a, action: insert, value: 1, from_attribute: b}',
      '37: found value and from_attribute in processors.attributes.actions[0], expected one of value and from_attribute',
    ],
    [
      '{action: upsert, value: 1}',
      '37: found no key in processors.attributes.actions[0], expected key with value or from_attribute',
    ],
    [
      '{key: a, action: update, pattern: b, value: 1}',
      '37: found a pattern for update in processors.attributes.actions[0], expected key with value or from_attribute',
    ],
    ['{action: hash}', '37: found no key in processors.attributes.actions[0], expected key or pattern'],
    [
      '{action: delete, key: a, value: 1}',
      '37: found a value for delete in processors.attributes.actions[0], expected key or pattern only',
    ],
    [
      '{action: delete, pattern: "("}',
      `63: found "(" for processors.attributes.actions[0].pattern, expected ${PATTERN}`,
    ],
    [
      '{key: a, action: insert, value: [1]}',
      '69: found a list for processors.attributes.actions[0].value, expected a text, a number, true or false',
    ],
    [
      '{key: a, acton: insert}',
      '37: found no processors.attributes.actions[0].action, expected insert, update, upsert, delete or hash',
      '46: found the key "acton" in processors.attributes.actions[0], expected key, action, value, from_attribute or pattern; did you mean "action"?',
    ],
  ]),
  [
    '{attributes: {include: {}, actions: [{key: a, action: delete}]}}',
    '27: found the key "include" in processors.attributes, expected actions',
  ],
  // redaction
  [
    '{redaction: {blocked_values: ["[", "(a)\\\\1"], allow_all_keys: maybe, sumary: debug}}',
    `43: found "[" for processors.redaction.blocked_values[0], expected ${PATTERN}`,
    `48: found "(a)\\1" for processors.redaction.blocked_values[1], expected ${PATTERN}`,
    '75: found "maybe" for processors.redaction.allow_all_keys, expected true or false',
    '82: found the key "sumary" in processors.redaction, expected allow_all_keys, allowed_keys, ignored_keys, blocked_key_patterns, blocked_values, allowed_values, redact_all_types or summary; did you mean "summary"?',
  ],
  ['{redaction: {summary: debug}}', '35: found "debug" for processors.redaction.summary, expected silent'],
  [
    '{redaction: {allowed_keys: a}}',
    '40: found "a" for processors.redaction.allowed_keys, expected a list of names of attributes',
  ],
  // probabilistic_sampler
  [
    '{probabilistic_sampler: }',
    '14: found no processors.probabilistic_sampler.sampling_percentage, expected a percentage from 0 to 100',
  ],
  [
    '{probabilistic_sampler: {sampling_percentage: -1, mode: hash_seed, hash_seed: 22, sampling_precision: 15}}',
    '59: found -1 for processors.probabilistic_sampler.sampling_percentage, expected a percentage from 0 to 100',
    '69: found "hash_seed" for processors.probabilistic_sampler.mode, expected equalizing',
    '80: found the key "hash_seed" in processors.probabilistic_sampler, expected sampling_percentage, mode or sampling_precision',
    '115: found 15 for processors.probabilistic_sampler.sampling_precision, expected an integer from 1 to 14',
  ],
  [
    '{probabilistic_sampler: {sampling_percentage: 10%}}',
    '59: found "10%" for processors.probabilistic_sampler.sampling_percentage, expected a percentage from 0 to 100',
  ],
  // memory_limiter and batch
  [
    '{memory_limiter: }',
    '14: found no processors.memory_limiter.check_interval, expected a duration such as "5s", "200ms" or "1m30s", from 100ms to 1m',
  ],
  [
    '{memory_limiter: {check_interval: 1s}}',
    '14: found no limit in processors.memory_limiter, expected limit_mib or limit_percentage',
  ],
  [
    '{memory_limiter: {check_interval: 1s, limit_mib: 100, spike_limit_mib: 100}}',
    '67: found a spike_limit_mib that is not below the limit in processors.memory_limiter, expected less',
  ],
  [
    '{memory_limiter: {check_interval: 0s, limit_mb: 100, limit_percentage: 101}}',
    '47: found "0s" for processors.memory_limiter.check_interval, expected a duration such as "5s", "200ms" or "1m30s", from 100ms to 1m',
    '51: found the key "limit_mb" in processors.memory_limiter, expected check_interval, limit_mib, spike_limit_mib, limit_percentage, spike_limit_percentage, min_gc_interval_when_soft_limited or min_gc_interval_when_hard_limited; did you mean "limit_mib"?',
    '84: found 101 for processors.memory_limiter.limit_percentage, expected a percentage from 1 to 100',
  ],
  [
    '{batch: {send_batch_max_size: 10, timeout: 2m}}',
    '22: found the key "send_batch_max_size" in processors.batch, expected timeout or send_batch_size; did you mean "send_batch_size"?',
    '56: found "2m" for processors.batch.timeout, expected a duration such as "5s", "200ms" or "1m30s", from 0s to 1m',
  ],
  // resourcedetection
  [
    '{resourcedetection: {detectors: [env, sytem, docker], overide: false}}',
    '51: found "sytem" for processors.resourcedetection.detectors[1], expected env or system; did you mean "system"?',
    '58: found "docker" for processors.resourcedetection.detectors[2], expected env or system',
    '67: found the key "overide" in processors.resourcedetection, expected detectors, timeout or override; did you mean "override"?',
  ],
];

function policyCases(cases: readonly (readonly [string, ...string[]])[]): [string, ...string[]][] {
  return cases.map(([policies, ...lines]) => [`{tail_sampling: {policies: [${policies}]}}`, ...lines]);
}

function actionCases(cases: readonly (readonly [string, ...string[]])[]): [string, ...string[]][] {
  return cases.map(([action, ...lines]) => [`{attributes: {actions: [${action}]}}`, ...lines]);
}

for (const [processors, ...lines] of CASES) {
  test(`${processors.slice(0, 100)}: ${lines[0]?.slice(0, 60)}`, () => {
    const text = yaml({ more: `processors: ${processors}` });
    assert.deepEqual(
      mistakesOf(() => parse(text)),
      lines.map((line) => `f.yaml:4:${line}`),
    );
  });
}
