import type { Hop } from '../correlate/hop.ts';
import { endNs, hasExchange, isDownstream, isPreexisting } from '../correlate/side.ts';
import type { ClockRecord, HostRecord, ProxyRecord } from '../receiver/kernel-record.ts';
import { SIDE_FLAGS, type SideRecord } from '../records.gen.ts';
import { type Endpoint, localEndpoint, networkType, remoteEndpoint } from './addresses.ts';
import type { AttributeName } from './attributes.ts';
import type {
  Attributes,
  AttributeValue,
  HopResource,
  HopSpan,
  HopSpanLink,
  HrTime,
  SpanKind,
} from './hop-span.ts';
import { createIds, type Ids, SPAN_PART } from './ids.ts';
import { OUTCOMES, type Outcome, outcomeOf, whoClosed } from './outcome.ts';
import {
  clamp,
  type HopTimes,
  type Interval,
  PHASES,
  type Phase,
  type PhaseName,
  timesOf,
} from './phases.ts';
import { resourceOf } from './resource.ts';

const NS_PER_S = 1e9;
const US_PER_S = 1e6;
const SAMPLED = 1;
const NO_SEED = '0'.repeat(32);
const PHASE_NAMES = Object.keys(PHASES) as PhaseName[];

export interface SpanOptions {
  /** Phases shorter than this are left out as spans; their times stay on the hop. Nanoseconds. */
  readonly phaseFloorNs: number;
  readonly resourceAttributes: Attributes;
}

type Bag = Partial<Record<AttributeName, AttributeValue>>;

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
  const links = hop.kind === 'connection' ? [linkTo(hop, ids)] : [];

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
      ...(parentSpanId ? { parentSpanId } : {}),
      traceFlags: SAMPLED,
      name,
      kind,
      start: wallTime(interval.startNs, hop.clock),
      end: wallTime(interval.endNs, hop.clock),
      attributes: attributes as Attributes,
      events: [],
      links: parentSpanId && spans.length > 0 ? [] : links,
      ...(error ? { error } : {}),
      resource,
    });
  };

  const error = OUTCOMES[outcome];
  const common: Bag = {
    'hopspan.outcome': outcome,
    'hopspan.pairing': hop.pairing,
    ...(hop.ambiguous ? { 'hopspan.pairing.ambiguous': true } : {}),
    ...(error ? { 'error.type': outcome } : {}),
  };
  const hopId = ids.spanId(hop.key, own + SPAN_PART.HOP);
  const parentId = hop.parent && ids.spanId(hop.parent, SPAN_PART.UPSTREAM);

  if (d) {
    add(
      hopId,
      parentId,
      downstreamName(hop, d),
      'SERVER',
      times.hop,
      { ...common, ...hopAttributes(hop, d, times) },
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
      { ...common, ...upstreamAttributes(u) },
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
    add(id, parent, phase.name, 'INTERNAL', phase, {});
  }

  function addAttempt(attempt: SideRecord, index: number): void {
    const failed: Outcome = outcomeOf({ ...hop, kind: 'exchange', upstream: attempt, end: true });
    const interval = clamp({ startNs: attempt.synNs, endNs: endNs(attempt) }, times.hop);
    const key = { connection: attempt.connection, exchange: 0 };
    const id = ids.spanId(key, SPAN_PART.UPSTREAM);
    const bag: Bag = { ...common, ...upstreamAttributes(attempt), 'hopspan.outcome': failed };
    if (OUTCOMES[failed]) bag['error.type'] = failed;
    add(
      id,
      hopId,
      upstreamName(hop, attempt),
      'CLIENT',
      interval,
      bag,
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
      {},
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

function hopAttributes(hop: Hop, d: SideRecord, times: HopTimes): Bag {
  const client = remoteEndpoint(d);
  const local = localEndpoint(d);
  const bag: Bag = {
    ...sideAttributes(d, client, local),
    'client.address': client.address,
    'client.port': client.port,
    'server.address': local.address,
    'server.port': local.port,
  };
  if (hop.overlapping) bag['hopspan.exchange.overlapping'] = true;
  if (hop.attempts.length > 0) bag['hopspan.attempts'] = hop.attempts.length + 1;
  const closed = whoClosed(hop);
  if (closed) {
    bag['hopspan.close.by'] = closed.by;
    bag['hopspan.close.how'] = closed.how;
  }
  for (const phase of times.phases) bag[durationName(phase.name)] = (phase.endNs - phase.startNs) / NS_PER_S;
  return bag;
}

function upstreamAttributes(u: SideRecord): Bag {
  const peer = remoteEndpoint(u);
  const name = peer.address.includes(':') ? `[${peer.address}]:${peer.port}` : `${peer.address}:${peer.port}`;
  return {
    ...sideAttributes(u, peer, localEndpoint(u)),
    'server.address': peer.address,
    'server.port': peer.port,
    'peer.service': name,
    'service.peer.name': name,
  };
}

function sideAttributes(record: SideRecord, peer: Endpoint, local: Endpoint): Bag {
  const bag: Bag = {
    'network.transport': 'tcp',
    'network.type': networkType(record),
    'network.peer.address': peer.address,
    'network.peer.port': peer.port,
    'network.local.address': local.address,
    'network.local.port': local.port,
    'hopspan.connection.reused': record.exchange > 1,
    'hopspan.exchange.number': record.exchange,
    'hopspan.bytes.received': hasExchange(record) ? record.bytesRead : 0,
    'hopspan.bytes.sent': hasExchange(record) ? record.bytesWritten : 0,
    'hopspan.tcp.rtt': record.srttUs / US_PER_S,
    'hopspan.tcp.retransmits': record.retransmits,
    'hopspan.tcp.out_of_order': record.outOfOrder,
  };
  if (record.flags & SIDE_FLAGS.SERVER_FIRST) bag['hopspan.exchange.server_first'] = true;
  if (record.worker) bag['hopspan.worker'] = record.worker;
  if (isPreexisting(record)) bag['hopspan.connection.preexisting'] = true;
  else if (record.establishedNs) bag['hopspan.connection.id'] = connectionId(record);
  return bag;
}

/** Client's and server's initial sequence number (RFC 9293, section 3.4.1), which both ends know. */
function connectionId(record: SideRecord): string {
  const [client, server] = isDownstream(record)
    ? [record.remoteIsn, record.localIsn]
    : [record.localIsn, record.remoteIsn];
  return client.toString(16).padStart(8, '0') + server.toString(16).padStart(8, '0');
}

function durationName(phase: PhaseName): AttributeName {
  return DURATION_NAMES[phase];
}

const DURATION_NAMES = Object.fromEntries(
  PHASE_NAMES.map((name) => [name, `hopspan.${name.replaceAll(' ', '_')}.duration`]),
) as Record<PhaseName, AttributeName>;

/** Monotonic nanoseconds as wall-clock time, by the latest reading of both clocks. */
export function wallTime(ns: number, clock: ClockRecord): HrTime {
  const total = clock.wallNanos + (ns - clock.monotonicNs);
  const carry = Math.floor(total / NS_PER_S);
  return [clock.wallSeconds + carry, Math.round(total - carry * NS_PER_S)];
}
