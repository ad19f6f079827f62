import type { OtlpProtocol } from '../exporter/otlp/options.ts';
import { found, type Remark } from './mistakes.ts';
import {
  ENDPOINT_RULE,
  FILE_RULE,
  HEADER_NAME_RULE,
  HEADER_VALUE_RULE,
  HTTP_ENDPOINT_RULE,
} from './otlp-rules.ts';
import { applyRule, oneOfRule, type Rule } from './rules.ts';
import { SERVICE_NAME_RULE } from './target-rules.ts';
import type { TelemetryConfig } from './types.ts';

/**
 * What OTEL_EXPORTER_OTLP_* say (OpenTelemetry specification, "OTLP Exporter Configuration Options"); the
 * forms with TRACES come first, and a variable that is empty counts as unset.
 */
export interface OtlpEnv {
  readonly protocol?: OtlpProtocol;
  readonly endpoint?: string;
  /** The endpoint is for traces only: over HTTP it is used as it is. */
  readonly wholeEndpoint?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly compression?: 'none' | 'gzip';
  readonly timeoutMs?: number;
  readonly insecure?: boolean;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

const TIMEOUT_RULE: Rule<number> = {
  expected: 'whole milliseconds from 1 to 3600000',
  parse: (value) => {
    const ms = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : 0;
    return ms >= 1 && ms <= 3_600_000 ? ms : undefined;
  },
};

/** "true" in any case is true, anything else the specification wants read as false, with a warning: here a mistake. */
const BOOLEAN_RULE: Rule<boolean> = {
  expected: 'true or false',
  parse: (value) => {
    const text = String(value).toLowerCase();
    return text === 'true' ? true : text === 'false' ? false : undefined;
  },
};

const PROTOCOL_RULE: Rule<OtlpProtocol> = oneOfRule('grpc', 'http/protobuf');

/** Set and not empty, without the spaces around it. */
export function variable(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

/**
 * Reads the OTLP exporters' variables. `fixed` is the protocol of an exporter that has one whatever the variables say;
 * what an endpoint may be depends on it.
 */
export function readOtlpEnv(env: NodeJS.ProcessEnv, mistakes: Remark[], fixed?: OtlpProtocol): OtlpEnv {
  const read = <K extends keyof OtlpEnv>(
    key: K,
    suffix: string,
    rule: Rule<NonNullable<OtlpEnv[K]>>,
  ): OtlpEnv => {
    const value = otlpVariable(env, suffix, rule, mistakes);
    return value === undefined ? {} : { [key]: value };
  };
  const chosen = read('protocol', 'PROTOCOL', PROTOCOL_RULE);
  const http = (fixed ?? chosen.protocol) === 'http/protobuf';
  return {
    ...chosen,
    ...read('endpoint', 'ENDPOINT', http ? HTTP_ENDPOINT_RULE : ENDPOINT_RULE),
    wholeEndpoint: variable(env, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') !== undefined,
    ...read('headers', 'HEADERS', HEADERS_RULE),
    ...read('compression', 'COMPRESSION', oneOfRule('none', 'gzip')),
    ...read('timeoutMs', 'TIMEOUT', TIMEOUT_RULE),
    ...read('insecure', 'INSECURE', BOOLEAN_RULE),
    ...read('caFile', 'CERTIFICATE', FILE_RULE),
    ...read('certFile', 'CLIENT_CERTIFICATE', FILE_RULE),
    ...read('keyFile', 'CLIENT_KEY', FILE_RULE),
  };
}

function otlpVariable<T>(
  env: NodeJS.ProcessEnv,
  suffix: string,
  rule: Rule<T>,
  mistakes: Remark[],
  signal: 'TRACES' | 'METRICS' = 'TRACES',
): T | undefined {
  const specific = `OTEL_EXPORTER_OTLP_${signal}_${suffix}`;
  const name = variable(env, specific) === undefined ? `OTEL_EXPORTER_OTLP_${suffix}` : specific;
  const given = variable(env, name);
  if (given === undefined) return undefined;
  const value = applyRule(rule, given);
  if (value === undefined) {
    const shown = suffix === 'HEADERS' ? 'something else' : found(given);
    const text = `${name}: found ${shown}, expected ${rule.expected}`;
    // Exporters of both protocols read the variables each.
    if (!mistakes.some((mistake) => mistake.text === text)) mistakes.push({ text });
  }
  return value;
}

/** W3C Baggage without properties ("key=value,key=value", values percent-encoded); undefined if malformed. */
function keyValues(text: string): Map<string, string> | undefined {
  const pairs = new Map<string, string>();
  for (const item of text.split(',')) {
    if (item.trim() === '') continue;
    const equals = item.indexOf('=');
    if (equals < 1) return undefined;
    try {
      pairs.set(
        decodeURIComponent(item.slice(0, equals).trim()),
        decodeURIComponent(item.slice(equals + 1).trim()),
      );
    } catch {
      return undefined;
    }
  }
  return pairs;
}

const HEADERS_RULE: Rule<Readonly<Record<string, string>>> = {
  expected: 'NAME=VALUE,NAME=VALUE with valid header names, other characters percent-encoded',
  parse: (value) => {
    const pairs = keyValues(String(value));
    const headers: Record<string, string> = {};
    for (const [name, content] of pairs ?? []) {
      if (!HEADER_NAME_RULE.parse(name) || !HEADER_VALUE_RULE.parse(content)) return undefined;
      headers[name.toLowerCase()] = content;
    }
    return pairs && headers;
  },
};

export interface ResourceEnv {
  readonly serviceName?: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** OTEL_SERVICE_NAME (which wins over `service.name` among the attributes) and OTEL_RESOURCE_ATTRIBUTES. */
export function readResourceEnv(env: NodeJS.ProcessEnv, mistakes: Remark[]): ResourceEnv {
  const text = variable(env, 'OTEL_RESOURCE_ATTRIBUTES') ?? '';
  const pairs = keyValues(text);
  if (!pairs) {
    const expected = 'NAME=VALUE,NAME=VALUE, other characters percent-encoded';
    mistakes.push({ text: `OTEL_RESOURCE_ATTRIBUTES: found ${found(text)}, expected ${expected}` });
  }
  const { 'service.name': fromAttributes, ...attributes } = Object.fromEntries(pairs ?? []);
  const serviceName = variable(env, 'OTEL_SERVICE_NAME') ?? fromAttributes;
  if (serviceName === undefined) return { attributes };
  if (SERVICE_NAME_RULE.parse(serviceName) === undefined) {
    mistakes.push({
      text: `OTEL_SERVICE_NAME: found ${found(serviceName)}, expected ${SERVICE_NAME_RULE.expected}`,
    });
  }
  return { serviceName, attributes };
}

const PROPAGATORS = ['tracecontext', 'baggage', 'b3', 'b3multi', 'jaeger', 'none'] as const;
export type PropagatorName = (typeof PROPAGATORS)[number];

/** OTEL_PROPAGATORS: the formats in which requests name their caller's span; W3C's where it is not set. */
export function readPropagators(env: NodeJS.ProcessEnv, mistakes: Remark[]): PropagatorName[] {
  const text = variable(env, 'OTEL_PROPAGATORS');
  if (text === undefined) return ['tracecontext'];
  const rule = oneOfRule(...PROPAGATORS);
  const names = text.split(',').map((name) => rule.parse(name.trim()));
  const known = names.filter((name) => name !== undefined);
  if (known.length < names.length || (known.includes('none') && known.length > 1)) {
    const expected = `${PROPAGATORS.slice(0, -1).join(', ')}, several with a comma between them, or none`;
    mistakes.push({ text: `OTEL_PROPAGATORS: found ${found(text)}, expected ${expected}` });
  }
  return [...new Set(known)];
}

const DEFAULT_METRIC_INTERVAL_MS = 60_000;
const AGGREGATION = 'OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION';

/**
 * What the variables say of metrics.
 * @param sent whether they go out over OTLP: without that the protocol of spans is no matter of theirs
 */
export function readMetricEnv(
  env: NodeJS.ProcessEnv,
  mistakes: Remark[],
  sent: boolean,
): Pick<TelemetryConfig, 'metricBuckets' | 'metricIntervalMs' | 'metricProtocol'> {
  return {
    metricProtocol: (sent && otlpVariable(env, 'PROTOCOL', PROTOCOL_RULE, mistakes, 'METRICS')) || 'grpc',
    metricBuckets: readMetricBuckets(env, mistakes),
    metricIntervalMs: readMetricInterval(env, mistakes),
  };
}

/** How durations are summed up for OTLP (OpenTelemetry specification, metrics exporter, OTLP). */
function readMetricBuckets(env: NodeJS.ProcessEnv, mistakes: Remark[]): 'explicit' | 'exponential' {
  const text = variable(env, AGGREGATION);
  const rule = oneOfRule('explicit_bucket_histogram', 'base2_exponential_bucket_histogram');
  const aggregation = rule.parse(text?.toLowerCase());
  if (text !== undefined && !aggregation)
    mistakes.push({ text: `${AGGREGATION}: found ${found(text)}, expected ${rule.expected}` });
  return aggregation === 'base2_exponential_bucket_histogram' ? 'exponential' : 'explicit';
}

/** Milliseconds between two exports of metrics (OpenTelemetry specification, periodic exporting MetricReader). */
function readMetricInterval(env: NodeJS.ProcessEnv, mistakes: Remark[]): number {
  const name = 'OTEL_METRIC_EXPORT_INTERVAL';
  const text = variable(env, name);
  if (text === undefined) return DEFAULT_METRIC_INTERVAL_MS;
  const ms = TIMEOUT_RULE.parse(text);
  if (ms === undefined)
    mistakes.push({ text: `${name}: found ${found(text)}, expected ${TIMEOUT_RULE.expected}` });
  return ms ?? DEFAULT_METRIC_INTERVAL_MS;
}

export type EnvExporter = 'otlp' | 'console';

/**
 * The exporters that the variables choose: OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER as the specification
 * says, then otlp if an endpoint is given, else the console (where the specification would take otlp).
 */
export function chooseExporters(env: NodeJS.ProcessEnv, mistakes: Remark[]): EnvExporter[] {
  const disabled = variable(env, 'OTEL_SDK_DISABLED');
  if (disabled !== undefined && BOOLEAN_RULE.parse(disabled) === undefined) {
    mistakes.push({ text: `OTEL_SDK_DISABLED: found ${found(disabled)}, expected ${BOOLEAN_RULE.expected}` });
  }
  if (disabled?.toLowerCase() === 'true') return [];
  const named = variable(env, 'OTEL_TRACES_EXPORTER');
  if (named !== undefined) return namedExporters(named, mistakes);
  const endpoint =
    variable(env, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? variable(env, 'OTEL_EXPORTER_OTLP_ENDPOINT');
  return endpoint === undefined ? ['console'] : ['otlp'];
}

function namedExporters(text: string, mistakes: Remark[]): EnvExporter[] {
  const rule = oneOfRule('otlp', 'console', 'none');
  const names = text.split(',').map((name) => name.trim());
  const known = names.map((name) => rule.parse(name)).filter((name) => name !== undefined);
  const alone = !known.includes('none') || names.length === 1;
  if (known.length < names.length || !alone) {
    const expected = 'otlp, console, both with a comma between them, or none';
    mistakes.push({ text: `OTEL_TRACES_EXPORTER: found ${found(text)}, expected ${expected}` });
  }
  return [...new Set(known.filter((name) => name !== 'none'))];
}
