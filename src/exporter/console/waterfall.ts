import { elapsedNs, type HopSpan, type HrTime } from '../../spans/hop-span.ts';
import { escapeControl } from '../../telemetry/escape.ts';
import {
  describeAddresses,
  describeEvent,
  describeEventName,
  describeName,
  describeOutcome,
  describePairing,
  hasFailed,
} from './describe.ts';
import { diffLines } from './diff-lines.ts';
import { createPaint, fit, formatNs, type Paint, padEnd, padStart, type Style, textWidth } from './text.ts';
import { buildTrees, groupByTrace, serviceOf, type TreeNode } from './tree.ts';

export interface WaterfallOptions {
  /** Columns; no line is longer. */
  readonly width: number;
  readonly color: boolean;
}

interface Segment {
  readonly text: string;
  readonly style?: Style | undefined;
}

/** One line of a tree before its columns are laid out. */
interface Row {
  readonly left: string;
  readonly leftStyle?: Style | undefined;
  readonly duration: string;
  /** As parts of the trace's whole time, 0 to 1; the same number twice marks a moment. */
  readonly from: number;
  readonly to: number;
  readonly barStyle: Style;
  readonly note: string;
  readonly noteStyle?: Style | undefined;
}

/** The whole time of a trace. */
interface Extent {
  readonly start: HrTime;
  readonly totalNs: number;
}

const MIN_BAR = 8;
const MAX_INDENT = 24;
const MAX_EVENTS = 16;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

function extentOf(trace: readonly HopSpan[]): Extent {
  const [first, ...rest] = trace as readonly [HopSpan, ...HopSpan[]];
  let { start, end } = first;
  for (const span of rest) {
    if (elapsedNs(span.start, start) > 0) start = span.start;
    if (elapsedNs(end, span.end) > 0) end = span.end;
  }
  return { start, totalNs: elapsedNs(start, end) };
}

function fraction(time: HrTime, { start, totalNs }: Extent): number {
  if (totalNs <= 0) return 0;
  return Math.min(1, Math.max(0, elapsedNs(start, time) / totalNs));
}

function noteStyle(span: HopSpan): Style | undefined {
  if (hasFailed(span)) return 'red';
  const outcome = span.attributes['hopspan.outcome'];
  if (outcome === undefined) return 'dim';
  return outcome === 'ok' ? 'green' : 'yellow';
}

function barStyle(span: HopSpan): Style {
  if (hasFailed(span)) return 'red';
  return span.kind === 'INTERNAL' ? 'yellow' : 'cyan';
}

function spanRow(node: TreeNode, depth: number, parent: HopSpan | undefined, extent: Extent): Row {
  const { span } = node;
  const service = serviceOf(span);
  const enters = parent === undefined || service !== serviceOf(parent);
  const name = describeName(span);
  const label = enters && service !== '' ? `${escapeControl(service)}  ${name}` : name;
  const notes = [describeOutcome(span), describePairing(span)].filter((note) => note !== '');
  return {
    left: indent(depth) + label,
    leftStyle: hasFailed(span) ? 'red' : enters ? 'bold' : undefined,
    duration: formatNs(elapsedNs(span.start, span.end)),
    from: fraction(span.start, extent),
    to: fraction(span.end, extent),
    barStyle: barStyle(span),
    note: notes.join(', '),
    noteStyle: noteStyle(span),
  };
}

function eventRows(span: HopSpan, depth: number, extent: Extent): Row[] {
  return span.events.slice(0, MAX_EVENTS).map((event) => ({
    left: `${indent(depth + 1)}• ${describeEventName(event)}`,
    leftStyle: 'yellow',
    duration: `+${formatNs(Math.max(0, elapsedNs(extent.start, event.time)))}`,
    from: fraction(event.time, extent),
    to: fraction(event.time, extent),
    barStyle: 'yellow',
    note: describeEvent(event),
    noteStyle: 'yellow',
  }));
}

function indent(depth: number): string {
  return ' '.repeat(Math.min(2 * depth, MAX_INDENT));
}

