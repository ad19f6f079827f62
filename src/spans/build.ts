import { type SpanContext, TraceFlags } from '@opentelemetry/api';
import { type Hop, keyOf, tgidOf } from '../correlate/hop.ts';
import type { HostEvents } from '../correlate/host-events.ts';
import { endNs, isPooled, type Side } from '../correlate/side.ts';
import type { HostRecord, ProxyRecord } from '../receiver/kernel-record.ts';
import type { ReadContext } from './context.ts';
import { type Bag, hopAttributes, MIRRORED, resendCount, upstreamAttributes } from './hop-attributes.ts';
import type { Attributes, HopResource, HopSpan, HopSpanEvent, HopSpanLink, SpanKind } from './hop-span.ts';
import { hostEventsOf } from './host-events.ts';
import { httpName } from './http.ts';
import { createIds, type Ids, SPAN_PART } from './ids.ts';
import { attemptOutcome, errorText, OUTCOMES, type Outcome, outcomeOf, upstreamOutcome } from './outcome.ts';
import {
  attemptInterval,
  clamp,
  furtherInterval,
  type Interval,
  PHASES,
  type Phase,
  type PhaseName,
  timesOf,
} from './phases.ts';
import { resourceOf } from './resource.ts';
import { wallTime } from './wall-time.ts';

const SAMPLED = TraceFlags.SAMPLED;
/** Shared by all spans that have no events or links. */
const NONE: readonly never[] = [];
const NO_ATTRIBUTES: Bag = {};
const NO_SEED = '0'.repeat(32);
const PHASE_NAMES = Object.keys(PHASES) as PhaseName[];

export interface SpanOptions {
  /** Phases shorter than this are left out as spans; their times stay on the hop. Nanoseconds. */
  readonly phaseFloorNs: number;
  readonly resourceAttributes: Attributes;
  /** What becomes of requests whose caller is not sampled; `drop` where this is not given. */
  readonly unsampled?: 'drop' | 'keep';
  /** Whose child a request is, by its headers; nobody's where this is not given. */
  readonly readContext?: ReadContext;
  /** What happened to the host, for the spans that it overlaps. */
  readonly hostEvents?: HostEvents;
}

/** Hops to spans. Pure: the same hops give the same spans with the same ids. */
export function createSpanBuilder(options: SpanOptions): (hop: Hop) => HopSpan[] {
  const resources = new Map<ProxyRecord | undefined, HopResource>();
  let ids: Ids = createIds(NO_SEED);
  let idsOf: HostRecord | undefined;

  function resourceFor(hop: Hop): HopResource {
    let resource = resources.get(hop.proxy);
    if (!resource) {
      resource = resourceOf(hop.proxy, hop.host, options.resourceAttributes);
      resources.set(hop.proxy, resource);
    }
    return resource;
  }

  return (hop) => {
    if (hop.host && hop.host !== idsOf) {
      idsOf = hop.host;
      ids = createIds(hop.host.seed);
    }
    return spansOf(hop, ids, resourceFor(hop), options);
  };
}

