import { describeAddresses, describeName } from '../exporter/console/describe.ts';
import { buildTrees, type TreeNode } from '../exporter/console/tree.ts';
import { elapsedNs, type HopSpan, type HrTime } from '../spans/hop-span.ts';
import { PHASES, type PhaseName } from '../spans/phases.ts';
import type { Choice } from './choice.ts';
import { resultOf, roleOf, type SpanRole, serviceName, short } from './facts.ts';

/** Spans of one trace that are kept, and rows of one waterfall. */
const MAX_KEPT = 400;
export const MAX_ROWS = 80;
const MIN_MARGIN_NS = 100e6;
const MAX_EVENTS = 8;
const MAX_ATTRIBUTES = 60;
const MAX_VALUE = 300;

export interface Row {
  readonly depth: number;
  readonly role: SpanRole | 'event';
  /** Where it is another than in the row above. */
  readonly service: string;
  readonly name: string;
  readonly phase: PhaseName | undefined;
  /** From the beginning of the waterfall. */
  readonly offsetNs: number;
  readonly durationNs: number;
  /** `upstream_reset`, `200`, …; empty where nothing is said. */
  readonly result: string;
  readonly failed: boolean;
  /** What went wrong, in one sentence. */
  readonly error: string;
  /** Sentences of what the attributes tell. */
  readonly notes: readonly string[];
  readonly attributes: readonly (readonly [string, string])[];
}

export interface Waterfall {
  readonly traceId: string;
  readonly reasons: readonly string[];
  readonly service: string;
  readonly name: string;
  readonly addresses: string;
  readonly start: HrTime;
  /** Of the hop that was chosen. */
  readonly durationNs: number;
  readonly result: string;
  readonly failed: boolean;
  /** The phase of the chosen hop that took longest. */
  readonly longest: { readonly phase: PhaseName; readonly ns: number } | undefined;
  /** From the first row's beginning to the last one's end. */
  readonly extentNs: number;
  readonly rows: readonly Row[];
  /** Spans of the trace that overlap the hop and are not shown. */
  readonly leftOut: number;
}

/** Gathers the spans of chosen traces that are near the chosen hop in time, and draws those that overlap it or the hop that it is part of. */
export interface Gatherer {
  add(spans: readonly HopSpan[]): void;
  waterfalls(): Waterfall[];
}

export function createGatherer(choices: readonly Choice[]): Gatherer {
  const gathered = new Map(
    choices.map((choice) => [choice.traceId, { choice, spans: [] as HopSpan[], lost: 0 }]),
  );
  return {
    add(spans) {
      for (const span of spans) {
        const entry = gathered.get(span.traceId);
        if (!entry || !isNear(span, entry.choice)) continue;
        if (entry.spans.length < MAX_KEPT || span.spanId === entry.choice.spanId) entry.spans.push(span);
        else entry.lost++;
      }
    },
    waterfalls: () =>
      [...gathered.values()].flatMap(({ choice, spans, lost }) => waterfallOf(choice, spans, lost) ?? []),
  };
}

/** A proxy before this one had the request earlier, and has it longer. */
function isNear({ start, end }: HopSpan, choice: Choice): boolean {
  const marginNs = Math.max(MIN_MARGIN_NS, 2 * choice.durationNs);
  return elapsedNs(choice.start, end) >= -marginNs && elapsedNs(start, choice.end) >= -marginNs;
}

/** The first hop of the chain of which this one is a part. */
function outermost(chosen: HopSpan, spans: readonly HopSpan[]): HopSpan {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const seen = new Set<HopSpan>();
  let outer = chosen;
  for (let span: HopSpan | undefined = chosen; span && !seen.has(span); ) {
    seen.add(span);
    if (roleOf(span) === 'hop') outer = span;
    span = byId.get(span.parentSpanId ?? '');
  }
  return outer;
}

function waterfallOf(choice: Choice, spans: readonly HopSpan[], lost: number): Waterfall | undefined {
  const chosen = spans.find(({ spanId }) => spanId === choice.spanId);
  if (!chosen) return undefined;
  const outer = outermost(chosen, spans);
  const overlapping = spans.filter(
    ({ start, end }) => elapsedNs(outer.start, end) >= 0 && elapsedNs(start, outer.end) >= 0,
  );
  const shown = mostTelling(chosen, overlapping);
  let { start } = chosen;
  let endNs = 0;
  for (const span of shown) if (elapsedNs(span.start, start) > 0) start = span.start;
  for (const span of shown) endNs = Math.max(endNs, elapsedNs(start, span.end));
  const rows: Row[] = [];
  const walk = (node: TreeNode, depth: number, above: string): void => {
    rows.push(rowOf(node.span, depth, above, start));
    for (const event of node.span.events.slice(0, MAX_EVENTS)) rows.push(eventRow(event, depth + 1, start));
    for (const child of node.children) walk(child, depth + 1, serviceName(node.span));
  };
  for (const root of buildTrees(shown)) walk(root, 0, '');
  return {
    ...{ traceId: choice.traceId, reasons: choice.reasons, durationNs: choice.durationNs, start, rows },
    service: serviceName(chosen),
    name: nameOf(chosen),
    addresses: describeAddresses(chosen),
    result: resultText(chosen),
    failed: chosen.error !== undefined,
    longest: longestPhase(rows, choice, chosen),
    extentNs: Math.max(1, endNs),
    leftOut: overlapping.length - shown.length + lost,
  };
}

