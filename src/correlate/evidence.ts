import type { HttpMessageRecord } from '../receiver/kernel-record.ts';
import { MESSAGE_FLAGS } from '../records.gen.ts';
import {
  endNs,
  hasEnded,
  hasExchange,
  isDownstream,
  isInterim,
  isOver,
  lastByteNs,
  resetNs,
  type Side,
} from './side.ts';

/** Headers that tell a request from all others, the surest first, with the part of them that a proxy does not change. */
const IDS: readonly (readonly [name: string, unchanging: (value: string) => string])[] = [
  ['traceparent', (value) => value.slice(3, 35)],
  ['b3', (value) => value.split('-', 1)[0] ?? ''],
  ['x-b3-spanid', () => ''],
  ['x-b3-traceid', (value) => value],
  ['uber-trace-id', (value) => value.split(':', 1)[0] ?? ''],
  ['x-request-id', (value) => value],
];
/** Names the trace of many requests, not one of them. */
const NOT_OWN = 'x-b3-traceid';
/** How long after its own answer to the client a proxy may let go of the upstream that failed it. */
const LET_GO_NS = 100_000_000;
/** What a proxy says of an upstream that gave no answer: RFC 9110, section 15.6, and 500 of simpler ones. */
export const GATEWAY_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);
/** Answers after which proxies try again, beside those from 500 on: conflict (Envoy's retriable-4xx), too early, too many. */
const RETRIED_STATUSES: ReadonlySet<number> = new Set([401, 403, 404, 408, 409, 425, 429]);
/** Envoy marks the authority of what it mirrors. */
const SHADOW = /-shadow(?=:\d+$|$)/;

/** One half of a request as far as it speaks for its other half; times in nanoseconds. */
export interface Trait {
  readonly side: Side;
  readonly request: HttpMessageRecord;
  /** The final answer, or what there was of it. */
  readonly answer: HttpMessageRecord | undefined;
  /** Keys of the ids that the request carries, the surest first. */
  readonly ids: readonly string[];
  readonly unchanging: readonly (string | undefined)[] | undefined;
  /** The request's first byte was read downstream, written upstream. */
  readonly beganNs: number;
  /** The answer's first byte; infinite downstream and 0 upstream where there is none. */
  readonly answeredNs: number;
  /** Its last byte, or the connection's end. */
  readonly endedNs: number;
  readonly isMirror: boolean;
}

/** Undefined for what is no request, or may go on. */
export function traitOf(side: Side): Trait | undefined {
  const { request, answer: any } = side.http ?? {};
  if (!hasExchange(side) || !request?.method) return undefined;
  const answer = any && any.statusCode > 0 && !isInterim(any) ? any : undefined;
  const isCut = hasEnded(side) || side.cut === true || resetNs(side) > 0;
  if (!isCut && !(isOver(request) && answer && isOver(answer))) return undefined;
  const down = isDownstream(side);
  return {
    side,
    request,
    answer,
    ids: idsOf(side.tgid, request),
    unchanging: unchangingOf(request),
    beganNs: request.firstNs,
    answeredNs: answer ? answer.firstNs : down ? Number.POSITIVE_INFINITY : 0,
    endedNs: answer && isOver(answer) ? answer.lastNs : letGoNs(side, down),
    isMirror: !down && SHADOW.test(request.authority),
  };
}

/** A client may half-close long before the proxy lets it go. */
function letGoNs(side: Side, down: boolean): number {
  if (resetNs(side)) return resetNs(side);
  const known = down ? side.finSentNs || side.closedNs || side.releasedNs : endNs(side);
  return known || lastByteNs(side);
}

/** Its body is all that there was to send. */
export const isWhole = (message: HttpMessageRecord): boolean =>
  (message.flags & (MESSAGE_FLAGS.OVER | MESSAGE_FLAGS.UNWANTED)) === MESSAGE_FLAGS.OVER;

function idsOf(tgid: number, { method, headers }: HttpMessageRecord): string[] {
  const ids: string[] = [];
  for (const [name] of IDS) {
    const value = headers[name];
    if (value && name !== NOT_OWN) ids.push(`${tgid} ${method} ${name} ${value}`);
  }
  return ids;
}

/** What a proxy leaves as it is of each id; undefined where there is none at all. */
function unchangingOf({ headers }: HttpMessageRecord): Trait['unchanging'] {
  const found = IDS.map(([name, unchanging]) => {
    const value = headers[name];
    return value === undefined ? undefined : unchanging(value);
  });
  return found.some((value) => value !== undefined) ? found : undefined;
}

