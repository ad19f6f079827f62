import type { Hop } from '../correlate/hop.ts';
import {
  hasExchange,
  isAnswered,
  isInterim,
  isOver,
  isReset,
  requestTotal,
  type Side,
} from '../correlate/side.ts';
import type { HttpMessageRecord } from '../receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS, type SideRecord } from '../records.gen.ts';

/** Outcomes in the words of someone who debugs a proxy, with what each means on an error span. */
export const OUTCOMES = {
  ok: undefined,
  idle_closed: undefined,
  client_aborted: 'the client left before the whole answer',
  upstream_refused: 'the upstream refused the connection',
  upstream_unreachable: 'no route led to the upstream',
  upstream_connect_timeout: 'the upstream did not answer the connection attempt in time',
  upstream_reset: 'the upstream reset the connection before the exchange was over',
  upstream_closed_early: 'the upstream closed the connection before the whole answer',
  proxy_reset: 'the proxy ended the exchange before there was an answer',
  no_upstream: 'the proxy ended the exchange without trying an upstream',
} as const satisfies Record<string, string | undefined>;

export type Outcome = keyof typeof OUTCOMES;
export type CloseBy = 'client' | 'proxy' | 'upstream';
export type CloseHow = 'fin' | 'reset' | 'timeout';

/** errno, include/uapi/asm-generic/errno*.h */
const EPIPE = 32;
const ENETUNREACH = 101;
const ECONNRESET = 104;
const ETIMEDOUT = 110;
const ECONNREFUSED = 111;
const EHOSTUNREACH = 113;
/** include/net/tcp_states.h */
const TCP_ESTABLISHED = 1;
const TCP_FIN_WAIT1 = 4;
const TCP_FIN_WAIT2 = 5;
const TCP_CLOSE_WAIT = 8;

interface Leaving {
  readonly by: CloseBy;
  readonly how: CloseHow;
  readonly ns: number;
}

/** How the far end of a connection left, if it did before the proxy. */
function peerLeft(record: SideRecord, by: 'client' | 'upstream'): Leaving | undefined {
  if (record.finReceivedNs && !(record.finSentNs && record.finSentNs < record.finReceivedNs)) {
    return { by, how: 'fin', ns: record.finReceivedNs };
  }
  if (record.finSentNs) return undefined; // what comes after our FIN answers it
  if (record.error === ETIMEDOUT) return { by, how: 'timeout', ns: record.closedNs };
  if (record.error !== 0) return { by, how: 'reset', ns: record.closedNs };
  return undefined;
}

/** The proxy closed with a reset: unread data, or SO_LINGER 0 (tcp_close(), tcp_disconnect()). */
function resetByProxy(record: SideRecord): boolean {
  return (
    record.error === 0 && (record.closedFrom === TCP_ESTABLISHED || record.closedFrom === TCP_CLOSE_WAIT)
  );
}

function proxyLeft(record: SideRecord): Leaving | undefined {
  if (resetByProxy(record) && record.closedNs) return { by: 'proxy', how: 'reset', ns: record.closedNs };
  if (record.finSentNs) return { by: 'proxy', how: 'fin', ns: record.finSentNs };
  return undefined;
}

/** Who ended the hop's connections first, and how; undefined while nobody has. */
export function whoClosed(hop: Hop): Leaving | undefined {
  if (!hop.end) return undefined;
  const { downstream: d, upstream: u } = hop;
  const leavings = [
    d && peerLeft(d, 'client'),
    u?.establishedNs || isOld(u) ? u && peerLeft(u, 'upstream') : undefined,
    d && proxyLeft(d),
  ].filter((leaving) => leaving !== undefined);
  leavings.sort((a, b) => a.ns - b.ns);
  return leavings[0];
}

/** How an upstream connection failed that the hop needed. */
export function attemptOutcome(hop: Hop, attempt: SideRecord): Outcome {
  return outcomeOf({ ...hop, kind: 'exchange', upstream: attempt, end: true });
}

function isOld(u: SideRecord | undefined): boolean {
  return u !== undefined && u.synNs === 0;
}

/** What an outcome says on an error span; an answer that the proxy made by itself is one by its status alone. */
export function errorText(hop: Hop, outcome: Outcome): string | undefined {
  return hop.ownAnswer ? undefined : OUTCOMES[outcome];
}

/** What became of a request whose answer went to nobody. */
export function upstreamOutcome(u: Side): Outcome {
  if (isWhole(u.http?.answer)) return 'ok';
  if (isReset(u.http?.answer)) return 'upstream_reset';
  const left = peerLeft(u, 'upstream');
  if (!left) return isAnswer(u.http?.answer) ? 'ok' : 'proxy_reset';
  return upstreamLeft(left);
}

const isAnswer = (answer: HttpMessageRecord | undefined): answer is HttpMessageRecord =>
  answer !== undefined && answer.statusCode > 0 && !isInterim(answer);

/** The proxy answered in place of an upstream that gave no answer, or none in time. */
function answersInPlaceOf(u: Side, d: Side): boolean {
  const [given, got] = [d.http?.answer, u.http?.answer];
  if (!given || !isWhole(given)) return false;
  return !isAnswer(got) || got.firstNs > given.firstNs;
}