/** The chosen hop, what is below and above it, and then the rest, by start. */
function mostTelling(chosen: HopSpan, spans: readonly HopSpan[]): HopSpan[] {
  if (spans.length <= MAX_ROWS) return [...spans];
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const children = Map.groupBy(spans, ({ parentSpanId }) => parentSpanId ?? '');
  const kept = new Set<HopSpan>();
  for (let span: HopSpan | undefined = chosen; span && !kept.has(span); )
    span = kept.add(span) && byId.get(span.parentSpanId ?? '');
  const below = [chosen];
  for (let span = below.shift(); span && kept.size < MAX_ROWS; span = below.shift()) {
    kept.add(span);
    below.push(...(children.get(span.spanId) ?? []).filter((child) => !kept.has(child)));
  }
  for (const span of spans.toSorted((a, b) => elapsedNs(b.start, a.start))) {
    if (kept.size >= MAX_ROWS) break;
    kept.add(span);
  }
  return [...kept].slice(0, MAX_ROWS);
}

function rowOf(span: HopSpan, depth: number, above: string, start: HrTime): Row {
  const role = roleOf(span);
  const service = serviceName(span);
  return {
    ...{ depth: Math.min(depth, 12), role, name: nameOf(span) },
    service: service === above ? '' : service,
    phase: role === 'phase' ? phaseOf(span.name) : undefined,
    offsetNs: elapsedNs(start, span.start),
    durationNs: Math.max(0, elapsedNs(span.start, span.end)),
    result: resultText(span),
    failed: span.error !== undefined,
    error: short(span.error ?? '', MAX_VALUE),
    notes: role === 'hop' || role === 'upstream' ? notesOf(span, role) : [],
    attributes: Object.entries(span.attributes)
      .slice(0, MAX_ATTRIBUTES)
      .map(([key, value]) => [short(key), short(String(value), MAX_VALUE)]),
  };
}

function eventRow(event: HopSpan['events'][number], depth: number, start: HrTime): Row {
  return {
    ...{ depth: Math.min(depth, 12), role: 'event', service: '', name: short(event.name), phase: undefined },
    ...{ offsetNs: elapsedNs(start, event.time), durationNs: 0, result: '', failed: false, error: '' },
    notes: [],
    attributes: Object.entries(event.attributes)
      .slice(0, MAX_ATTRIBUTES)
      .map(([key, value]) => [short(key), short(String(value), MAX_VALUE)]),
  };
}

function nameOf(span: HopSpan): string {
  return short(describeName(span), MAX_VALUE);
}

/** The status of an answer, and what became of the exchange where that is not all of it. */
function resultText(span: HopSpan): string {
  const outcome = resultOf(span);
  const status = span.attributes['http.response.status_code'] ?? span.attributes['rpc.status_code'];
  if (status === undefined) return outcome || (span.error === undefined ? '' : 'error');
  const isPlain = outcome === '' || outcome === 'ok' || outcome.startsWith('status ');
  return short(isPlain ? String(status) : `${outcome}, ${status}`);
}

function longestPhase(rows: readonly Row[], choice: Choice, chosen: HopSpan): Waterfall['longest'] {
  let longest: { phase: PhaseName; ns: number } | undefined;
  for (const phase of Object.keys(PHASES) as PhaseName[]) {
    const seconds = chosen.attributes[`hopspan.${phase.replaceAll(' ', '_')}.duration`];
    const ns = typeof seconds === 'number' ? seconds * 1e9 : 0;
    if (ns > (longest?.ns ?? 0)) longest = { phase, ns };
  }
  return rows.length > 0 && longest && choice.durationNs > 0 ? longest : undefined;
}

const phaseOf = (name: string): PhaseName | undefined =>
  Object.hasOwn(PHASES, name) ? (name as PhaseName) : undefined;

function notesOf(span: HopSpan, role: 'hop' | 'upstream'): string[] {
  const { attributes } = span;
  const has = (key: string): boolean => attributes[key] === true;
  const text = (key: string): string => short(String(attributes[key] ?? ''));
  const notes: string[] = [];
  const pairing = text('hopspan.pairing');
  if (has('hopspan.pairing.ambiguous')) notes.push('unpaired: the evidence left more than one candidate');
  else if (pairing !== '') notes.push(pairing === 'none' ? 'unpaired' : `paired by ${pairing}`);
  const by = text('hopspan.close.by');
  if (by)
    notes.push(
      `${by === 'client' || by === 'proxy' || by === 'upstream' ? `the ${by}` : by} closed first, by ${text('hopspan.close.how')}`,
    );
  const attempts = attributes['hopspan.attempts'];
  if (typeof attempts === 'number') notes.push(`${attempts} attempts`);
  if (has('hopspan.mirrored')) notes.push('a copy that the proxy made');
  if (has('hopspan.unparsed')) notes.push('not understood as HTTP from some point on');
  if (has('hopspan.connection.preexisting')) notes.push('the connection is older than hopspan');
  else if (has('hopspan.connection.reused'))
    notes.push(`exchange ${text('hopspan.exchange.number')} of its connection`);
  const [got, sent] = [attributes['hopspan.bytes.received'], attributes['hopspan.bytes.sent']];
  if (typeof got === 'number' && typeof sent === 'number') {
    const [from, to] = role === 'hop' ? ['from the client', 'to it'] : ['from the upstream', 'to it'];
    notes.push(`${got} bytes ${from}, ${sent} ${to}`);
  }
  const retransmits = attributes['hopspan.tcp.retransmits'];
  if (typeof retransmits === 'number' && retransmits > 0) notes.push(`${retransmits} segments sent again`);
  if (attributes['hopspan.worker'] !== undefined && role === 'hop')
    notes.push(`worker ${text('hopspan.worker')}`);
  return notes;
}
