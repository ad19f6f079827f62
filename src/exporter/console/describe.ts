import type { HopSpan, HopSpanEvent } from '../../spans/hop-span.ts';
import { escapeControl } from '../../telemetry/escape.ts';
import { formatNs } from './text.ts';

const NS_PER_S = 1e9;

function text(span: HopSpan, ...keys: readonly string[]): string {
  for (const key of keys) {
    const value = span.attributes[key];
    if (value !== undefined) return escapeControl(String(value));
  }
  return '';
}

/** The span's name; of a hop's request `GET /users`, where the name is the method alone, and `upstream GET` on the other side. */
export function describeName(span: HopSpan): string {
  const name = escapeControl(span.name);
  if (span.attributes['hopspan.outcome'] === undefined || !text(span, 'http.request.method')) return name;
  if (span.kind === 'CLIENT') return `upstream ${name}`;
  const path = text(span, 'url.path');
  return path === '' ? name : `${name} ${path}`;
}

/** `127.0.0.1:51234 → :8000` of a span that serves; empty where the span does not tell. */
export function describeAddresses(span: HopSpan): string {
  if (span.kind !== 'SERVER') return '';
  const address = text(span, 'network.peer.address', 'client.address');
  const port = text(span, 'network.peer.port', 'client.port');
  const local = text(span, 'network.local.port', 'server.port');
  if (address === '' || local === '') return '';
  const host = address.includes(':') ? `[${address}]` : address;
  return `${host}${port === '' ? '' : `:${port}`} → :${local}`;
}

/** `ok`, `upstream_refused`, …, the status code of an answer; `error` for a failed span that has no outcome of its own; else empty. */
export function describeOutcome(span: HopSpan): string {
  const outcome = text(span, 'hopspan.outcome');
  const status = outcome === '' || outcome === 'ok' ? text(span, 'http.response.status_code') : '';
  return status || outcome || (span.error === undefined ? '' : 'error');
}

/** `paired by buffer`, `unpaired, ambiguous`; empty for spans that are not hops. */
export function describePairing(span: HopSpan): string {
  const pairing = text(span, 'hopspan.pairing');
  if (pairing === '') return '';
  const how = pairing === 'none' ? 'unpaired' : `paired by ${pairing}`;
  return span.attributes['hopspan.pairing.ambiguous'] === true ? `${how}, ambiguous` : how;
}

export function hasFailed(span: HopSpan): boolean {
  return span.error !== undefined;
}

/** `process frozen` of `hopspan.host.process_frozen`; others by their names. */
export function describeEventName({ name }: HopSpanEvent): string {
  const own = /^hopspan\.host\.(\w+)$/.exec(name)?.[1];
  return own ? own.replaceAll('_', ' ') : escapeControl(name);
}

/** What its attributes say, as `signal, SIGSTOP, 1.20 s`; of what is not about the host, nothing. */
export function describeEvent({ name, attributes }: HopSpanEvent): string {
  if (!name.startsWith('hopspan.host.')) return '';
  return Object.entries(attributes)
    .map(([key, value]) => describeValue(key, value))
    .join(', ');
}

function describeValue(key: string, value: HopSpanEvent['attributes'][string]): string {
  switch (key) {
    case 'hopspan.host.duration':
      return formatNs(Number(value) * NS_PER_S);
    case 'hopspan.host.out_of_memory':
      return 'out of memory';
    case 'hopspan.host.gateway':
      return `via ${escapeControl(String(value))}`;
    case 'hopspan.host.mtu.before':
      return `was ${value}`;
    default:
      return escapeControl(String(value));
  }
}
