import type { ListenerCount } from '../../balance/balance.ts';
import { describePinned, isCertain, type Pinned } from '../../balance/pinned.ts';
import { escapeControl } from '../../telemetry/escape.ts';
import { createPaint, fit, padEnd, padStart } from './text.ts';
import type { WaterfallOptions } from './waterfall.ts';

const MAX_ROWS = 8;
const NAME_WIDTH = 28;
const BAR_WIDTH = 20;

interface Row {
  readonly name: string;
  readonly requests: number;
}

/**
 * Requests per upstream and per downstream connection, of the current window or of all so far. Listeners with one
 * connection and one upstream are left out: there is nothing to balance.
 */
export function balanceTable(
  title: string,
  listeners: readonly ListenerCount[],
  of: 'window' | 'total',
  { width, color }: WaterfallOptions,
): string[] {
  const paint = createPaint(color);
  const lines = listeners
    .filter((listener) => listener[of] > 0 && isSpread(listener))
    .flatMap((listener) => {
      const { proxy, port } = listener;
      const name = `${escapeControl(proxy)}  ${port ? `:${port}` : 'requests that stand apart'}`;
      const upstreams = rowsOf([...listener.upstreams.values()], of, ({ name }) => `→ ${name}`);
      const connections = rowsOf(
        [...listener.connections].filter((connection) => connection[of] > 0),
        of,
        ({ client }) => `← ${client}`,
      );
      const { others } = listener;
      if (of === 'total' && others.requests > 0) {
        connections.push({ name: '← connections before', requests: others.requests });
      }
      return [
        paint('bold', fit(`${name}   ${listener[of]} requests`, width)),
        ...[...upstreams, ...connections].map((row) => fit(rowLine(row, listener[of]), width)),
      ];
    });
  return lines.length === 0 ? [] : [paint('dim', fit(title, width)), ...lines];
}

const isSpread = ({ upstreams, connections }: ListenerCount): boolean =>
  upstreams.size > 1 || connections.size > 1;

/** The busiest ones, and the rest in one row. */
function rowsOf<T extends { window: number; total: number }>(
  counts: readonly T[],
  of: 'window' | 'total',
  nameOf: (counted: T) => string,
): Row[] {
  const sorted = counts.toSorted((a, b) => b[of] - a[of]);
  const rows = sorted.slice(0, MAX_ROWS).map((counted) => ({ name: nameOf(counted), requests: counted[of] }));
  const rest = sorted.slice(MAX_ROWS);
  if (rest.length > 0) {
    const requests = rest.reduce((sum, counted) => sum + counted[of], 0);
    rows.push({ name: `  ${rest.length} more`, requests });
  }
  return rows;
}

function rowLine({ name, requests }: Row, all: number): string {
  const share = all === 0 ? 0 : requests / all;
  const percent = padStart(`${Math.round(100 * share)} %`, 6);
  const bar = '█'.repeat(Math.round(share * BAR_WIDTH));
  return `  ${padEnd(name, NAME_WIDTH)}${padStart(String(requests), 10)}${percent}  ${bar}`.trimEnd();
}

/** What was found, in whole sentences: never cut, for they say what to do. */
export function findingLines(
  findings: readonly Pinned[],
  { color }: Pick<WaterfallOptions, 'color'>,
): string[] {
  const paint = createPaint(color);
  return findings.map((pinned) =>
    paint(
      isCertain(pinned) ? 'red' : 'yellow',
      `! ${escapeControl(pinned.proxy)}: ${escapeControl(describePinned(pinned))}`,
    ),
  );
}
