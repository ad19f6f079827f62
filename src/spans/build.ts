import type { Hop } from '../correlate/hop.ts';
import { endNs } from '../correlate/side.ts';
import type { ClockRecord, HostRecord, ProxyRecord } from '../receiver/kernel-record.ts';
import type { SideRecord } from '../records.gen.ts';
import { type Bag, hopAttributes, upstreamAttributes } from './hop-attributes.ts';
import type { Attributes, HopResource, HopSpan, HopSpanLink, HrTime, SpanKind } from './hop-span.ts';
import { createIds, type Ids, SPAN_PART } from './ids.ts';
import { OUTCOMES, type Outcome, outcomeOf } from './outcome.ts';
import { clamp, type Interval, PHASES, type Phase, type PhaseName, timesOf } from './phases.ts';
import { resourceOf } from './resource.ts';

const NS_PER_S = 1e9;
const SAMPLED = 1;
/** Shared by all spans that have no events or links. */
const NONE: readonly never[] = [];
const NO_ATTRIBUTES: Bag = {};
const NO_SEED = '0'.repeat(32);
const PHASE_NAMES = Object.keys(PHASES) as PhaseName[];

export interface SpanOptions {
  /** Phases shorter than this are left out as spans; their times stay on the hop. Nanoseconds. */
  readonly phaseFloorNs: number;
  readonly resourceAttributes: Attributes;
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
  const traceId = ids.traceId(own ? hop.key : hop.trace, own);
  const spans: HopSpan[] = [];
  const links = hop.kind === 'connection' ? [linkTo(hop, ids)] : NONE;

  const add = (
    spanId: string,
    parentSpanId: string | undefined,
    name: string,
    kind: SpanKind,
    interval: Interval,
    attributes: Bag,
    error?: string,
  ): void => {
    spans.push({
      traceId,
      spanId,
      parentSpanId,
      traceFlags: SAMPLED,
      name,
      kind,
      start: wallTime(interval.startNs, hop.clock),
      end: wallTime(interval.endNs, hop.clock),
      attributes: attributes as Attributes,
      events: NONE,
      links: spans.length > 0 ? NONE : links,
      error,
      resource,
    });
  };

  const error = OUTCOMES[outcome];
  const hopId = ids.spanId(hop.key, own + SPAN_PART.HOP);
  const parentId = hop.parent && ids.spanId(hop.parent, SPAN_PART.UPSTREAM);

  if (d) {
    add(
      hopId,
      parentId,
      downstreamName(hop, d),
      'SERVER',
      times.hop,
      hopAttributes(hop, d, times, outcome),
      error,
    );
  }
  for (const [index, attempt] of hop.attempts.entries()) addAttempt(attempt, index);
  let upstreamId: string | undefined;
  if (u && times.upstream) {
    upstreamId = ids.spanId(u, own + SPAN_PART.UPSTREAM);
    add(
      upstreamId,
      d ? hopId : parentId,
      upstreamName(hop, u),
      'CLIENT',
      times.upstream,
      upstreamAttributes(hop, u, outcome),
      error,
    );
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

  function addAttempt(attempt: SideRecord, index: number): void {
    const failed: Outcome = outcomeOf({ ...hop, kind: 'exchange', upstream: attempt, end: true });
    const interval = clamp({ startNs: attempt.synNs, endNs: endNs(attempt) }, times.hop);
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

/** A connection's own span, to the last exchange that it carried. */
function linkTo(hop: Hop, ids: Ids): HopSpanLink {
  return {
    traceId: ids.traceId(hop.trace, 0),
    spanId: ids.spanId(hop.key, hop.downstream ? SPAN_PART.HOP : SPAN_PART.UPSTREAM),
    attributes: {},
  };
}

function downstreamName(hop: Hop, d: SideRecord): string {
  return hop.kind === 'connection' ? `tcp connection :${d.localPort}` : `tcp proxy :${d.localPort}`;
}

function upstreamName(hop: Hop, u: SideRecord): string {
  return hop.kind === 'connection' && !hop.downstream
    ? `tcp connection :${u.remotePort}`
    : `tcp upstream :${u.remotePort}`;
}

/** Monotonic nanoseconds as wall-clock time, by the latest reading of both clocks. */
export function wallTime(ns: number, clock: ClockRecord): HrTime {
  const total = clock.wallNanos + (ns - clock.monotonicNs);
  const carry = Math.floor(total / NS_PER_S);
  return [clock.wallSeconds + carry, Math.round(total - carry * NS_PER_S)];
}
