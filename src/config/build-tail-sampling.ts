import { compilePattern, PATTERN_EXPECTED } from '../processor/pattern.ts';
import type { Policy } from '../processor/policies.ts';
import type { TailSamplingOptions } from '../processor/tail-sampling.ts';
import { type Check, mistakeAtKey, mistakeAtValue, type Path, pathName } from './check.ts';
import { found } from './mistakes.ts';
import type { ParsedPolicy, ParsedSubPolicy, ParsedTailSampling } from './schema-tail-sampling.ts';

type Settings = Omit<ParsedPolicy, 'name' | 'type'>;

/** Notes what is wrong between keys; the result counts only where nothing was noted. */
export function buildTailSampling(check: Check, path: Path, parsed: ParsedTailSampling): TailSamplingOptions {
  return {
    decisionWaitMs: parsed.decision_wait,
    numTraces: parsed.num_traces,
    maxSpans: parsed.max_spans,
    sampledCacheSize: parsed.decision_cache.sampled_cache_size,
    nonSampledCacheSize: parsed.decision_cache.non_sampled_cache_size,
    policies: buildPolicies(check, [...path, 'policies'], parsed.policies ?? []),
  };
}

function buildPolicies(
  check: Check,
  path: Path,
  policies: readonly (ParsedPolicy | ParsedSubPolicy)[],
): Policy[] {
  if (policies.length === 0)
    mistakeAtKey(check, path, `found no policy in ${pathName(path)}, expected at least one`);
  const names = new Set<string>();
  for (const [index, { name }] of policies.entries()) {
    const at = [...path, index, 'name'];
    if (names.has(name))
      mistakeAtValue(check, at, `found ${found(name)} again for ${pathName(at)}, expected another name`);
    names.add(name);
  }
  return policies.map((policy, index) => buildPolicy(check, [...path, index], policy));
}

function buildPolicy(check: Check, path: Path, parsed: ParsedPolicy | ParsedSubPolicy): Policy {
  const { name: _, type, ...settings } = parsed;
  for (const [key, value] of Object.entries(settings)) {
    if (value === undefined || key === type) continue;
    const text = `found ${key} in ${pathName(path)}, which is of the type ${type}, expected the settings of that`;
    mistakeAtKey(check, [...path, key], text);
  }
  const built = policyOf(check, path, type, settings);
  if (built) return built;
  mistakeAtKey(check, path, `found no ${type} in ${pathName(path)}, expected its settings`);
  return { type: 'always_sample' };
}

/** Undefined where its settings are missing. */
function policyOf(
  check: Check,
  path: Path,
  type: ParsedPolicy['type'],
  settings: Settings,
): Policy | undefined {
  const { status_code, latency, string_attribute, numeric_attribute, boolean_attribute } = settings;
  switch (type) {
    case 'always_sample':
      return { type };
    case 'status_code': {
      const codes = status_code?.status_codes ?? [];
      if (status_code && codes.length === 0) noValue(check, [...path, type, 'status_codes'], 'status code');
      return status_code && { type, codes };
    }
    case 'latency':
      return latency && buildLatency(check, [...path, type], latency);
    case 'string_attribute':
      return string_attribute && buildText(check, [...path, type], string_attribute);
    case 'numeric_attribute': {
      if (!numeric_attribute) return undefined;
      const { key, min_value: min, max_value: max } = numeric_attribute;
      if (min > max) {
        const at = [...path, type, 'min_value'];
        mistakeAtValue(
          check,
          at,
          `found ${min} for ${pathName(at)}, expected at most the max_value of ${max}`,
        );
      }
      return { type, key, min, max };
    }
    case 'boolean_attribute':
      return boolean_attribute && { type, ...boolean_attribute };
    case 'probabilistic':
      return settings.probabilistic && { type, percent: settings.probabilistic.sampling_percentage };
    case 'and': {
      const at = [...path, type, 'and_sub_policy'];
      const { and } = settings;
      return and && { type, policies: buildPolicies(check, at, and.and_sub_policy ?? []) };
    }
  }
}

function buildLatency(check: Check, path: Path, parsed: NonNullable<Settings['latency']>): Policy {
  const { threshold_ms: thresholdMs, upper_threshold_ms: upperThresholdMs, span_name } = parsed;
  if (upperThresholdMs !== 0 && upperThresholdMs <= thresholdMs) {
    const at = [...path, 'upper_threshold_ms'];
    const text = `found ${upperThresholdMs} for ${pathName(at)}, expected more than the threshold_ms of ${thresholdMs}`;
    mistakeAtValue(check, at, text);
  }
  const named = span_name === undefined ? {} : { spanName: span_name };
  return { type: 'latency', thresholdMs, upperThresholdMs, ...named };
}

function buildText(check: Check, path: Path, parsed: NonNullable<Settings['string_attribute']>): Policy {
  const { key, enabled_regex_matching: isPattern } = parsed;
  const values = parsed.values ?? [];
  if (values.length === 0) noValue(check, [...path, 'values'], 'value');
  if (isPattern) checkPatterns(check, [...path, 'values'], values);
  return { type: 'string_attribute', key, values, isPattern };
}

/** Notes those that are no patterns, each at its place. */
export function checkPatterns(check: Check, path: Path, sources: readonly string[]): void {
  for (const [index, source] of sources.entries()) {
    if (compilePattern(source)) continue;
    const at = [...path, index];
    mistakeAtValue(check, at, `found ${found(source)} for ${pathName(at)}, expected ${PATTERN_EXPECTED}`);
  }
}

function noValue(check: Check, path: Path, what: string): void {
  mistakeAtKey(check, path, `found no ${what} in ${pathName(path)}, expected at least one`);
}
