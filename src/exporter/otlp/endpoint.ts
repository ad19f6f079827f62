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
