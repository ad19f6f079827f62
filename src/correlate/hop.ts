import type { ClockRecord, HostRecord, ProxyRecord, SideRecord } from '../receiver/kernel-record.ts';
import { SIDE_FLAGS } from '../records.gen.ts';
import type { Side } from './side.ts';

/** Names one exchange on one connection; exchange 0 is the connection itself, before any byte. */
export interface ExchangeKey {
  readonly connection: number;
  readonly exchange: number;
  /** Of what came after the exchange was told: bytes on the connection until then. */
  readonly after?: number;
}

/** An answer that goes on when its exchange was told, for it was quiet for long, is a hop of its own. */
export function keyOf({ connection, exchange, flags, ...side }: SideRecord): ExchangeKey {
  if (!(flags & SIDE_FLAGS.SERVER_FIRST)) return { connection, exchange };
  const after = side.totalRead + side.totalWritten - side.bytesRead - side.bytesWritten;
  return after > 0 ? { connection, exchange, after } : { connection, exchange };
}

/**
 * How the two sides of a hop were found to belong together:
 * `buffer`  the proxy sent from the memory into which it had received;
 * `content` the two halves carry the same request, by an id or by all that is known of it, and nothing else fits;
 * `length`  turns of the proxy's event loop and lengths of request and answer leave this one only;
 * `connect` it was the only downstream connection for which the thread could have called connect();
 * `order`   thread, order of opening and order of closing leave this one only;
 * `none`    nothing ties this half to another.
 */
export type Pairing = 'buffer' | 'content' | 'length' | 'connect' | 'order' | 'none';

/** One downstream→upstream exchange, or a connection without one: what spans are made of. */
export interface Hop {
  /** `connection`: set-up or end of a connection that lie apart from its exchanges. */
  readonly kind: 'exchange' | 'connection';
  /** On the downstream side, or on the upstream side of a hop that has no other. */
  readonly key: ExchangeKey;
  /** The hop at the root of this hop's trace; its own key where it is the root. */
  readonly trace: ExchangeKey;
  /** The upstream side of the hop that called this one, on the same TCP connection. */
  readonly parent?: ExchangeKey;
  /** The request at the root of this hop's trace, where the hop is not the root itself. */
  readonly rootSide?: Side;
  readonly downstream?: Side;
  /** Carried the exchange; the last one tried where none did. */
  readonly upstream?: Side;
  /** Upstream connections that failed before, first one first. */
  readonly attempts: readonly SideRecord[];
  /**
   * The attempt by whose failure the proxy ended this hop, though it was made for another or nobody knows for whom:
   * one that fails takes along whoever waited for a connection to the same upstream.
   */
  readonly failure?: SideRecord;
  /** Requests that this one led to upstream before the one that answered it, first one first. */
  readonly tries?: readonly Side[];
  /** Copies of the request, whose answers went nowhere. */
  readonly mirrors?: readonly Side[];
  /** The proxy answered by itself: no upstream was asked. */
  readonly ownAnswer?: boolean;
  readonly pairing: Pairing;
  readonly ambiguous: boolean;
  /** The hop carries its connections' set-up. */
  readonly setUp: boolean;
  /** The hop carries its connections' end. */
  readonly end: boolean;
  /** Bytes went both ways at once, so that borders between exchanges could not be told. */
  readonly overlapping: boolean;
  readonly proxy: ProxyRecord | undefined;
  readonly host: HostRecord | undefined;
  readonly clock: ClockRecord;
}

export function tgidOf(hop: Hop): number {
  return hop.downstream?.tgid || hop.upstream?.tgid || 0;
}
