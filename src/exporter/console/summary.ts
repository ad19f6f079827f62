import type { HopSpan } from '../../spans/hop-span.ts';
import { elapsedNs } from '../../spans/hop-span.ts';
import { escapeControl } from '../../telemetry/escape.ts';
import { describeName, describeOutcome } from './describe.ts';
import { Histogram } from './histogram.ts';
import { createPaint, fit, formatNs, padEnd, padStart, textWidth } from './text.ts';
import { buildTrees, groupByTrace, serviceOf, type TreeNode } from './tree.ts';
import type { WaterfallOptions } from './waterfall.ts';

const MAX_HOPS = 64;
const MAX_PHASES = 24;
const MAX_OUTCOMES = 16;
const OTHER = 'other';
const TOTAL = 'total';

interface HopSummary {
  readonly service: string;
  readonly hop: string;
  readonly phases: Map<string, Histogram>;
  readonly outcomes: Map<string, number>;
}

/** What was seen so far, per hop; bounded, whatever comes in. */
export interface Summary {
  /** Spans of one exchange must come in one call. */
  add(spans: readonly HopSpan[]): void;
  /** One table; no lines if nothing was added. */
  render(options: WaterfallOptions): string[];
}

/** The value under `key`; the one under `other` once the map is full. */
function bounded<V>(map: Map<string, V>, key: string, limit: number, make: () => V): V {
  const known = map.get(key) ?? (map.size < limit ? undefined : map.get(OTHER));
  if (known !== undefined) return known;
  const value = make();
  map.set(map.size < limit ? key : OTHER, value);
  return value;
}

/** `hopspan.read_wait.duration` (seconds) to `read wait`; undefined for other attributes. */
function phaseOfAttribute(key: string): string | undefined {
  return /^hopspan\.([a-z_]+)\.duration$/.exec(key)?.[1]?.replaceAll('_', ' ');
}

/**
 * Every phase of one hop: the spans below it in the same process, and, for phases too short to have a span,
 * the hop's own attributes.
 */
function phasesOf(hop: TreeNode): Map<string, number> {
  const { span } = hop;
  const phases = new Map([[TOTAL, elapsedNs(span.start, span.end)]]);
  const stack = [...hop.children].reverse();
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (serviceOf(node.span) !== serviceOf(span) || node.span.kind === 'SERVER') continue;
    // A phase that comes twice (two queries of an application) counts with its sum.
    const name = node.span.kind === 'CLIENT' ? describeName(node.span) : node.span.name;
    phases.set(name, (phases.get(name) ?? 0) + elapsedNs(node.span.start, node.span.end));
    stack.push(...[...node.children].reverse());
  }
  for (const [key, value] of Object.entries(span.attributes)) {
    const phase = phaseOfAttribute(key);
    if (phase !== undefined && typeof value === 'number' && !phases.has(phase))
      phases.set(phase, value * 1e9);
  }
  return phases;
}

/** The spans that begin a hop: roots, calls that arrive, and where the service changes. */
function hopsOf(roots: readonly TreeNode[]): TreeNode[] {
  const hops: TreeNode[] = [];
  const stack = roots.map((node) => ({ node, service: undefined as string | undefined }));
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node, service } = next;
    const own = serviceOf(node.span);
    if (own !== service || node.span.kind === 'SERVER') hops.push(node);
    for (const child of node.children) stack.push({ node: child, service: own });
  }
  return hops;
}

function renderHop(hop: HopSummary, { width, color }: WaterfallOptions, leftWidth: number): string[] {
  const paint = createPaint(color);
  const outcomes = [...hop.outcomes].sort((a, b) => b[1] - a[1]);
  const title = [hop.service, hop.hop].filter((text) => text !== '').join('  ');
  const titleText = fit(escapeControl(title), width);
  let room = width - textWidth(titleText);
  let head = paint('bold', titleText);
  for (const [outcome, count] of outcomes) {
    const text = fit(`   ${escapeControl(outcome)} ${count}`, room);
    room -= textWidth(text);
    head += paint(outcome === 'ok' ? 'green' : 'red', text);
  }
  const lines = [head];
  for (const [phase, histogram] of hop.phases) {
    const numbers = [0.5, 0.95, 0.99].map((q) => padStart(formatNs(histogram.quantile(q)), 12)).join('');
    const count = padStart(String(histogram.count), 10);
    lines.push(fit(`  ${padEnd(escapeControl(phase), leftWidth - 2)}${count}${numbers}`, width));
  }
  return lines;
}

/** An empty summary: at most 64 hops of 24 phases each; what is beyond counts under `other`. */
export function createSummary(): Summary {
  const hops = new Map<string, HopSummary>();

  const addHop = (node: TreeNode): void => {
    const service = serviceOf(node.span);
    const key = JSON.stringify([service, node.span.name]);
    const full = !hops.has(key) && hops.size >= MAX_HOPS;
    const entry = bounded(hops, key, MAX_HOPS, () => ({
      service: full ? '' : service,
      hop: full ? OTHER : node.span.name,
      phases: new Map<string, Histogram>(),
      outcomes: new Map<string, number>(),
    }));
    const outcome = describeOutcome(node.span) || 'ok';
    const outcomeKey = entry.outcomes.has(outcome) || entry.outcomes.size < MAX_OUTCOMES ? outcome : OTHER;
    entry.outcomes.set(outcomeKey, (entry.outcomes.get(outcomeKey) ?? 0) + 1);
    for (const [phase, ns] of phasesOf(node)) {
      bounded(entry.phases, phase, MAX_PHASES, () => new Histogram()).add(ns);
    }
  };

  return {
    add(spans) {
      for (const trace of groupByTrace(spans)) for (const hop of hopsOf(buildTrees(trace))) addHop(hop);
    },
    render(options) {
      if (hops.size === 0) return [];
      const all = [...hops.values()].sort(
        (a, b) => a.service.localeCompare(b.service) || a.hop.localeCompare(b.hop),
      );
      const names = all.flatMap((hop) =>
        [...hop.phases.keys()].map((phase) => textWidth(escapeControl(phase)) + 2),
      );
      // Four columns of numbers take 46.
      const leftWidth = Math.max(12, Math.min(Math.max(...names), options.width - 46));
      const paint = createPaint(options.color);
      const titles = `${padStart('count', 10)}${['p50', 'p95', 'p99'].map((title) => padStart(title, 12)).join('')}`;
      const header = paint('dim', fit(`${padEnd('', leftWidth)}${titles}`, options.width));
      return [header, ...all.flatMap((hop) => renderHop(hop, options, leftWidth))];
    },
  };
}
