import { resourceAttributes, spanAttributes } from '../otlp/attributes.ts';
import { withParent } from '../otlp/request.ts';
import type { AttributeName } from '../spans/attributes.ts';
import { type ForeignSpan, isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import type { Attributes, HopSpan } from '../spans/hop-span.ts';
import type { Processor } from './processor.ts';
import { type Candidate, chooseUpstream, type ServerSpan } from './upstream-choice.ts';

export interface HopParentOptions {
  /** How long an application's span waits for the hops of its trace. Milliseconds. */
  readonly waitMs: number;
  /** How long a hop is remembered for an application's span that comes late. Milliseconds. */
  readonly rememberMs: number;
  /** The most spans that wait, and the most hops' spans that are remembered. */
  readonly maxSpans: number;
}

export interface HopParentStats {
  /** Spans that were placed beneath a hop. */
  moved: number;
  /** SERVER spans with a hop of the same caller beside them, of which none was certain. */
  undecided: number;
  /** Spans that were passed on before their time, because too many waited. */
  hurried: number;
}

/** Bytes of all spans that wait; one span may be some megabytes long. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** Longer chains of proxies, and circles of parents, are not followed. */
const MAX_CHAIN = 32;

export const ORIGINAL_PARENT: AttributeName = 'hopspan.original_parent_span_id';

/** One span of a hop, as much of it as is looked at. */
interface Remembered {
  readonly span: HopSpan;
  readonly atMs: number;
}

interface Held {
  readonly span: ForeignSpan;
  readonly atMs: number;
}

/** What is known of one trace: its hops' SERVER and CLIENT spans, by their ids. */
type Hops = Map<string, HopSpan>;

/**
 * Puts the SERVER span of the application behind a proxy under the CLIENT span of the hop that carried its request. On
 * the wire it names the caller's span as its parent, beside the hop, since the proxy passed the header on as it was.
 * All other spans go through at once; a SERVER span waits a bounded time for the hops of its trace, and is decided on
 * then, in full view of what came. Where the evidence leaves a doubt it stays where it was.
 */
export function createHopParent(
  options: HopParentOptions,
): Processor & { readonly stats: Readonly<HopParentStats> } {
  const stats: HopParentStats = { moved: 0, undecided: 0, hurried: 0 };
  const traces = new Map<string, Hops>();
  /** In order of arrival, as times come in order: the oldest is the first to go. */
  const remembered = new Set<Remembered>();
  const held = new Set<Held>();
  let heldBytes = 0;

  function remember(span: HopSpan, atMs: number): void {
    let hops = traces.get(span.traceId);
    if (!hops) {
      hops = new Map();
      traces.set(span.traceId, hops);
    }
    hops.set(span.spanId, span);
    remembered.add({ span, atMs });
    for (const oldest of remembered) {
      if (remembered.size <= options.maxSpans) break;
      forget(oldest);
    }
  }

  function forget(oldest: Remembered): void {
    const { traceId, spanId } = oldest.span;
    remembered.delete(oldest);
    const hops = traces.get(traceId);
    if (hops?.get(spanId) === oldest.span) hops.delete(spanId);
    if (hops?.size === 0) traces.delete(traceId);
  }

  function hold(span: ForeignSpan, atMs: number): void {
    /* A copy, for what came in may be a small part of a large request. */
    held.add({ span: { ...span, bytes: Uint8Array.from(span.bytes) }, atMs });
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

  /** Decides on all that waits since before `beforeMs`. */
  function due(beforeMs: number): PipelineSpan[] {
    const entries: Held[] = [];
    for (const entry of held) {
      if (entry.atMs > beforeMs) break;
      entries.push(entry);
    }
    if (entries.length === 0) return [];
    return entries.map((entry) => place(release(entry)));
  }

  function place(span: ForeignSpan): ForeignSpan {
    const hops = traces.get(span.traceId);
    if (!hops) return span;
    const candidates = candidatesFor(span, hops);
    if (candidates.length === 0) return span;
    const upstream = chooseUpstream(serverSpan(span), candidates);
    if (!upstream) {
      stats.undecided++;
      return span;
    }
    stats.moved++;
    return withParent(span, upstream, ORIGINAL_PARENT, span.parentSpanId ?? '');
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
        if (span.kind !== 'INTERNAL') remember(span, nowMs);
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

/**
 * The CLIENT spans whose chain of hops begins at this span's parent and ends with them: where another watched proxy
 * took the connection, the request went on from there.
 */
function candidatesFor(span: ForeignSpan, hops: Hops): Candidate[] {
  const taken = new Set<string>();
  for (const hop of hops.values()) if (hop.kind === 'SERVER' && hop.parentSpanId) taken.add(hop.parentSpanId);
  const found: Candidate[] = [];
  for (const client of hops.values()) {
    if (client.kind !== 'CLIENT' || taken.has(client.spanId)) continue;
    if (!beginsAt(span, client, hops)) continue;
    found.push({ span: client, attributes: client.attributes, resource: client.resource.attributes });
  }
  return found;
}

function beginsAt(span: ForeignSpan, client: HopSpan, hops: Hops): boolean {
  let at: HopSpan = client;
  for (let length = 0; length < MAX_CHAIN; length++) {
    /* An id that is both a hop's and the application's would make a circle. */
    if (at.spanId === span.spanId || at.spanId === span.parentSpanId || !at.parentSpanId) return false;
    if (at.kind === 'SERVER' && at.parentSpanId === span.parentSpanId) return true;
    const above = hops.get(at.parentSpanId);
    if (!above) return false;
    at = above;
  }
  return false;
}

function serverSpan(span: ForeignSpan): ServerSpan {
  const attributes: Attributes = spanAttributes(span.bytes);
  return { start: span.start, end: span.end, attributes, resource: resourceAttributes(span.origin) };
}