function spansOf(hop: Hop, ids: Ids, resource: HopResource, options: SpanOptions): HopSpan[] {
  const { downstream: d, upstream: u } = hop;
  const times = timesOf(hop);
  const outcome = outcomeOf(hop);
  /* A connection's own trace shares its key with the last exchange: other parts, other ids. */
  const own = hop.kind === 'connection' ? SPAN_PART.CONNECTION : 0;
  const caller = own ? undefined : options.readContext && callerOf(hop, options.readContext);
  if (caller && !(caller.traceFlags & SAMPLED) && options.unsampled !== 'keep') return [];
  const traceId = caller?.traceId ?? ids.traceId(own ? hop.key : hop.trace, own);
  const spans: HopSpan[] = [];
  const links = hop.kind === 'connection' && hop.key.exchange > 0 ? [linkTo(hop, ids)] : NONE;
  const linksOf = (side: Side): readonly HopSpanLink[] =>
    isPooled(side) && !own ? [linkToPooled(side, ids)] : NONE;

  const traceState = caller?.traceState?.serialize();

  const add = (
    spanId: string,
    parentSpanId: string | undefined,
    name: string,
    kind: SpanKind,
    interval: Interval,
    attributes: Bag,
    error?: string,
    more: readonly HopSpanLink[] = NONE,
    events: readonly HopSpanEvent[] = NONE,
  ): void => {
    spans.push({
      traceId,
      spanId,
      parentSpanId,
      traceFlags: caller?.traceFlags ?? SAMPLED,
      ...(traceState ? { traceState } : {}),
      name,
      kind,
      start: wallTime(interval.startNs, hop.clock),
      end: wallTime(interval.endNs, hop.clock),
      attributes: attributes as Attributes,
      events,
      links: spans.length > 0 ? more : [...links, ...more],
      error,
      resource,
    });
  };

  /** A status code that is an error needs no description (semantic conventions, HTTP spans). */
  const errorOf = (bag: Bag, of: Outcome = outcome): string | undefined =>
    errorText(hop, of) ?? (bag['error.type'] ? '' : undefined);
  const eventsOf = (side: Side, interval: Interval, isTop = false): readonly HopSpanEvent[] =>
    hostEventsOf(options.hostEvents, hop.clock, interval, isTop ? tgidOf(hop) : undefined, side);
  const hopId = ids.spanId(hop.key, own + SPAN_PART.HOP);
  const parentId = caller?.spanId ?? (hop.parent && ids.spanId(hop.parent, SPAN_PART.UPSTREAM));

  if (d) {
    const bag = hopAttributes(hop, d, times, outcome);
    const events = eventsOf(d, times.hop, true);
    add(hopId, parentId, downstreamName(hop, d), 'SERVER', times.hop, bag, errorOf(bag), NONE, events);
  }
  for (const [index, attempt] of hop.attempts.entries()) addAttempt(attempt, index);
  for (const [index, side] of (hop.tries ?? []).entries()) addFurther(side, resendCount(index));
  for (const side of hop.mirrors ?? []) addFurther(side, MIRRORED);
  let upstreamId: string | undefined;
  if (u && times.upstream) {
    upstreamId = ids.spanId(keyOf(u), own + SPAN_PART.UPSTREAM);
    const bag = { ...upstreamAttributes(hop, u, outcome), ...resendCount(hop.tries?.length ?? 0) };
    const above = d ? hopId : parentId;
    const events = eventsOf(u, times.upstream, !d);
    const name = upstreamName(hop, u);
    add(upstreamId, above, name, 'CLIENT', times.upstream, bag, errorOf(bag), linksOf(u), events);
  }
  for (const phase of times.phases) addPhase(phase);
  return spans;

  function addPhase(phase: Phase): void {
    if (phase.endNs - phase.startNs < options.phaseFloorNs) return;
    const parent = PHASES[phase.name] === 'upstream' ? upstreamId : d ? hopId : upstreamId;
    if (!parent) return;
    const id = ids.spanId(hop.key, own + SPAN_PART.PHASE + PHASE_NAMES.indexOf(phase.name));
    add(id, parent, phase.name, 'INTERNAL', phase, NO_ATTRIBUTES);
  }

  /** A request that the hop led to beside the one that answered it. */
  function addFurther(side: Side, more: Bag): void {
    const became = upstreamOutcome(side);
    const bag = { ...upstreamAttributes(hop, side, became), ...more };
    const id = ids.spanId(keyOf(side), SPAN_PART.UPSTREAM);
    const within = furtherInterval(side, times.hop);
    const events = eventsOf(side, within);
    const name = upstreamName(hop, side);
    add(id, hopId, name, 'CLIENT', within, bag, errorOf(bag, became), linksOf(side), events);
  }

  function addAttempt(attempt: Side, index: number): void {
    const failed = attemptOutcome(hop, attempt);
    const interval = attemptInterval(attempt, times.hop);
    const key = { connection: attempt.connection, exchange: 0 };
    const id = ids.spanId(key, SPAN_PART.UPSTREAM);
    add(
      id,
      hopId,
      upstreamName(hop, attempt),
      'CLIENT',
      interval,
      upstreamAttributes(hop, attempt, failed),
      OUTCOMES[failed] ?? `attempt ${index + 1} failed`,
      NONE,
      eventsOf(attempt, interval),
    );
    const connect = clamp(
      { startNs: attempt.synNs, endNs: attempt.establishedNs || endNs(attempt) },
      interval,
    );
    add(
      ids.spanId(key, SPAN_PART.PHASE + PHASE_NAMES.indexOf('connect')),
      id,
      'connect',
      'INTERNAL',
      connect,
      NO_ATTRIBUTES,
    );
  }
}

/** An exchange, to the span of the upstream connection that it shares with others. */
function linkToPooled({ connection }: Side, ids: Ids): HopSpanLink {
  const key = { connection, exchange: 0 };
  return {
    traceId: ids.traceId(key, SPAN_PART.CONNECTION),
    spanId: ids.spanId(key, SPAN_PART.CONNECTION + SPAN_PART.UPSTREAM),
    attributes: {},
  };
}

/** A connection's own span, to the last exchange that it carried. */
function linkTo(hop: Hop, ids: Ids): HopSpanLink {
  return {
    traceId: ids.traceId(hop.trace, 0),
    spanId: ids.spanId(hop.key, hop.downstream ? SPAN_PART.HOP : SPAN_PART.UPSTREAM),
    attributes: {},
  };
}

/**
 * The context that the request carries, whose span is the hop's parent unless a watched proxy stands between: then the
 * trace is the same, and that proxy's span is the nearer parent.
 */
function callerOf(
  hop: Hop,
  readContext: ReadContext,
): (Pick<SpanContext, 'traceId' | 'traceFlags' | 'traceState'> & { spanId?: string }) | undefined {
  const own = readContext(hop.downstream ?? hop.upstream);
  if (!hop.parent) return own;
  const root = readContext(hop.rootSide);
  if (own && own.traceId !== root?.traceId) return own;
  if (!root) return undefined;
  const { spanId: _, ...trace } = root;
  return trace;
}

function downstreamName(hop: Hop, d: Side): string {
  const request = httpName(d);
  if (request && hop.kind === 'exchange') return request;
  return hop.kind === 'connection' ? `tcp connection :${d.localPort}` : `tcp proxy :${d.localPort}`;
}

function upstreamName(hop: Hop, u: Side): string {
  const request = httpName(u);
  if (request && hop.kind === 'exchange') return request;
  return hop.kind === 'connection' && !hop.downstream
    ? `tcp connection :${u.remotePort}`
    : `tcp upstream :${u.remotePort}`;
}
