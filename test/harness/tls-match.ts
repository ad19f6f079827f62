import { type FileSpan, hopsOf } from './hopspan.ts';
import type { HttpArrival } from './http-backend.ts';
import type { HttpSent } from './http-client.ts';

/** What became of the exchanges of a proxy whose bytes nobody reads. */
export interface TlsVerdict {
  readonly right: number;
  readonly wrong: number;
  /** Given apart, as more than one fitted. */
  readonly ambiguous: number;
  readonly none: number;
}

/**
 * Holds pairs against what the client sent and the backend got. Who is who follows from the ports and from the order on
 * each of them, for nothing else is to be seen; handshakes are left out. Only requests that `counts` says
 * are counted.
 */
export function judgeTls(
  spans: readonly FileSpan[],
  sent: readonly HttpSent[],
  arrivals: readonly HttpArrival[],
  counts: (id: number) => boolean = () => true,
): TlsVerdict {
  const { hops, loose } = hopsOf(spans);
  const talking = hops.filter(({ hop }) => isRequest(hop));
  const upstreams = [...loose, ...hops.flatMap((each) => each.upstreams)].filter(isRequest);
  const byStart = (a: FileSpan, b: FileSpan): number => (a.startNs < b.startNs ? -1 : 1);
  const inOrder = [...sent].sort((a, b) => (a.sentNs < b.sentNs ? -1 : 1));
  const ids = new Map([
    ...named(
      talking.map(({ hop }) => hop).toSorted(byStart),
      'network.peer.port',
      inOrder,
      (each) => each.localPort,
    ),
    ...named(upstreams.toSorted(byStart), 'network.local.port', arrivals, (each) => each.remotePort),
  ]);
  let [right, wrong, ambiguous, none] = [0, 0, 0, 0];
  for (const { hop, upstreams: under } of talking) {
    const [upstream] = under;
    if (!counts(ids.get(hop) ?? -1)) continue;
    if (upstream) {
      if (ids.get(hop) === ids.get(upstream)) right++;
      else wrong++;
    } else if (hop.attributes['hopspan.pairing.ambiguous']) ambiguous++;
    else none++;
  }
  return { right, wrong, ambiguous, none };
}

const isRequest = ({ name, attributes }: FileSpan): boolean =>
  !name.startsWith('tcp connection ') &&
  attributes['hopspan.exchange.number'] !== 0 &&
  !attributes['hopspan.tls.handshake'];

/** The n-th span on a port is the n-th request there. Fails where there are more or fewer of them. */
function named<Request extends { readonly id: number }>(
  spans: readonly FileSpan[],
  attribute: string,
  requests: readonly Request[],
  portOf: (request: Request) => number,
): [FileSpan, number][] {
  const byPort = Map.groupBy(requests, portOf);
  return [...Map.groupBy(spans, ({ attributes }) => Number(attributes[attribute]))].flatMap(
    ([port, here]) => {
      const expected = byPort.get(port) ?? [];
      if (expected.length !== here.length) {
        throw new Error(`${here.length} spans instead of ${expected.length} requests on port ${port}`);
      }
      return here.map((span, at): [FileSpan, number] => [span, expected[at]?.id ?? -1]);
    },
  );
}