/** A bar to scale in `width` columns, at least one eighth of a column long. */
function bar({ from, to }: Row, width: number): string {
  const eighths = Math.max(1, Math.round((to - from) * width * 8));
  const cells = Math.ceil(eighths / 8);
  const start = Math.max(0, Math.min(Math.floor(from * width), width - cells));
  return ' '.repeat(start) + '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

/** Segments side by side, cut where the line ends. */
function line(segments: readonly Segment[], width: number, paint: Paint): string {
  let room = width;
  let out = '';
  for (const { text, style } of segments) {
    const part = fit(text, room);
    room -= textWidth(part);
    out += style === undefined ? part : paint(style, part);
  }
  return out;
}

/** What stands once above a tree: who took the exchange, from where, how long it was and how it ended. */
function titleLine(span: HopSpan, width: number, paint: Paint): string {
  const service = serviceOf(span);
  const addresses = describeAddresses(span);
  const columns: Segment[] = [
    { text: `${service === '' ? '' : `${escapeControl(service)}  `}${describeName(span)}`, style: 'bold' },
    { text: addresses },
    { text: formatNs(elapsedNs(span.start, span.end)), style: 'bold' },
    { text: describeOutcome(span), style: noteStyle(span) },
    { text: describePairing(span), style: 'dim' },
  ];
  const shown = columns.filter((column) => column.text !== '');
  const columnsWidth = shown.reduce((sum, column) => sum + 2 + textWidth(column.text), -2);
  // Of a title that is too long, the addresses are what one misses least.
  const kept = columnsWidth > width ? shown.filter((column) => column.text !== addresses) : shown;
  return line(
    kept.flatMap((column, n) => (n === 0 ? [column] : [{ text: '  ' }, column])),
    width,
    paint,
  );
}

function layOut(rows: readonly Row[], width: number, paint: Paint): string[] {
  const widest = (text: (row: Row) => string) =>
    rows.reduce((most, row) => Math.max(most, textWidth(text(row))), 0);
  const duration = widest((row) => row.duration);
  const left = Math.max(
    1,
    Math.min(
      widest((row) => row.left),
      Math.floor(width * 0.45),
      width - duration - 2,
    ),
  );
  const rest = width - left - duration - 4;
  let note = Math.min(
    widest((row) => row.note),
    Math.floor(width * 0.36),
  );
  if (rest - note - 2 < MIN_BAR) note = 0;
  const barWidth = note === 0 ? rest : rest - note - 2;
  return rows.map((row) => {
    const segments: Segment[] = [
      { text: padEnd(row.left, left), style: row.leftStyle },
      { text: `  ${padStart(row.duration, duration)}` },
    ];
    const drawn = barWidth >= MIN_BAR ? bar(row, barWidth) : '';
    const hasNote = note > 0 && row.note !== '';
    if (drawn !== '') {
      segments.push({ text: '  ' }, { text: hasNote ? padEnd(drawn, barWidth) : drawn, style: row.barStyle });
    }
    if (hasNote) segments.push({ text: `  ${fit(row.note, note)}`, style: row.noteStyle });
    return line(segments, width, paint);
  });
}

/** Below the name of the proxy, where there may be several in the trace. */
function changesOf({ span, children }: TreeNode, isOnly: boolean, width: number): string[] {
  const upstream = children.find((child) => child.span.kind === 'CLIENT')?.span;
  const lines = diffLines(span, upstream, width);
  return lines.length === 0 || isOnly ? lines : [`  ${escapeControl(serviceOf(span))}`, ...lines];
}

function traceLines(trace: readonly HopSpan[], { width, color }: WaterfallOptions): string[] {
  const paint = createPaint(color);
  const extent = extentOf(trace);
  const roots = buildTrees(trace);
  const [only, second] = roots;
  const single = second === undefined ? only : undefined;
  const lines: string[] = [];
  const rows: Row[] = [];
  const errors = new Set<string>();
  const changes: string[] = [];

  const stack = roots.map((node) => ({
    node,
    depth: single === node ? 0 : 1,
    parent: undefined as HopSpan | undefined,
  }));
  stack.reverse();
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node, depth, parent } = next;
    if (node !== single) rows.push(spanRow(node, depth, parent, extent));
    rows.push(...eventRows(node.span, depth, extent));
    changes.push(...changesOf(node, single !== undefined, width));
    if (node.span.error) errors.add(escapeControl(node.span.error));
    const below = node.children.map((child) => ({ node: child, depth: depth + 1, parent: node.span }));
    stack.push(...below.reverse());
  }

  if (single !== undefined) lines.push(titleLine(single.span, width, paint));
  else {
    const title = `trace ${trace[0]?.traceId ?? ''}  ${formatNs(extent.totalNs)}`;
    lines.push(line([{ text: title, style: 'dim' }], width, paint));
  }
  lines.push(...layOut(rows, width, paint));
  for (const change of changes) lines.push(line([{ text: change, style: 'cyan' }], width, paint));
  for (const error of errors) lines.push(line([{ text: `  ✗ ${error}`, style: 'red' }], width, paint));
  return lines;
}

/**
 * Draws spans as waterfalls, one per trace, an empty line between two. Spans of one trace form a tree; those
 * whose parent is not among the spans given stand at its top. Names are escaped, lines never longer than
 * `width` columns, bars to the scale of the trace's whole time.
 */
export function waterfall(spans: readonly HopSpan[], options: WaterfallOptions): string[] {
  return groupByTrace(spans).flatMap((trace, n) => [...(n === 0 ? [] : ['']), ...traceLines(trace, options)]);
}
