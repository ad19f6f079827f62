import type { HopSpan } from '../../spans/hop-span.ts';
import { escapeControl } from '../../telemetry/escape.ts';

const KINDS = { added: 'added', removed: 'removed', recased: 're-cased', rewritten: 'rewrote' } as const;
const LABEL_WIDTH = 20;

/**
 * What the proxy changed in the request and in the answer of a hop, by names; no lines where it was not compared, or
 * nothing was changed. `upstream` is the span of what it sent.
 */
export function diffLines(hop: HopSpan, upstream: HopSpan | undefined): string[] {
  const lines: string[] = [];
  const add = (what: string, text: string): void => {
    lines.push(`  ${what.padEnd(LABEL_WIDTH)}${escapeControl(text)}`);
  };
  if (hop.attributes['hopspan.path.rewritten'] === true) {
    const [from, to] = [hop.attributes['url.path'], upstream?.attributes['url.full']];
    add('request rewrote', from && to ? `the path ${from} to ${to}` : 'the path');
  }
  for (const [message, prefix] of [
    ['request', 'hopspan.headers'],
    ['answer', 'hopspan.response.headers'],
  ]) {
    for (const [kind, label] of Object.entries(KINDS)) {
      const names = hop.attributes[`${prefix}.${kind}`];
      if (Array.isArray(names)) add(`${message} ${label}`, names.join(', '));
    }
  }
  return lines;
}
