import type { ConnectionCount, ListenerCount } from './balance.ts';

/** With fewer requests in a window, chance alone can be as uneven. */
export const MIN_REQUESTS = 100;
/** One connection with this share of a listener's requests leaves two upstreams as uneven as three to one. */
export const MIN_SHARE = 0.75;

/**
 * A long HTTP/2 connection that is relayed byte for byte, as a layer 4 balancer does: all its requests go to the one
 * upstream that was chosen when it was opened, while others stand by.
 */
export interface Pinned {
  readonly proxy: string;
  readonly port: number;
  readonly connection: number;
  /** The client's `address:port`. */
  readonly client: string;
  /** The upstream's `address:port`. */
  readonly upstream: string;
  /** Of the window: this connection's requests, and the listener's. */
  readonly requests: number;
  readonly ofRequests: number;
  /** Upstreams that were in use while the connection lived; 1 where others, if there are any, were never seen. */
  readonly upstreams: number;
}

/** There are other upstreams, and they stand by. */
export const isCertain = ({ upstreams }: Pinned): boolean => upstreams > 1;

/**
 * The connection that pins the requests of a listener in its current window. Nothing with several connections to a single
 * upstream, for then there is no other; with a lone connection nobody can know. Nor with upstreams that were in use only before the connection began, for they may be gone;
 * nor with a proxy that speaks HTTP itself, for it balances requests.
 */
export function findPinned(listener: ListenerCount): Pinned | undefined {
  const ofRequests = listener.window;
  if (ofRequests < MIN_REQUESTS) return undefined;
  const busiest = busiestOf(listener);
  const upstream = busiest?.relayedTo;
  if (!busiest || !upstream || busiest.relayed < MIN_SHARE * ofRequests) return undefined;
  const upstreams = [...listener.upstreams.values()].filter(({ lastNs }) => lastNs >= busiest.sinceNs).length;
  if (upstreams < 2 && (busiest.relayed < ofRequests || upstreams !== listener.upstreams.size))
    return undefined;
  return {
    ...{ proxy: listener.proxy, port: listener.port, connection: busiest.id, client: busiest.client },
    ...{ upstream: upstream.name, requests: busiest.relayed, ofRequests, upstreams },
  };
}

function busiestOf({ connections }: ListenerCount): ConnectionCount | undefined {
  let busiest: ConnectionCount | undefined;
  for (const connection of connections) {
    if (connection.relayed > (busiest?.relayed ?? 0)) busiest = connection;
  }
  return busiest;
}

/** What it means, in one sentence for people. */
export function describePinned(pinned: Pinned): string {
  const { client, upstream, requests, ofRequests, upstreams, port } = pinned;
  if (!isCertain(pinned)) {
    return `all ${requests} requests to :${port} come over one HTTP/2 connection, from ${client}, and so go to ${upstream} alone: the proxy balances connections, not requests, and other upstreams, if there are any, get none`;
  }
  const share = Math.round((100 * requests) / ofRequests);
  return `one HTTP/2 connection, from ${client}, carries ${share} % of the requests to :${port}, and all of them go to ${upstream}, one of ${upstreams} upstreams: the proxy balances connections, not requests`;
}
