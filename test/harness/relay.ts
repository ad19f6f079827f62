/** A TCP relay that delays what passes: a process of its own, started by `startRelay` in traffic.ts. */
import { connect, createServer, type Socket } from 'node:net';
import type { RelayOptions } from './traffic-types.ts';
import { serveCalls, workerOptions } from './worker.ts';

const options = workerOptions<RelayOptions>();

function accept(downstream: Socket): void {
  const upstream = connect({
    host: options.upstreamHost ?? '127.0.0.1',
    port: options.upstreamPort,
    allowHalfOpen: true,
    noDelay: true,
  });
  downstream.setNoDelay(true);
  pass(downstream, upstream, options.delayToUpstreamMs ?? 0);
  pass(upstream, downstream, options.delayToDownstreamMs ?? 0);
}

/** Timers of equal length run in the order in which they were set, so bytes and FIN keep theirs. */
function pass(from: Socket, to: Socket, delayMs: number): void {
  from.on('data', (chunk) => void setTimeout(() => to.writable && to.write(chunk), delayMs));
  from.on('end', () => void setTimeout(() => to.end(), delayMs));
  from.on('error', () => void setTimeout(() => to.resetAndDestroy(), delayMs));
}

const server = createServer({ allowHalfOpen: true }, accept);
const listening = new Promise<number>((resolve, reject) => {
  server.once('error', reject);
  server.listen({ host: options.host ?? '127.0.0.1', port: options.port, backlog: 4096 }, () => {
    const address = server.address();
    resolve(typeof address === 'object' && address ? address.port : 0);
  });
});
serveCalls({ port: () => listening });
