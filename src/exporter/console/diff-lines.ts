import type { HopSpan } from '../../spans/hop-span.ts';
import { escapeControl } from '../../telemetry/escape.ts';
import { textWidth } from './text.ts';

const KINDS = { added: 'added', removed: 'removed', recased: 're-cased', rewritten: 'rewrote' } as const;
const LABEL_WIDTH = 20;

/**
 * What the proxy changed in the request and in the answer of a hop, by names; no lines where it was not compared, or
 * nothing was changed. Long lists go on in further lines. `upstream` is the span of what it sent.
 */
export function diffLines(hop: HopSpan, upstream: HopSpan | undefined, width: number): string[] {
  const lines: string[] = [];
  const add = (what: string, ...items: readonly string[]): void => {
    let left = `  ${what.padEnd(LABEL_WIDTH)}`;
    for (const row of wrap(items.map(escapeControl), width - left.length)) {
      lines.push(left + row);
      left = ' '.repeat(left.length);
    }
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
      if (Array.isArray(names)) add(`${message} ${label}`, ...names);
    }
  }
  return lines;
}

/** Items of a list in rows of at most so many columns, as far as one item fits. */
function wrap(items: readonly string[], width: number): string[] {
  const rows: string[] = [];
  for (const item of items) {
    const row = rows.at(-1);
    const longer = `${row}, ${item}`;
    if (row !== undefined && textWidth(longer) < width) rows[rows.length - 1] = longer;
    else {
      if (row !== undefined) rows[rows.length - 1] = `${row},`;
      rows.push(item);
    }
  }
  return rows;
}
