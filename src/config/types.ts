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
  readonly idleTimeoutMs: number;
  /** Phases that last less than this many nanoseconds get no span of their own. */
  readonly phaseFloorNs: number;
}

export interface OtlpTlsConfig {
  /** Plain text instead of TLS: what the endpoint's scheme says, else what was configured. */
  readonly insecure: boolean;
  readonly caFile?: string;
  /** Present if and only if `keyFile` is. */
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverNameOverride?: string;
}

export interface OtlpExporterConfig {
  readonly type: 'otlp';
  readonly name: string;
  /** For people: always with scheme and port, `http://localhost:4317`. */
  readonly endpoint: string;
  /** For the gRPC channel: `HOST:PORT`, IPv6 hosts in brackets. */
  readonly address: string;
  /** Names in lower case, as gRPC sends them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'none' | 'gzip';
  /** Limit of one export call. */
  readonly timeoutMs: number;
  readonly tls: OtlpTlsConfig;
  readonly sendingQueue: { /** In spans. */ readonly queueSize: number };
  readonly retryOnFailure: {
    readonly enabled: boolean;
    readonly initialIntervalMs: number;
    readonly maxIntervalMs: number;
    /** After this long a batch is given up; 0 means never. */
    readonly maxElapsedTimeMs: number;
  };
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

export type ReceiverConfig = EbpfReceiverConfig;
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

export interface TelemetryConfig {
  readonly logLevel: LogLevel;
  readonly metricsLevel: 'none' | 'normal';
}

/** What hopspan was told to do, complete: every default is filled in. */
export interface Config {
  /** Those that a pipeline uses; what is defined and unused is left out. */
  readonly receivers: readonly ReceiverConfig[];
  /** Those that a pipeline uses. */
  readonly exporters: readonly ExporterConfig[];
  readonly pipelines: readonly PipelineConfig[];
  readonly telemetry: TelemetryConfig;
  /** From OTEL_RESOURCE_ATTRIBUTES, less `service.name`: belongs on the resource of every watched process. */
  readonly resourceAttributes: Readonly<Record<string, string>>;
}

/** A configuration and what is questionable about it, one line for the user each. */
export interface ConfigWithWarnings {
  readonly config: Config;
  readonly warnings: readonly string[];
}
