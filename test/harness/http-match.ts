import type { SeenHop } from './hopspan.ts';
import type { HttpArrival } from './http-backend.ts';
import type { HttpSent } from './http-client.ts';

/** How far two clocks' readings may stand apart (src/receiver/clock.ts). */
const CLOCK_TOLERANCE_MS = 0.3;

/** Requests by what hopspan made of them. */
export interface HttpVerdict {
  readonly right: number;
  /** Told with another connection, answer, order or trace than it had; the first of them in words. */
  readonly wrong: string[];
  readonly missing: number;
  /** Hops that are no request of the client's, or one a second time. */
  readonly surplus: number;
}

/** Holds hops against what the client sent and the backend got, request by request. */
export function judgeHttp(
  hops: readonly SeenHop[],
  sent: readonly HttpSent[],
  arrivals: readonly HttpArrival[],
): HttpVerdict {
  const byId = Map.groupBy(hops, ({ hop }) =>
    Number(/^\/?(\d+)\//.exec(String(hop.attributes['url.path'] ?? hop.attributes['rpc.method']))?.[1]),
  );
  const arrived = new Map(arrivals.map((arrival) => [arrival.id, arrival]));
  const wrong: string[] = [];
  let right = 0;
  let missing = 0;
  let surplus = hops.length;
  for (const request of sent) {
    const [found] = byId.get(request.id) ?? [];
    if (!found) {
      missing++;
      continue;
    }
    surplus--;
    const differences = compare(found, request, arrived.get(request.id));
    if (differences.length === 0) right++;
    else if (wrong.length < 5) wrong.push(`request ${request.id}: ${differences.join(', ')}`);
  }
  return { right, wrong, missing, surplus };
}

function compare({ hop, upstreams }: SeenHop, sent: HttpSent, arrival: HttpArrival | undefined): string[] {
  const [upstream] = upstreams;
  const seen = hop.attributes;
  const told = upstream?.attributes ?? {};
  const isCall = seen['rpc.method'] !== undefined;
  const pairs: Record<string, [unknown, unknown]> = {
    ...(isCall ? compareCall(seen, told, sent) : compareRequest(seen, told, sent)),
    'client port': [seen['network.peer.port'], sent.localPort],
    'upstream port': [told['network.local.port'], arrival?.remotePort],
    'upstream spans': [upstreams.length, 1],
    number: [seen['hopspan.exchange.number'], sent.number],
    'trace id': [sent.traceparent ? hop.traceId : '', sent.traceparent.slice(3, 35)],
    parent: [sent.traceparent ? hop.parentSpanId : '', sent.traceparent.slice(36, 52)],
  };
  const differences = Object.entries(pairs)
    .filter(([, [is, should]]) => is !== should)
    .map(([name, [is, should]]) => `${name} ${is} instead of ${should}`);
  /*
   * What the client waited holds the exchange; the first one holds the connection's set-up, too. Writes that carry many
   * streams are timed when they return, and the client may have read its part of them long before.
   */
  const waitedMs = Number(sent.answeredNs - sent.sentNs) / 1e6;
  const isStream = seen['network.protocol.version'] === '2';
  if (sent.number > 1 && !isStream && hop.durationMs > waitedMs + CLOCK_TOLERANCE_MS) {
    differences.push(`${hop.durationMs} ms, though the client waited ${waitedMs} ms`);
  }
  return differences;
}

type Values = Readonly<Record<string, unknown>>;

function compareRequest(seen: Values, told: Values, sent: HttpSent): Record<string, [unknown, unknown]> {
  return {
    method: [seen['http.request.method_original'] ?? seen['http.request.method'], sent.method],
    path: [seen['url.path'], `/${sent.id}/x`],
    'upstream url': [told['url.full'], `http://service.test:8080/${sent.id}/x`],
    status: [seen['http.response.status_code'], sent.statusCode],
    'upstream status': [told['http.response.status_code'], sent.statusCode],
  };
}

const GRPC_STATUSES: Record<number, string> = { 0: 'OK', 2: 'UNKNOWN', 5: 'NOT_FOUND', 14: 'UNAVAILABLE' };

function compareCall(seen: Values, told: Values, sent: HttpSent): Record<string, [unknown, unknown]> {
  const status = GRPC_STATUSES[sent.statusCode];
  return {
    method: [seen['rpc.method'], `${sent.id}/x`],
    'upstream method': [told['rpc.method'], `${sent.id}/x`],
    status: [seen['rpc.status_code'], status],
    'upstream status': [told['rpc.status_code'], status],
  };
}
