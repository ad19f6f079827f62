import type { OtlpOptions, OtlpProtocol } from '../exporter/otlp/options.ts';
import type { AttributesOptions } from '../processor/attributes.ts';
import type { BatchOptions } from '../processor/batch.ts';
import type { FilterOptions } from '../processor/filter.ts';
import type { HopParentOptions } from '../processor/hop-parent.ts';
import type { MemoryLimiterOptions } from '../processor/memory-limiter.ts';
import type { ProbabilisticSamplerOptions } from '../processor/probabilistic-sampler.ts';
import type { RedactionOptions } from '../processor/redaction.ts';
import type { ResourceDetectionOptions } from '../processor/resource-detection.ts';
import type { TailSamplingOptions } from '../processor/tail-sampling.ts';
import type { LogSamplingOptions } from '../telemetry/log-sampling.ts';
import type { PropagatorName } from './otel-env.ts';

export type { PropagatorName };

/**
 * One way to say which processes are watched: by the executable's basename, by its absolute path, by process
 * id, or by a TCP port on which the process listens.
 */
export type Target = TargetSelector & {
  /** `service.name` of the watched process; the executable's name where absent. */
  readonly serviceName?: string;
};

export type TargetSelector =
  | { readonly by: 'executable'; readonly executable: string }
  | { readonly by: 'path'; readonly path: string }
  | { readonly by: 'pid'; readonly pid: number }
  | { readonly by: 'listen_port'; readonly listenPort: number };

export interface EbpfReceiverConfig {
  readonly type: 'ebpf';
  /** The component's id in the file: `ebpf`, or `ebpf/NAME`. */
  readonly name: string;
  /** Never empty. */
  readonly targets: readonly Target[];
  readonly maxConnections: number;
  /** A power of two and a multiple of every page size that Linux uses (4 to 64 KiB). */
  readonly ringBufferBytes: number;
  readonly maxHeadBytes: number;
  /** Whether turns of event loops are counted where pairing needs them. */
  readonly turns: 'auto' | 'off';
  /** Names of headers that the proxy changed, on the spans. */
  readonly queryStrings: boolean;
  readonly headerDiff: boolean;
  /** Whether what happens to the host and the proxy's process is told on the spans that it overlaps. */
  readonly hostEvents: boolean;
  readonly idleTimeoutMs: number;
  /** Phases that last less than this many nanoseconds get no span of their own. */
  readonly phaseFloorNs: number;
  /** What becomes of requests whose caller is not sampled. */
  readonly unsampled: 'drop' | 'keep';
}

/** `endpoint` always has its scheme here (`unix:` aside), and `tls.insecure` agrees with it. */
export interface OtlpExporterConfig extends OtlpOptions {
  readonly type: 'otlp';
  readonly name: string;
}

export interface ConsoleExporterConfig {
  readonly type: 'console';
  readonly name: string;
  readonly color: 'auto' | 'always' | 'never';
  readonly format: 'waterfall' | 'json';
}

export interface FileExporterConfig {
  readonly type: 'file';
  readonly name: string;
  /** As written; relative to the working directory. */
  readonly path: string;
}

