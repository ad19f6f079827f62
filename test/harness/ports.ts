import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { until } from './process.ts';

const given = new Set<number>();

/**
 * A free TCP port below the ephemeral range (32768 and up), so that thousands of outgoing connections never take it.
 * Not handed out twice by this process.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port) || !(await canBind(port, host))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port on ${host} between 12000 and 32000`);
}

/** Waits until somebody listens, without making a connection that would show up in the traffic. */
export async function awaitListening(
  port: number,
  stillAlive: () => void,
  timeoutMs = 20_000,
): Promise<void> {
  const ofPort = new RegExp(
    `^ *\\d+: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]+:0000 0A `,
    'm',
  );
  await until(
    `a listener on port ${port}`,
    () => {
      stillAlive();
      return ['/proc/net/tcp', '/proc/net/tcp6'].some((file) => ofPort.test(readFileSync(file, 'latin1')));
    },
    timeoutMs,
  );
}

function canBind(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
