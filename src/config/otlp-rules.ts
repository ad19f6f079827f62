import { isIP } from 'node:net';
import { parseEndpoint, parseHttpEndpoint } from '../exporter/otlp/endpoint.ts';
import { type Rule, textRule } from './rules.ts';
import type { ListenAddress } from './types.ts';

export const ENDPOINT_RULE: Rule<string> = {
  expected: 'http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH',
  parse: (value) => {
    if (typeof value !== 'string' || /[\p{Cc}?#]/u.test(value)) return undefined;
    try {
      parseEndpoint(value, false);
      return value.trim();
    } catch {
      return undefined;
    }
  },
};

export const HTTP_ENDPOINT_RULE: Rule<string> = {
  expected: 'http://HOST:PORT or https://HOST:PORT, with or without a path',
  parse: (value) => {
    if (typeof value !== 'string' || /\p{Cc}/u.test(value)) return undefined;
    try {
      parseHttpEndpoint(value, false);
      return value.trim();
    } catch {
      return undefined;
    }
  },
};

/**
 * A gRPC endpoint with scheme and port, and whether it is plain text. A scheme decides; without one `insecure`
 * does (OTLP exporter specification, "Insecure"). Takes only what `ENDPOINT_RULE` let through.
 */
export function resolveEndpoint(
  endpoint: string,
  insecure: boolean,
): { endpoint: string; insecure: boolean } {
  const { address, plainText } = parseEndpoint(endpoint, insecure);
  if (address.startsWith('unix:')) return { endpoint, insecure: plainText };
  return { endpoint: `${plainText ? 'http' : 'https'}://${address}`, insecure: plainText };
}

export const LISTEN_RULE: Rule<ListenAddress> = {
  expected: 'HOST:PORT to listen on, such as 127.0.0.1:4317, 0.0.0.0:4317 or [::1]:4317',
  parse: (value) => {
    const [, v6, name, digits] = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(String(value)) ?? [];
    const port = Number(digits);
    if (!(port <= 65_535) || (v6 !== undefined && isIP(v6) !== 6)) return undefined;
    const host = v6 ?? name;
    return host === undefined ? undefined : { host, port };
  },
};

export const HOST_RULE: Rule<string> = {
  expected: 'a name or an IP address to listen on, such as 127.0.0.1, 0.0.0.0 or ::1',
  parse: (value) =>
    typeof value === 'string' && (isIP(value) !== 0 || /^[\w.-]{1,253}$/.test(value)) ? value : undefined,
};

/** gRPC over HTTP/2, "Custom-Metadata": names in lower case on the wire, `grpc-` is the protocol's own. */
export const HEADER_NAME_RULE = textRule(
  'letters, digits, "_", "-" and ".", without "grpc-" at the beginning',
  (text) => /^(?!grpc-)[\w.-]+$/i.test(text),
);

export const HEADER_VALUE_RULE = textRule('printable ASCII text', (text) => /^[ -~]+$/.test(text));

export const FILE_RULE = textRule('the path of a file', (text) => Buffer.byteLength(text) <= 4095);
