import type { PipelineSpan } from '../spans/foreign-span.ts';
import type { AttributeValue } from '../spans/hop-span.ts';
import { compilePattern } from './pattern.ts';
import { keepPercent, randomnessOf } from './randomness.ts';
import {
  durationNs,
  nameOf,
  type ReadAttribute,
  resourceAttribute,
  type StatusCode,
  spanAttribute,
  statusOf,
  traceStateOf,
} from './span-fields.ts';

/** A reason to keep a trace, in the shape of the Collector's `tail_sampling`. */
export type Policy =
  | { readonly type: 'always_sample' }
  | { readonly type: 'status_code'; readonly codes: readonly StatusCode[] }
  | {
      readonly type: 'latency';
      readonly thresholdMs: number;
      /** 0: none. */
      readonly upperThresholdMs: number;
      /** The spans of that name are looked at, each by itself; without it the whole trace is. */
      readonly spanName?: string;
    }
  | {
      readonly type: 'string_attribute';
      readonly key: string;
      readonly values: readonly string[];
      /** The values are patterns, all of which `compilePattern` takes. */
      readonly isPattern: boolean;
    }
  | { readonly type: 'numeric_attribute'; readonly key: string; readonly min: number; readonly max: number }
  | { readonly type: 'boolean_attribute'; readonly key: string; readonly value: boolean }
  | { readonly type: 'probabilistic'; readonly percent: number }
  | { readonly type: 'and'; readonly policies: readonly Policy[] };

/** All spans of one trace that came in time, never none. */
export type Trace = readonly PipelineSpan[];
export type Decide = (trace: Trace) => boolean;

const NS_PER_MS = 1e6;

/** Makes a policy a function; what it reads of spans is prepared once. */
export function createPolicy(policy: Policy): Decide {
  switch (policy.type) {
    case 'always_sample':
      return () => true;
    case 'status_code':
      return (trace) => trace.some((span) => policy.codes.includes(statusOf(span)));
    case 'latency':
      return createLatency(policy);
    case 'string_attribute': {
      const matches = textMatcher(policy.values, policy.isPattern);
      return someAttribute(policy.key, (value) => typeof value === 'string' && matches(value));
    }
    case 'numeric_attribute':
      return someAttribute(
        policy.key,
        (value) => typeof value === 'number' && value >= policy.min && value <= policy.max,
      );
    case 'boolean_attribute':
      return someAttribute(policy.key, (value) => value === policy.value);
    case 'probabilistic': {
      const keep = keepPercent(policy.percent);
      return ([first]) => first !== undefined && keep(randomnessOf(first.traceId, traceStateOf(first)));
    }
    case 'and': {
      const all = policy.policies.map(createPolicy);
      return (trace) => all.every((decide) => decide(trace));
    }
  }
}

function createLatency(policy: Policy & { readonly type: 'latency' }): Decide {
  const { thresholdMs, upperThresholdMs, spanName } = policy;
  /* As the Collector has it: at the threshold and above, below the upper one. */
  const fits = (ns: number): boolean =>
    ns >= thresholdMs * NS_PER_MS && (upperThresholdMs === 0 || ns < upperThresholdMs * NS_PER_MS);
  if (spanName === undefined) return (trace) => fits(spannedNs(trace));
  return (trace) => trace.some((span) => fits(durationNs(span)) && nameOf(span) === spanName);
}

/** From the earliest start to the latest end. */
function spannedNs(trace: Trace): number {
  const [first] = trace;
  if (!first) return 0;
  const from = first.start;
  let earliest = 0;
  let latest = 0;
  for (const span of trace) {
    /* Differences of nearby times stay exact where times since the epoch would not. */
    const begin = (span.start[0] - from[0]) * 1e9 + (span.start[1] - from[1]);
    earliest = Math.min(earliest, begin);
    latest = Math.max(latest, begin + durationNs(span));
  }
  return latest - earliest;
}

/** Of the span or its resource, as the Collector looks. */
function someAttribute(key: string, fits: (value: AttributeValue) => boolean): Decide {
  const readers: ReadAttribute[] = [spanAttribute(key), resourceAttribute(key)];
  return (trace) =>
    trace.some((span) =>
      readers.some((read) => {
        const value = read(span);
        return value !== undefined && fits(value);
      }),
    );
}

function textMatcher(values: readonly string[], isPattern: boolean): (text: string) => boolean {
  if (!isPattern) {
    const known = new Set(values);
    return (text) => known.has(text);
  }
  const patterns = values.map((source) => compilePattern(source)).filter((pattern) => pattern !== undefined);
  return (text) => patterns.some((pattern) => pattern.test(text));
}
