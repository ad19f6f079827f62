import { HopspanError } from '../../errors.ts';

const DEFAULT_PORT = 4317;

export interface OtlpTarget {
  /** What gRPC takes as the address: `host:port` or `unix:path`. */
  readonly address: string;
  readonly plainText: boolean;
}

/**
 * Reads an OTLP endpoint. The scheme decides about TLS; `insecure` counts only without one, as
 * OTEL_EXPORTER_OTLP_INSECURE does. A path is ignored: gRPC has its own.
 * @throws HopspanError CONFIG_INVALID
 */
export function parseEndpoint(endpoint: string, insecure: boolean): OtlpTarget {
  const socket = /^unix:(?:\/\/)?(.+)$/i.exec(endpoint.trim())?.[1];
  if (socket !== undefined && socket !== '//') return { address: `unix:${socket}`, plainText: true };
  const [, scheme, rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/i.exec(endpoint.trim()) ?? [];
  const kind = scheme?.toLowerCase();
  const authority = /^(\[[0-9a-f:.]+\]|[^\s:/[\]@]+)(?::(\d{1,5}))?(?:\/.*)?$/i.exec(rest);
  const port = Number(authority?.[2] ?? DEFAULT_PORT);
  const known = kind === undefined || kind === 'http' || kind === 'https';
  if (authority?.[1] === undefined || port === 0 || port > 65_535 || !known) {
    throw new HopspanError(
      'CONFIG_INVALID',
      `The OTLP endpoint "${endpoint}" cannot be used; write http://HOST:PORT, https://HOST:PORT or unix:///PATH.`,
    );
  }
  return {
    address: `${authority[1]}:${port}`,
    plainText: kind === 'http' || (kind === undefined && insecure),
  };
}

/** Of OTLP over HTTP, below a base endpoint (https://opentelemetry.io/docs/specs/otlp/#otlphttp-request). */
const TRACES_PATH = '/v1/traces';

/**
 * The URL for traces. A base endpoint gets `/v1/traces` behind its path; a `whole` one, which is for traces only, is
 * used as it is. Ports are HTTP's own, 80 and 443 (OTLP exporter specification, "Endpoint URLs for OTLP/HTTP").
 * @throws HopspanError CONFIG_INVALID
 */
export function parseHttpEndpoint(endpoint: string, whole: boolean): string {
  const text = endpoint.trim();
  const url = /^https?:\/\/[^\s/]/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.port === '0' || url.username || url.password || /[?#]/.test(text)) {
    throw new HopspanError(
      'CONFIG_INVALID',
      `The OTLP endpoint "${endpoint}" cannot be used; write http://HOST:PORT or https://HOST:PORT.`,
    );
  }
  if (!whole) url.pathname = url.pathname.replace(/\/*$/, TRACES_PATH);
  return url.href;
}
