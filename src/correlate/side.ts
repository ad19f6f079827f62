import type { HttpMessageRecord } from '../receiver/kernel-record.ts';
import { MESSAGE_FLAGS, ROLE, SIDE_FLAGS, type SideRecord } from '../records.gen.ts';
import type { TlsFacts } from './tls.ts';

/** One side of one exchange: the kernel's record, or what was made of HTTP messages. */
export interface Side extends SideRecord {
  readonly http?: HttpExchange;
  /** What client and server said first, where the connection carries TLS. */
  readonly tls?: TlsFacts;
  /** The connection ended in the midst of this exchange, though a later one carries the end. */
  readonly cut?: boolean;
  /** The connection was HTTP, and what came then was none. */
  readonly unparsed?: boolean;
}

export interface HttpExchange {
  readonly request?: HttpMessageRecord;
  readonly answer?: HttpMessageRecord;
}

/** `family` of a socket for IPv6, which may have an IPv4 peer. */
export const AF_INET6 = 10;

/** True for ::ffff:a.b.c.d, an IPv4 peer of a dual-stack socket (RFC 4291, section 2.5.5.2). */
export function isMapped(address: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (address[i] !== 0) return false;
  return address[10] === 0xff && address[11] === 0xff;
}

/** HS_MANY_THREADS of bpf/records.h: its turns are of different event loops. */
export const MANY_THREADS = 0xffff_ffff;

/** 1xx, but for 101, which is final (RFC 9110, section 15.2). */
export const isInterim = ({ statusCode }: HttpMessageRecord): boolean =>
  statusCode >= 100 && statusCode < 200 && statusCode !== 101;

/** Its last byte has come. */
export const isOver = ({ flags }: HttpMessageRecord): boolean => (flags & MESSAGE_FLAGS.OVER) !== 0;

/** Its sender reset the stream. */
export const isReset = (message: HttpMessageRecord | undefined): boolean =>
  message !== undefined && (message.flags & MESSAGE_FLAGS.RESET) !== 0;

/** One of many exchanges that a connection carries at a time. */
export const isStream = ({ http }: Side): boolean => ((http?.request ?? http?.answer)?.stream ?? 0) !== 0;

/** When its stream was reset; 0 for never. */
export const resetNs = ({ http }: Side): number =>
  Math.max(http?.request?.resetNs ?? 0, http?.answer?.resetNs ?? 0);

export const isDownstream = (record: SideRecord): boolean => record.role === ROLE.DOWNSTREAM;
export const hasExchange = (record: SideRecord): boolean => (record.flags & SIDE_FLAGS.EXCHANGE) !== 0;
export const hasEnded = (record: SideRecord): boolean => (record.flags & SIDE_FLAGS.ENDED) !== 0;
/** No watched proxy is at the other end of this upstream connection; false where that is not known. */
export const isUnchained = (record: SideRecord): boolean => (record.flags & SIDE_FLAGS.UNCHAINED) !== 0;
export const isPreexisting = (record: SideRecord): boolean => (record.flags & SIDE_FLAGS.PREEXISTING) !== 0;

export const isTls = (record: SideRecord): boolean => (record.flags & SIDE_FLAGS.TLS) !== 0;

/** Request and answer have come to their ends, as far as the protocol tells. */
export function isWhole({ http }: Side): boolean {
  if (!http) return true;
  return ((http.request?.flags ?? 0) & (http.answer?.flags ?? 0) & MESSAGE_FLAGS.OVER) !== 0;
}

export const hasProxyHeader = (record: SideRecord): boolean => (record.flags & SIDE_FLAGS.PROXY_HEADER) !== 0;

/** An upstream connection that carried several requests, of which none is known to be a whole downstream connection's. */
export const isPooled = (side: Side): boolean =>
  !isDownstream(side) &&
  side.peer === 0 &&
  side.exchange > 1 &&
  (side.http !== undefined || (side.flags & (SIDE_FLAGS.HTTP1 | SIDE_FLAGS.HTTP2)) !== 0);

/** Payload bytes of the whole connection towards the upstream, up to and with this record. */
export const requestTotal = (record: SideRecord): number =>
  isDownstream(record) ? record.totalRead : record.totalWritten;

/** Payload bytes of the whole connection towards the client, up to and with this record. */
export const answerTotal = (record: SideRecord): number =>
  isDownstream(record) ? record.totalWritten : record.totalRead;

/** Positions in the two byte streams where the record's exchange begins. */
export const requestStart = (record: SideRecord): number =>
  requestTotal(record) - (isDownstream(record) ? record.bytesRead : record.bytesWritten);
export const answerStart = (record: SideRecord): number =>
  answerTotal(record) - (isDownstream(record) ? record.bytesWritten : record.bytesRead);

/** An answer was given: written downstream, or read from upstream. */
export const isAnswered = (record: SideRecord): boolean =>
  (isDownstream(record) ? record.firstWriteNs : record.firstReadNs) !== 0;

/** The last moment at which a payload byte moved; 0 for none. */
export const lastByteNs = (record: SideRecord): number => Math.max(record.lastReadNs, record.lastWriteNs);

/** The first sign of the connection's end; 0 while it has none. */
export function endNs(record: SideRecord): number {
  const signs = [record.finReceivedNs, record.finSentNs, record.closedNs, record.releasedNs].filter(
    (ns) => ns > 0,
  );
  return signs.length === 0 ? 0 : Math.min(...signs);
}

const earliest = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));

/** Consecutive records of one side as one: first moments of the first, last ones and totals of the last. */
export function mergeSides(records: readonly Side[]): Side {
  const [first, ...rest] = records;
  if (!first) throw new Error('mergeSides() of nothing');
  return rest.reduce(
    (sum, next) => ({
      ...next,
      exchange: sum.exchange,
      flags:
        (sum.flags & SIDE_FLAGS.EXCHANGE) |
        (sum.flags & SIDE_FLAGS.SERVER_FIRST) |
        (next.flags & ~SIDE_FLAGS.SERVER_FIRST),
      arrivedNs: earliest(sum.arrivedNs, next.arrivedNs),
      firstReadNs: earliest(sum.firstReadNs, next.firstReadNs),
      firstWriteNs: earliest(sum.firstWriteNs, next.firstWriteNs),
      lastReadNs: Math.max(sum.lastReadNs, next.lastReadNs),
      lastWriteNs: Math.max(sum.lastWriteNs, next.lastWriteNs),
      bytesRead: sum.bytesRead + next.bytesRead,
      bytesWritten: sum.bytesWritten + next.bytesWritten,
      reads: sum.reads + next.reads,
      writes: sum.writes + next.writes,
      ...(sum.unparsed ? { unparsed: true } : {}),
    }),
    first,
  );
}
