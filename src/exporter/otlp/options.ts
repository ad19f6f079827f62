import { join } from 'node:path';
export interface OtlpTlsOptions {
  /** PEM file with the authorities to trust; unset: the ones that Node brings. */
  readonly caFile?: string;
  /** PEM file with hopspan's own certificate, for servers that ask for one; needs `keyFile`. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Plain text for an endpoint without a scheme; `http://` and `https://` speak for themselves. */
  readonly insecure: boolean;
}

export interface OtlpRetryOptions {
  readonly enabled: boolean;
  readonly initialIntervalMs: number;
  readonly maxIntervalMs: number;
  /** From a batch's first attempt until it is given up; 0: never. */
  readonly maxElapsedMs: number;
}

export interface OtlpDiskOptions {
  /** Made if it is not there. */
  readonly directory: string;
  /** The most bytes of requests that may wait there; what comes on top is dropped and counted. */
  readonly maxBytes: number;
}

/** As OTEL_EXPORTER_OTLP_PROTOCOL has them. */
export type OtlpProtocol = 'grpc' | 'http/protobuf';

/** What the exporters `otlp` and `otlphttp` can be told. */
export interface OtlpOptions {
  readonly protocol: OtlpProtocol;
  /**
   * For gRPC `http://host:port` (plain), `https://host:port` (TLS), `host:port` (TLS unless `tls.insecure`) or
   * `unix:///path`; without a port it is 4317. For HTTP the whole URL, with `/v1/traces` where that belongs.
   */
  readonly endpoint: string;
  /** gRPC metadata or HTTP headers of every request; often a credential, so never logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'none' | 'gzip';
  /** Of one request, connecting included. */
  readonly timeoutMs: number;
  readonly tls: OtlpTlsOptions;
  /** The most spans that may wait, those being sent included; what comes on top is dropped and counted. */
  readonly queueSize: number;
  /** A queue on disk behind the one in memory, which then holds only what is not yet written. */
  readonly disk?: OtlpDiskOptions;
  readonly retry: OtlpRetryOptions;
}

/** The specification's defaults where it has them, the Collector's for queue and retry. */
export const DEFAULT_OTLP_OPTIONS: OtlpOptions = {
  protocol: 'grpc',
  endpoint: 'http://localhost:4317',
  headers: {},
  compression: 'none',
  timeoutMs: 10_000,
  tls: { insecure: false },
  queueSize: 20_480,
  retry: { enabled: true, initialIntervalMs: 1_000, maxIntervalMs: 30_000, maxElapsedMs: 300_000 },
};

/**
 * Spans that may wait to be written where there is a queue on disk: some 60 MB, so that a disk that stands still for some
 * seconds loses nothing.
 */
export const DEFAULT_UNWRITTEN_SPANS = 204_800;
export const DEFAULT_HTTP_ENDPOINT = 'http://localhost:4318';
export const DEFAULT_DISK_BYTES = 1024 * 1024 * 1024;

/** The file of an exporter's queue on disk. */
export function queuePath(directory: string, exporter: string): string {
  return join(directory, `${encodeURIComponent(exporter)}.queue`);
}
