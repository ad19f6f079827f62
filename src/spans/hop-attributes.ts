import type { Hop } from '../correlate/hop.ts';
import { hasExchange, isDownstream, isPreexisting, type Side } from '../correlate/side.ts';
import { SIDE_FLAGS, type SideRecord } from '../records.gen.ts';
import { type Endpoint, endpointText, localEndpoint, networkType, remoteEndpoint } from './addresses.ts';
import type { AttributeName } from './attributes.ts';
import { fillHeaderDiff } from './header-diff.ts';
import type { AttributeValue } from './hop-span.ts';
import { fillHttpClient, fillHttpServer } from './http.ts';
import { hex } from './ids.ts';
import { errorText, type Outcome, whoClosed } from './outcome.ts';
import { type HopTimes, PHASES, type PhaseName } from './phases.ts';
import { fillTls } from './tls.ts';

/** Attributes under construction: one object a span, filled in place, for this is done for every exchange. */
export type Bag = Partial<Record<AttributeName, AttributeValue>>;

const NS_PER_S = 1e9;
const US_PER_S = 1e6;
const DURATION_NAMES = Object.fromEntries(
  Object.keys(PHASES).map((name) => [name, `hopspan.${name.replaceAll(' ', '_')}.duration`]),
) as Record<PhaseName, AttributeName>;

export function hopAttributes(hop: Hop, d: Side, times: HopTimes, outcome: Outcome): Bag {
  const client = remoteEndpoint(d);
  const local = localEndpoint(d);
  const bag = sideAttributes(d, client, local);
  fillOutcome(bag, hop, outcome);
  bag['client.address'] = client.address;
  bag['client.port'] = client.port;
  bag['server.address'] = local.address;
  bag['server.port'] = local.port;
  fillHttpServer(bag, d);
  fillTls(bag, d);
  fillHeaderDiff(bag, hop);
  if (hop.overlapping) bag['hopspan.exchange.overlapping'] = true;
  const vain = hop.attempts.length + (hop.tries?.length ?? 0);
  if (vain > 0) bag['hopspan.attempts'] = vain + 1;
  const closed = whoClosed(hop);
  if (closed) {
    bag['hopspan.close.by'] = closed.by;
    bag['hopspan.close.how'] = closed.how;
  }
  for (const { name, startNs, endNs } of times.phases)
    bag[DURATION_NAMES[name]] = (endNs - startNs) / NS_PER_S;
  return bag;
}

export function upstreamAttributes(hop: Hop, u: Side, outcome: Outcome): Bag {
  const peer = remoteEndpoint(u);
  const bag = sideAttributes(u, peer, localEndpoint(u));
  fillOutcome(bag, hop, outcome);
  const name = endpointText(peer);
  bag['server.address'] = peer.address;
  bag['server.port'] = peer.port;
  fillHttpClient(bag, u);
  fillTls(bag, u);
  bag['peer.service'] = name;
  bag['service.peer.name'] = name;
  return bag;
}

/** From the second request on (semantic conventions, HTTP client spans). */
export const resendCount = (count: number): Bag => (count > 0 ? { 'http.request.resend_count': count } : {});

export const MIRRORED: Bag = { 'hopspan.mirrored': true };

function fillOutcome(bag: Bag, hop: Hop, outcome: Outcome): void {
  bag['hopspan.outcome'] = outcome;
  bag['hopspan.pairing'] = hop.pairing;
  if (hop.ambiguous) bag['hopspan.pairing.ambiguous'] = true;
  if (errorText(hop, outcome)) bag['error.type'] = outcome;
}

function sideAttributes(record: Side, peer: Endpoint, local: Endpoint): Bag {
  const exchange = hasExchange(record);
  const bag: Bag = {
    'network.transport': 'tcp',
    'network.type': networkType(record),
    'network.peer.address': peer.address,
    'network.peer.port': peer.port,
    'network.local.address': local.address,
    'network.local.port': local.port,
    'hopspan.connection.reused': record.exchange > 1,
    'hopspan.exchange.number': record.exchange,
    'hopspan.bytes.received': exchange ? record.bytesRead : 0,
    'hopspan.bytes.sent': exchange ? record.bytesWritten : 0,
    'hopspan.tcp.rtt': record.srttUs / US_PER_S,
    'hopspan.tcp.retransmits': record.retransmits,
    'hopspan.tcp.out_of_order': record.outOfOrder,
  };
  if (record.flags & SIDE_FLAGS.SERVER_FIRST) bag['hopspan.exchange.server_first'] = true;
  if (record.unparsed || record.flags & SIDE_FLAGS.BROKEN) bag['hopspan.unparsed'] = true;
  if (record.worker) bag['hopspan.worker'] = record.worker;
  if (isPreexisting(record)) bag['hopspan.connection.preexisting'] = true;
  else if (record.establishedNs) bag['hopspan.connection.id'] = connectionId(record);
  return bag;
}

/** Client's and server's initial sequence number (RFC 9293, section 3.4.1), which both ends know. */
function connectionId(record: SideRecord): string {
  return isDownstream(record)
    ? hex(record.remoteIsn, record.localIsn)
    : hex(record.localIsn, record.remoteIsn);
}
