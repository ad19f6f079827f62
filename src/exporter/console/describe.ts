import type { HopSpan } from '../../spans/hop-span.ts';
import { escapeControl } from '../../telemetry/escape.ts';

function text(span: HopSpan, ...keys: readonly string[]): string {
  for (const key of keys) {
    const value = span.attributes[key];
    if (value !== undefined) return escapeControl(String(value));
  }
  return '';
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

/** `ok`, `upstream_refused`, …; `error` for a failed span that has no outcome of its own; else empty. */
export function describeOutcome(span: HopSpan): string {
  return text(span, 'hopspan.outcome') || (span.error === undefined ? '' : 'error');
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
