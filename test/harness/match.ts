import type { FileSpan, SeenHop } from './hopspan.ts';
import type { ConnectionTruth } from './truth.ts';

/** What hopspan said of connections that both ends know. */
export interface Verdict {
  /** Exchanges whose hop names the right upstream connection. */
  right: number;
  /** Hops that name the upstream connection of another. */
  wrong: number;
  /** Hops without an upstream connection. */
  unpaired: number;
  /** Exchanges without a hop. */
  missing: number;
  /** Hops beyond the one that an exchange has, or of connections that nobody made. */
  surplus: number;
}

/**
 * Holds hops against the truth. A client port may serve several connections one after the other, which are told
 * apart by their order; the exchange by its number on the connection.
 */
export function judge(
  hops: readonly SeenHop[],
  truths: Iterable<ConnectionTruth>,
  exchangesOf = expected,
): Verdict {
  const verdict: Verdict = { right: 0, wrong: 0, unpaired: 0, missing: 0, surplus: 0 };
  const byPort = Map.groupBy(hops, ({ hop }) => Number(hop.attributes['client.port']));
  const truthByPort = Map.groupBy(truths, ({ clientPort }) => clientPort);
  for (const [port, connections] of truthByPort) {
    const seen = connectionsOf(byPort.get(port) ?? []);
    byPort.delete(port);
    connections.sort((a, b) => startOf(a) - startOf(b));
    for (const [index, truth] of connections.entries()) {
      const own = seen[index] ?? [];
      const numbers = new Set<number>();
      for (const { hop, upstreams } of own) {
        const number = Number(hop.attributes['hopspan.exchange.number']);
        if (numbers.has(number) || number > exchangesOf(truth)) {
          verdict.surplus++;
          continue;
        }
        numbers.add(number);
        const port = localPort(upstreams.at(-1));
        if (port === undefined) verdict.unpaired++;
        else if (port === truth.upstreamLocalPort) verdict.right++;
        else verdict.wrong++;
      }
      verdict.missing += exchangesOf(truth) - numbers.size;
    }
    for (const extra of seen.slice(connections.length)) verdict.surplus += extra.length;
  }
  for (const rest of byPort.values()) verdict.surplus += rest.length;
  return verdict;
}

const expected = (truth: ConnectionTruth): number => truth.exchanges.length;

function startOf(truth: ConnectionTruth): number {
  return truth.exchanges[0]?.client.startNs ?? 0;
}

function localPort(upstream: FileSpan | undefined): number | undefined {
  return upstream && Number(upstream.attributes['network.local.port']);
}

/** Hops of one client port, connection by connection, in the order of their first hops. */
function connectionsOf(hops: readonly SeenHop[]): SeenHop[][] {
  const groups = [...Map.groupBy(hops, ({ hop }) => hop.attributes['hopspan.connection.id']).values()];
  const first = (group: SeenHop[]): bigint =>
    group.map(({ hop }) => hop.startNs).toSorted((a, b) => (a < b ? -1 : 1))[0] ?? 0n;
  return groups.toSorted((a, b) => (first(a) < first(b) ? -1 : 1));
}
