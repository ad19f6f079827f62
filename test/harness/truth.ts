import type { ProxyLogEntry } from './proxy.ts';
import type { BackendConnection, BackendExchange, ClientExchange, ClientLog } from './traffic-types.ts';

/** One exchange as its two ends saw it. */
export interface ExchangeTruth {
  readonly client: ClientExchange;
  /** Missing when the request never arrived whole. */
  readonly backend: BackendExchange | undefined;
}

/** One connection through a proxy (or several), as its two ends saw it. */
export interface ConnectionTruth {
  readonly connId: number;
  readonly clientAddress: string;
  /** The downstream connection's remote port at the (first) proxy. */
  readonly clientPort: number;
  /** The (last) proxy's own port towards the backend; undefined when nothing reached the backend. */
  readonly upstreamLocalPort: number | undefined;
  readonly exchanges: readonly ExchangeTruth[];
}

/** Joins both ends' logs by the numbers that the client wrote; throws when a number came twice, or on two ports. */
export function joinByConnection(
  client: ClientLog,
  backendExchanges: readonly BackendExchange[],
  backendConnections: readonly BackendConnection[] = [],
): Map<number, ConnectionTruth> {
  const ports = new Map<number, number>();
  const note = ({ connId, remotePort }: { readonly connId: number; readonly remotePort: number }): void => {
    const known = ports.get(connId);
    if (known !== undefined && known !== remotePort)
      throw new Error(`connection ${connId} came on two ports`);
    ports.set(connId, remotePort);
  };
  const arrived = new Map<string, BackendExchange>();
  for (const exchange of backendExchanges) {
    const key = `${exchange.connId} ${exchange.exchange}`;
    if (arrived.has(key)) throw new Error(`exchange ${key} came twice`);
    arrived.set(key, exchange);
    note(exchange);
  }
  for (const connection of backendConnections) if (connection.connId >= 0) note(connection);
  const byConnection = Map.groupBy(client.exchanges, ({ connId }) => connId);
  return new Map(
    client.connections.map(({ connId, localAddress, localPort }) => {
      const own = (byConnection.get(connId) ?? []).toSorted((a, b) => a.exchange - b.exchange);
      const exchanges = own.map((each) => ({
        client: each,
        backend: arrived.get(`${connId} ${each.exchange}`),
      }));
      const truth = { connId, clientAddress: localAddress, clientPort: localPort, exchanges };
      return [connId, { ...truth, upstreamLocalPort: ports.get(connId) }];
    }),
  );
}

/** Client port to the proxy's upstream local port, by the proxy's own log; for runs that use no client port twice. */
export function portPairs(entries: readonly ProxyLogEntry[]): Map<number, number> {
  const pairs = new Map<number, number>();
  for (const { clientPort, upstreamLocalPort } of entries) {
    if (upstreamLocalPort === undefined) continue;
    if (pairs.has(clientPort)) throw new Error(`client port ${clientPort} was used twice`);
    pairs.set(clientPort, upstreamLocalPort);
  }
  return pairs;
}
