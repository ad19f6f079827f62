import { namesOf, pickAttributes, resourceAttributes } from '../otlp/attributes.ts';
import { withParent } from '../otlp/request.ts';
import type { AttributeName } from '../spans/attributes.ts';
import { type ForeignSpan, isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import type { HopSpan } from '../spans/hop-span.ts';
import type { Processor } from './processor.ts';
import { type Choice, chooseUpstream, EVIDENCE, type HopEnd, type ServerSpan } from './upstream-choice.ts';

export interface HopParentOptions {
  /** How long an application's span waits for the hops of its trace. Milliseconds. */
  readonly waitMs: number;
  /** How long a hop is remembered for an application's span that comes late. Milliseconds. */
  readonly rememberMs: number;
  /** The most spans that wait, and the most of hops' that are remembered. */
  readonly maxSpans: number;
}

/** Of applications' SERVER spans since the start. */
export type HopParentStats = {
  /** Spans that were put under a hop. */
  moved: number;
  /** Spans with hops of the same caller, of which none was certain. */
  undecided: number;
  /** Spans that were passed on before their time, because too many waited. */
  hurried: number;
};

/** Of all spans that wait; one span may be some megabytes long. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** Of spans in a row from parent to child; longer chains, and circles of parents, are not followed. */
const MAX_CHAIN = 64;
/** Requests under one caller's span, such as a load generator with a header that never changes. */
const MAX_CANDIDATES = 1024;

const ORIGINAL_PARENT: AttributeName = 'hopspan.original_parent_span_id';

const NAMES = namesOf(EVIDENCE);

/** A hop's SERVER or CLIENT span, as much of it as is looked at. */
interface Known extends HopEnd {
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly kind: HopSpan['kind'];
  readonly atMs: number;
  /** An application's span was put under it by nothing but its time. */
  taken: boolean;
}

interface Held {
  readonly span: ForeignSpan;
  readonly atMs: number;
}

/** What is known of one trace, by the parents' ids. */
type Hops = Map<string, Set<Known>>;

/**
 * Puts the SERVER span of the application behind a proxy under the CLIENT span of the hop that carried its request. On
 * the wire it names the caller's span as its parent, beside the hop, since the proxy passed the header on as it was.
 * All other spans go through at once; a SERVER span waits a bounded time for the hops of its trace, and is decided on
 * then, in full view of what came. Where the evidence leaves a doubt it stays where it was.
 */
export function createHopParent(options: HopParentOptions): Processor {
  const stats: HopParentStats = { moved: 0, undecided: 0, hurried: 0 };
  const traces = new Map<string, Hops>();
  /* Both in order of arrival: the oldest is the first to go. */
  const remembered = new Set<Known>();
  const held = new Set<Held>();
  let heldBytes = 0;

  function remember(known: Known): void {
    const hops = entryOf(traces, known.traceId, () => new Map());
    entryOf(hops, known.parentSpanId, () => new Set()).add(known);
    remembered.add(known);
    for (const oldest of remembered) {
      if (remembered.size <= options.maxSpans) break;
      forget(oldest);
    }
  }

  function forget(known: Known): void {
    remembered.delete(known);
    const hops = traces.get(known.traceId);
    const siblings = hops?.get(known.parentSpanId);
    siblings?.delete(known);
    if (siblings?.size === 0) hops?.delete(known.parentSpanId);
    if (hops?.size === 0) traces.delete(known.traceId);
  }

  function hold(span: ForeignSpan, atMs: number): void {
    /* A copy, for what came in may be a small part of a large request. */
    held.add({ span: { ...span, bytes: Buffer.from(span.bytes) }, atMs });
    heldBytes += span.bytes.length;
  }

  function release(entry: Held): ForeignSpan {
    held.delete(entry);
    heldBytes -= entry.span.bytes.length;
    return entry.span;
  }

  /** What waits longest, where too much waits. */
  function hurry(): ForeignSpan[] {
    const out: ForeignSpan[] = [];
    for (const oldest of held) {
      if (held.size <= options.maxSpans && heldBytes <= MAX_HELD_BYTES) break;
      out.push(release(oldest));
      stats.hurried++;
    }
    return out;
  }

  /** Decides on all that waits since `beforeMs` or earlier. */
  function due(beforeMs: number): PipelineSpan[] {
    const spans: ForeignSpan[] = [];
    for (const entry of held) {
      if (entry.atMs > beforeMs) break;
      spans.push(release(entry));
    }
    const choices = spans.map(choiceFor);
    const claims = new Map<Known, number>();
    for (const choice of choices) if (choice) claims.set(choice.end, (claims.get(choice.end) ?? 0) + 1);
    return spans.map((span, index) => place(span, choices[index], claims));
  }

  function choiceFor(span: ForeignSpan): Choice<Known> | undefined {
    const hops = traces.get(span.traceId);
    const ends = hops ? endsBelow(span, hops) : [];
    if (ends?.length === 0) return undefined;
    const choice = ends && chooseUpstream(serverSpan(span), ends);
    if (!choice) stats.undecided++;
    return choice;
  }

  function place(
    span: ForeignSpan,
    choice: Choice<Known> | undefined,
    claims: ReadonlyMap<Known, number>,
  ): ForeignSpan {
    if (!choice) return span;
    const { end, by } = choice;
    if (by === 'time' && (end.taken || claims.get(end) !== 1)) {
      stats.undecided++;
      return span;
    }
    end.taken = true;
    stats.moved++;
    return withParent(span, end.spanId, ORIGINAL_PARENT, span.parentSpanId ?? '');
  }

  return {
    stats,
    process(spans, nowMs) {
      const out: PipelineSpan[] = [];
      for (const span of spans) {
        if (isForeign(span)) {
          if (span.kind === 'SERVER' && span.parentSpanId) hold(span, nowMs);
          else out.push(span);
          continue;
        }
        const known = toKnown(span, nowMs);
        if (known) remember(known);
        out.push(span);
      }
      out.push(...hurry());
      return out;
    },
    advance(nowMs) {
      const out = due(nowMs - options.waitMs);
      for (const oldest of remembered) {
        if (oldest.atMs > nowMs - options.rememberMs) break;
        forget(oldest);
      }
      return out;
    },
    flush: () => due(Number.POSITIVE_INFINITY),
    held: () => held.size,
  };
}

/** Undefined for phases, and for roots: their trace is hopspan's own, and no application knows it. */
function toKnown(span: HopSpan, atMs: number): Known | undefined {
  const { traceId, spanId, parentSpanId, kind, start, end, attributes, resource } = span;
  if (kind === 'INTERNAL' || parentSpanId === undefined) return undefined;
  return {
    ...{ traceId, spanId, parentSpanId, kind, start, end, atMs, taken: false },
    address: attributes['network.local.address'],
    port: attributes['network.local.port'],
    method: attributes['http.request.method'],
    resource: resource.attributes,
  };
}

/**
 * The CLIENT spans at the ends of the chains of hops that begin at this span's parent: where another watched proxy took
 * a connection, the request went on from there. Undefined where there are too many to look at.
 */
function endsBelow(span: ForeignSpan, hops: Hops): Known[] | undefined {
  const ends: Known[] = [];
  let row = [...(hops.get(span.parentSpanId ?? '') ?? [])];
  for (let length = 0; row.length > 0; length++) {
    if (length > MAX_CHAIN || row.length + ends.length > MAX_CANDIDATES) return undefined;
    const next: Known[] = [];
    for (const at of row) {
      /* An id that is both a hop's and the application's would make a circle. */
      if (at.spanId === span.spanId || at.spanId === span.parentSpanId) return undefined;
      const below = hops.get(at.spanId);
      if (below) next.push(...below);
      else if (at.kind === 'CLIENT') ends.push(at);
    }
    row = next;
  }
  return ends;
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function serverSpan({ start, end, bytes, origin }: ForeignSpan): ServerSpan {
  return { start, end, attributes: pickAttributes(bytes, NAMES), resource: resourceAttributes(origin) };
}