/** What became of the hop; see `docs/outcomes.md` for Envoy's and HAProxy's words. */
export function outcomeOf(hop: Hop): Outcome {
  const { downstream: d, upstream: u } = hop;
  const reset = streamOutcome(d, u);
  if (reset) return reset;
  if (hop.ownAnswer) return 'no_upstream';
  const unconnected = hop.failure ?? (u?.synNs && !u.establishedNs ? u : undefined);
  if (d && isWhole(d.http?.answer) && unconnected) return connectOutcome(unconnected, undefined);
  if (hop.pairing === 'content' && d && u && answersInPlaceOf(u, d)) {
    return isAnswer(u.http?.answer) ? 'proxy_reset' : upstreamOutcome(u);
  }
  if (!hop.end) return 'ok';
  if (hop.kind === 'connection') return 'idle_closed';
  const first = whoClosed(hop);
  if (u?.synNs && !u.establishedNs) return connectOutcome(u, first);
  if (!d) return u && isAnswered(u) ? 'ok' : upstreamOnlyOutcome(first);
  if (isAnswered(d)) return answeredOutcome(d, u, first);
  const asked = hasExchange(d) || d.unreadBytes > 0 || (u !== undefined && requestTotal(u) > 0);
  if (!asked && first?.by !== 'upstream' && (u || first?.by === 'client')) return 'idle_closed';
  return u ? cutOutcome(first) : withoutUpstream(hop, first);
}

/** An HTTP/2 stream that was reset (RFC 9113, section 5.4.2) says who did it, though its connections live on. */
function streamOutcome(d: Side | undefined, u: Side | undefined): Outcome | undefined {
  const { request, answer } = (d ?? u)?.http ?? {};
  if (!isReset(request) && !isReset(answer)) return undefined;
  if (isWhole(answer)) return 'ok';
  if (isReset(u?.http?.answer)) return 'upstream_reset';
  return d && isReset(request) ? 'client_aborted' : 'proxy_reset';
}

/** `no_upstream` is said only where no attempt can have been made for this hop. */
function withoutUpstream(hop: Hop, first: Leaving | undefined): Outcome {
  if (first?.by === 'client') return 'client_aborted';
  if (hop.failure) return connectOutcome(hop.failure, first);
  const tried = hop.ambiguous || (hop.downstream !== undefined && hop.downstream.peer !== 0);
  return tried ? 'proxy_reset' : 'no_upstream';
}

function connectOutcome(u: SideRecord, first: Leaving | undefined): Outcome {
  switch (u.error) {
    case ECONNREFUSED:
    case ECONNRESET:
      return 'upstream_refused';
    case ENETUNREACH:
    case EHOSTUNREACH:
      return 'upstream_unreachable';
    case 0:
      return first?.by === 'client' && first.ns <= u.closedNs ? 'client_aborted' : 'upstream_connect_timeout';
    default:
      return 'upstream_connect_timeout';
  }
}

function upstreamOnlyOutcome(first: Leaving | undefined): Outcome {
  return first?.by === 'upstream' ? upstreamLeft(first) : 'idle_closed';
}

/** At least one answer byte was written downstream. Of opaque bytes only the connections' ends tell whether more should have come. */
function answeredOutcome(d: Side, u: Side | undefined, first: Leaving | undefined): Outcome {
  const whole = isWhole(d.http?.answer);
  if (whole === false) return cutOutcome(first);
  if (whole) return d.flags & SIDE_FLAGS.UNDELIVERED || resetWhatCame(d) ? 'client_aborted' : 'ok';
  if (u && first?.by === 'upstream' && first.how !== 'fin') return 'upstream_reset';
  if (d.flags & SIDE_FLAGS.UNDELIVERED) return 'client_aborted';
  if (resetWhatCame(d)) return 'client_aborted';
  if (!u || !upstreamHadMore(d, u)) return 'ok';
  if (first?.by === 'client') return 'client_aborted';
  return first?.by === 'proxy' ? 'proxy_reset' : 'ok';
}

/** Undefined where only the connection's end could tell. */
function isWhole(answer: HttpMessageRecord | undefined): boolean | undefined {
  if (!answer || answer.flags & MESSAGE_FLAGS.UNTIL_END) return undefined;
  return isOver(answer) && !isInterim(answer);
}

/** The answer did not come, or not to its end. */
function cutOutcome(first: Leaving | undefined): Outcome {
  if (first?.by === 'client') return 'client_aborted';
  return first?.by === 'upstream' ? upstreamLeft(first) : 'proxy_reset';
}

const upstreamLeft = ({ how }: Leaving): Outcome =>
  how === 'fin' ? 'upstream_closed_early' : 'upstream_reset';

/** After its FIN a client resets what comes in vain (RFC 9293, section 3.10.7.4): it was still on its way, or came later. */
function resetWhatCame(d: SideRecord): boolean {
  const isReset = d.error === ECONNRESET || d.error === EPIPE;
  if (!isReset || d.finReceivedNs === 0) return false;
  const ownFin = d.finSentNs ? 1 : 0; // takes a sequence number
  return d.lastWriteNs > d.finReceivedNs || d.unackedBytes > ownFin;
}

/** Answer bytes that were read and not written, not read, or came after the proxy had closed. */
function upstreamHadMore(d: SideRecord, u: SideRecord): boolean {
  const unwritten = u.bytesRead > d.bytesWritten;
  const cameLate =
    u.error === ECONNRESET && (u.closedFrom === TCP_FIN_WAIT1 || u.closedFrom === TCP_FIN_WAIT2);
  return unwritten || u.unreadBytes > 0 || cameLate;
}
