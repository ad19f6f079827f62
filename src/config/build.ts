import { DEFAULT_OTLP_OPTIONS } from '../exporter/otlp/options.ts';
import type { OtlpEnv } from './otel-env.ts';
import { resolveEndpoint } from './otlp-rules.ts';
import type {
  ParsedConsole,
  ParsedEbpf,
  ParsedFile,
  ParsedOtlp,
  ParsedOtlpReceiver,
  ParsedTelemetry,
} from './schema.ts';
import { buildTarget, KNOWN_PROXIES } from './targets.ts';
import type {
  ConsoleExporterConfig,
  EbpfReceiverConfig,
  FileExporterConfig,
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
  const endpoint = parsed.endpoint ?? env.endpoint ?? DEFAULT_OTLP_OPTIONS.endpoint;
  const resolved = resolveEndpoint(endpoint, parsed.tls.insecure ?? env.insecure ?? false);
  const retry = parsed.retry_on_failure;
  return {
    type: 'otlp',
    name,
    endpoint: resolved.endpoint,
    headers: parsed.headers ?? env.headers ?? DEFAULT_OTLP_OPTIONS.headers,
    compression: parsed.compression ?? env.compression ?? DEFAULT_OTLP_OPTIONS.compression,
    timeoutMs: parsed.timeout ?? env.timeoutMs ?? DEFAULT_OTLP_OPTIONS.timeoutMs,
    tls: {
      insecure: resolved.insecure,
      ...given('caFile', parsed.tls.ca_file ?? env.caFile),
      ...given('certFile', parsed.tls.cert_file ?? env.certFile),
      ...given('keyFile', parsed.tls.key_file ?? env.keyFile),
    },
    queueSize: parsed.sending_queue.queue_size,
    retry: {
      enabled: retry.enabled,
      initialIntervalMs: retry.initial_interval,
      maxIntervalMs: retry.max_interval,
      maxElapsedMs: retry.max_elapsed_time,
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

export function buildTelemetry(parsed: ParsedTelemetry): TelemetryConfig {
  return { logLevel: parsed.logs.level, metricsLevel: parsed.metrics.level };
}