/** Where a server listens. */
export interface ListenAddress {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface OtlpReceiverConfig {
  readonly type: 'otlp';
  readonly name: string;
  /** OTLP/gRPC; at least one of the two is there. */
  readonly grpc?: { readonly listen: ListenAddress; readonly maxMessageBytes: number };
  /** OTLP/HTTP. */
  readonly http?: { readonly listen: ListenAddress; readonly maxBodyBytes: number };
}

export interface HopParentConfig extends HopParentOptions {
  readonly type: 'hop_parent';
  readonly name: string;
}

export interface TailSamplingConfig extends TailSamplingOptions {
  readonly type: 'tail_sampling';
  readonly name: string;
}

export interface FilterConfig extends FilterOptions {
  readonly type: 'filter';
  readonly name: string;
}

export interface AttributesConfig extends AttributesOptions {
  readonly type: 'attributes';
  readonly name: string;
}

export interface RedactionConfig extends RedactionOptions {
  readonly type: 'redaction';
  readonly name: string;
}

export interface ProbabilisticSamplerConfig extends ProbabilisticSamplerOptions {
  readonly type: 'probabilistic_sampler';
  readonly name: string;
}

export interface MemoryLimiterConfig extends MemoryLimiterOptions {
  readonly type: 'memory_limiter';
  readonly name: string;
}

export interface BatchConfig extends BatchOptions {
  readonly type: 'batch';
  readonly name: string;
}

export interface ResourceDetectionConfig extends ResourceDetectionOptions {
  readonly type: 'resourcedetection';
  readonly name: string;
}

export type ProcessorConfig =
  | HopParentConfig
  | TailSamplingConfig
  | FilterConfig
  | AttributesConfig
  | RedactionConfig
  | ProbabilisticSamplerConfig
  | MemoryLimiterConfig
  | BatchConfig
  | ResourceDetectionConfig;
export type ExporterConfig = OtlpExporterConfig | ConsoleExporterConfig | FileExporterConfig;

export interface PipelineConfig {
  /** `traces`, or `traces/NAME`. */
  readonly name: string;
  readonly receivers: readonly string[];
  readonly processors: readonly string[];
  /** Empty only where OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER=none asked for nothing. */
  readonly exporters: readonly string[];
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What hopspan says on stderr. */
export interface LogConfig {
  readonly level: LogLevel;
  readonly encoding: 'console' | 'json';
  /** Of lines with the same level and message. */
  readonly sampling: LogSamplingOptions;
}

/** Who gets hopspan's metrics: OTLP, sent by the `OTEL_*` variables, or Prometheus, which asks. */
export type MetricReaderConfig =
  | { readonly kind: 'otlp' }
  | { readonly kind: 'prometheus'; readonly listen: ListenAddress };

export interface TelemetryConfig {
  readonly logs: LogConfig;
  readonly metricsLevel: 'none' | 'normal';
  /** Empty where the level is `none`. */
  readonly metricReaders: readonly MetricReaderConfig[];
  /** Of durations over OTLP. */
  readonly metricBuckets: 'explicit' | 'exponential';
  /** Of metrics over OTLP. */
  readonly metricProtocol: OtlpProtocol;
  /** Between two exports over OTLP. */
  readonly metricIntervalMs: number;
}

/** `/healthz` and `/readyz`. */
export interface HealthCheckConfig {
  readonly listen: ListenAddress;
}

/** What hopspan was told to do, complete: every default is filled in. */
export interface Config {
  /** Those that give kernel records and that a pipeline uses; what is defined and unused is left out. */
  readonly receivers: readonly EbpfReceiverConfig[];
  /** Those that give applications' spans and that a pipeline uses. */
  readonly otlpReceivers: readonly OtlpReceiverConfig[];
  /** Those that a pipeline uses. */
  readonly processors: readonly ProcessorConfig[];
  /** Those that a pipeline uses. */
  readonly exporters: readonly ExporterConfig[];
  readonly pipelines: readonly PipelineConfig[];
  readonly telemetry: TelemetryConfig;
  /** For sending what is left at the end. */
  readonly shutdownTimeoutMs: number;
  readonly healthCheck?: HealthCheckConfig;
  /** From OTEL_RESOURCE_ATTRIBUTES, less `service.name`: belongs on the resource of every watched process. */
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /** Formats in which requests name their caller's span. */
  readonly propagators: readonly PropagatorName[];
}

/** A configuration and what is questionable about it, one line for the user each. */
export interface ConfigWithWarnings {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** A configuration that came from a file. */
export interface LoadedConfig extends ConfigWithWarnings {
  /** A line about what stands at this path of the file, `FILE:LINE:COLUMN: …`. */
  line(path: readonly PropertyKey[], text: string): string;
}
