import { parseHttpEndpoint } from '../exporter/otlp/endpoint.ts';
import {
  DEFAULT_DISK_BYTES,
  DEFAULT_HTTP_ENDPOINT,
  DEFAULT_OTLP_OPTIONS,
  DEFAULT_UNWRITTEN_SPANS,
} from '../exporter/otlp/options.ts';
import type { Remark } from './mistakes.ts';
import { type OtlpEnv, readMetricEnv } from './otel-env.ts';
import { resolveEndpoint } from './otlp-rules.ts';
import type {
  ParsedConsole,
  ParsedEbpf,
  ParsedFile,
  ParsedHealthCheck,
  ParsedOtlp,
  ParsedOtlpHttp,
  ParsedOtlpReceiver,
  ParsedTelemetry,
} from './schema.ts';
import { buildTarget, KNOWN_PROXIES } from './targets.ts';
import type {
  ConsoleExporterConfig,
  EbpfReceiverConfig,
  FileExporterConfig,
  HealthCheckConfig,
  MetricReaderConfig,
  OtlpExporterConfig,
  OtlpReceiverConfig,
  TelemetryConfig,
} from './types.ts';

export function buildEbpf(
  name: string,
  parsed: ParsedEbpf,
  serviceName: string | undefined,
): EbpfReceiverConfig {
  const named = serviceName === undefined ? {} : { serviceName };
  const targets = parsed.targets?.map((target) => buildTarget(target, serviceName));
  return {
    type: 'ebpf',
    name,
    targets: targets ?? KNOWN_PROXIES.map((target) => ({ ...target, ...named })),
    maxConnections: parsed.max_connections,
    ringBufferBytes: parsed.ring_buffer_bytes,
    maxHeadBytes: parsed.max_head_bytes,
    turns: parsed.turns,
    queryStrings: parsed.query_strings,
    headerDiff: parsed.header_diff,
    hostEvents: parsed.host_events,
    idleTimeoutMs: parsed.idle_timeout,
    phaseFloorNs: parsed.phase_floor,
    unsampled: parsed.unsampled,
  };
}

const MIB = 1024 * 1024;

export function buildOtlpReceiver(
  name: string,
  { protocols: { grpc, http } }: ParsedOtlpReceiver,
): OtlpReceiverConfig {
  return {
    type: 'otlp',
    name,
    ...(grpc ? { grpc: { listen: grpc.endpoint, maxMessageBytes: grpc.max_recv_msg_size_mib * MIB } } : {}),
    ...(http ? { http: { listen: http.endpoint, maxBodyBytes: http.max_request_body_size } } : {}),
  };
}

/**
 * An OTLP exporter from the file, then the variables, then the defaults. `env` is empty for one whose endpoint
 * stands in the file: credentials of the environment are not sent to an endpoint that it does not name.
 */
export function buildOtlp(name: string, parsed: ParsedOtlp, env: OtlpEnv): OtlpExporterConfig {
  if (env.protocol === 'http/protobuf') return buildOtlpHttp(name, parsed, env);
  const endpoint = parsed.endpoint ?? env.endpoint ?? DEFAULT_OTLP_OPTIONS.endpoint;
  const resolved = resolveEndpoint(endpoint, parsed.tls.insecure ?? env.insecure ?? false);
  return { protocol: 'grpc', ...built(name, parsed, env, resolved.endpoint, resolved.insecure) };
}

/** As `buildOtlp`, over HTTP. */
export function buildOtlpHttp(name: string, parsed: ParsedOtlpHttp, env: OtlpEnv): OtlpExporterConfig {
  const own = parsed.traces_endpoint ?? parsed.endpoint;
  const whole = own === undefined ? env.wholeEndpoint === true : parsed.traces_endpoint !== undefined;
  const endpoint = parseHttpEndpoint(own ?? env.endpoint ?? DEFAULT_HTTP_ENDPOINT, whole);
  return { protocol: 'http/protobuf', ...built(name, parsed, env, endpoint, endpoint.startsWith('http:')) };
}

function built(
  name: string,
  parsed: Omit<ParsedOtlp, 'endpoint'>,
  env: OtlpEnv,
  endpoint: string,
  insecure: boolean,
): Omit<OtlpExporterConfig, 'protocol'> {
  const retry = parsed.retry_on_failure;
  const { queue_size, directory, max_size: maxBytes = DEFAULT_DISK_BYTES } = parsed.sending_queue;
  // A disk's bound is its size: time would lose what was promised.
  const maxElapsedMs = directory === undefined ? DEFAULT_OTLP_OPTIONS.retry.maxElapsedMs : 0;
  const queueSize = directory === undefined ? DEFAULT_OTLP_OPTIONS.queueSize : DEFAULT_UNWRITTEN_SPANS;
  return {
    type: 'otlp',
    name,
    endpoint,
    headers: parsed.headers ?? env.headers ?? DEFAULT_OTLP_OPTIONS.headers,
    compression: parsed.compression ?? env.compression ?? DEFAULT_OTLP_OPTIONS.compression,
    timeoutMs: parsed.timeout ?? env.timeoutMs ?? DEFAULT_OTLP_OPTIONS.timeoutMs,
    tls: {
      insecure,
      ...given('caFile', parsed.tls.ca_file ?? env.caFile),
      ...given('certFile', parsed.tls.cert_file ?? env.certFile),
      ...given('keyFile', parsed.tls.key_file ?? env.keyFile),
    },
    queueSize: queue_size ?? queueSize,
    ...(directory === undefined ? {} : { disk: { directory, maxBytes } }),
    retry: {
      enabled: retry.enabled,
      initialIntervalMs: retry.initial_interval,
      maxIntervalMs: retry.max_interval,
      maxElapsedMs: retry.max_elapsed_time ?? maxElapsedMs,
    },
  };
}

function given<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string });
}

export function buildConsole(name: string, parsed: ParsedConsole): ConsoleExporterConfig {
  return { type: 'console', name, color: parsed.color, format: parsed.format };
}

export function buildFile(name: string, parsed: ParsedFile): FileExporterConfig {
  return { type: 'file', name, path: parsed.path };
}

/** @param mistakes gets those of the variables for metrics */
export function buildTelemetry(
  { logs, metrics }: ParsedTelemetry,
  env: NodeJS.ProcessEnv,
  mistakes: Remark[],
): TelemetryConfig {
  const metricsLevel = metrics.level ?? (metrics.readers ? 'normal' : 'none');
  const readers = metrics.readers?.map(({ pull }): MetricReaderConfig => {
    return pull ? { kind: 'prometheus', listen: pull.exporter.prometheus } : { kind: 'otlp' };
  });
  const metricReaders = metricsLevel === 'none' ? [] : (readers ?? [{ kind: 'otlp' as const }]);
  const sent = metricReaders.some(({ kind }) => kind === 'otlp');
  const { enabled, tick: tickMs, initial, thereafter } = logs.sampling;
  return {
    logs: { level: logs.level, encoding: logs.encoding, sampling: { enabled, tickMs, initial, thereafter } },
    ...{ metricsLevel, metricReaders, ...readMetricEnv(env, mistakes, sent) },
  };
}

export function buildHealthCheck(parsed: ParsedHealthCheck): HealthCheckConfig {
  return { listen: parsed.endpoint };
}