/** Both name a caller or a request, and not the same. */
function contradict({ unchanging: a }: Trait, { unchanging: b }: Trait): boolean {
  if (!a || !b) return false;
  return a.some((value, at) => value !== undefined && b[at] !== undefined && value !== b[at]);
}

/** Both are over by the same sign: a stream's end may come apart from its last byte, and after HTTP/1's. */
function endAlike(up: HttpMessageRecord, down: HttpMessageRecord): boolean {
  return isOver(up) && isOver(down) && up.stream === 0 && down.stream === 0;
}

/** The upstream half, with or without an answer, may be a part of the downstream one: its request, or a try of it. */
export function isWithin(up: Trait, down: Trait): boolean {
  return (
    up.beganNs >= down.beganNs &&
    up.beganNs <= Math.min(down.answeredNs, down.endedNs) &&
    (!endAlike(up.request, down.request) || up.request.lastNs >= down.request.lastNs)
  );
}

/** The upstream half may have given the downstream one its answer. */
export function answers(up: Trait, down: Trait, looseLength = false): boolean {
  if (!isWithin(up, down) || up.isMirror) return false;
  if (!down.answer) return up.answer !== undefined || !endedBefore(up, down);
  if (!up.answer || up.answeredNs > down.answeredNs) return hasGivenUp(up, down);
  if (up.answer.statusCode !== down.answer.statusCode) return false;
  if (!isOver(up.answer) || !isOver(down.answer)) return true;
  if (endAlike(up.answer, down.answer) && up.answer.lastNs > down.answer.lastNs) return false;
  return looseLength || up.answer.bodyBytes === down.answer.bodyBytes;
}

/** The proxy itself told the client that this upstream gave no answer, or none in time. */
function hasGivenUp(up: Trait, down: Trait): boolean {
  const isLate = up.answer !== undefined;
  return (
    GATEWAY_STATUSES.has(down.answer?.statusCode ?? 0) &&
    (isLate || up.endedNs <= down.answeredNs + LET_GO_NS)
  );
}

/** The upstream was the first to go: that was not for a client that left later. */
function endedBefore(up: Trait, down: Trait): boolean {
  const { finReceivedNs, error, closedNs, finSentNs } = up.side;
  const leftNs = finReceivedNs || (error !== 0 ? closedNs : 0);
  const byUpstream = leftNs > 0 && (finSentNs === 0 || leftNs < finSentNs);
  const byClient = down.side.finReceivedNs > 0 || down.side.error !== 0;
  return byUpstream && byClient && leftNs < down.endedNs;
}

/** Nothing but its answer may differ: what a proxy passes on of a request. */
export function isSameContent(up: Trait, down: Trait): boolean {
  const a = up.request;
  const b = down.request;
  const agent = a.headers['user-agent'];
  const other = b.headers['user-agent'];
  return (
    a.path === b.path &&
    (a.bodyBytes === b.bodyBytes || !isWhole(a) || !isWhole(b)) &&
    (agent === undefined || other === undefined || agent === other) &&
    !contradict(up, down)
  );
}

/** A proxy would try again after this. */
export function isRetried(up: Trait): boolean {
  const status = up.answer?.statusCode ?? 0;
  return !up.answer || !isOver(up.answer) || status >= 500 || RETRIED_STATUSES.has(status);
}

/** What one request led to upstream. */
export interface Parts<T> {
  readonly served: T;
  /** Tried before, the first one first. */
  readonly tries: readonly T[];
  readonly mirrors: readonly T[];
}

/**
 * Upstream halves that all belong to one downstream half: tries that failed one after the other, the one whose answer
 * was passed on, and copies that the proxy made. Undefined where they do not fit into this order.
 */
export function arrange<T extends Trait>(down: Trait, ups: readonly T[]): Parts<T> | undefined {
  const mirrors = ups.filter(({ isMirror }) => isMirror);
  const tries = ups.filter(({ isMirror }) => !isMirror).toSorted((a, b) => a.beganNs - b.beganNs);
  const served = tries.pop();
  if (!served || !answers(served, down, true)) return undefined;
  const inOrder = tries.every(
    (each, at) => isRetried(each) && each.endedNs <= (tries[at + 1] ?? served).beganNs,
  );
  return inOrder ? { served, tries, mirrors } : undefined;
}
