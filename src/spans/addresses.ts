import { AF_INET6, isMapped } from '../correlate/side.ts';
import type { SideRecord } from '../records.gen.ts';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Texts that were asked for, for each is asked for again and again. */
const ipv4Texts = new Map<number, string>();
const MAX_TEXTS = 4096;

function formatIpv4(bytes: Uint8Array, at: number): string {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  const key = (a << 24) | (b << 16) | (c << 8) | d;
  let text = ipv4Texts.get(key);
  if (text === undefined) {
    text = `${a}.${b}.${c}.${d}`;
    if (ipv4Texts.size >= MAX_TEXTS) ipv4Texts.clear();
    ipv4Texts.set(key, text);
  }
  return text;
}

/** The canonical text form of an IPv6 address (RFC 5952). */
export function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let bestStart = -1;
  let bestLength = 1; // a single zero group is not shortened
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (bestStart < 0) return text(groups);
  return `${text(groups.slice(0, bestStart))}::${text(groups.slice(bestStart + bestLength))}`;
}

/** Of 4 or 16 bytes. */
export const formatAddress = (bytes: Uint8Array): string =>
  bytes.length === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes);

function format(record: SideRecord, bytes: Uint8Array): string {
  if (record.family !== AF_INET6) return formatIpv4(bytes, 0);
  return isMapped(bytes) ? formatIpv4(bytes, 12) : formatIpv6(bytes);
}

export const localEndpoint = (record: SideRecord): Endpoint => ({
  address: format(record, record.localAddr),
  port: record.localPort,
});

export const remoteEndpoint = (record: SideRecord): Endpoint => ({
  address: format(record, record.remoteAddr),
  port: record.remotePort,
});

/** `address:port`, as in URLs (RFC 3986, section 3.2.2). */
export const endpointText = ({ address, port }: Endpoint): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

export function networkType(record: SideRecord): 'ipv4' | 'ipv6' {
  return record.family === AF_INET6 && !isMapped(record.remoteAddr) ? 'ipv6' : 'ipv4';
}
