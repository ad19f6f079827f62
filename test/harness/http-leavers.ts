import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createRandom } from './random.ts';

/** What became of one request, as client and backend know it together. */
export interface LeaverTruth {
  readonly path: string;
  /**
   * `before`: the client left, and the backend had not served its request; `after`: it had the whole answer;
   * `between`: an answer or a reset was on its way. `failed`: the connection was closed in its face.
   */
  readonly left: 'before' | 'between' | 'after' | 'failed';
}

export interface LeaverOptions {
  readonly connections: number;
  readonly concurrency: number;
  readonly requests: number;
  /** Shares of connections whose client leaves early, and of requests that the backend resets at their first try. */
  readonly leaving: number;
  readonly resets: number;
  readonly maxDelayMs: number;
  readonly traceparent?: boolean;
}

export interface LeaverBackend {
  readonly port: number;
  /** Paths whose last try was answered or reset. */
  readonly served: ReadonlySet<string>;
  /** How often each path came. */
  readonly came: ReadonlyMap<string, number>;
  stop(): void;
}

/** Answers after a while; of some paths it resets the connection at the first try. */
export async function startLeaverBackend({ maxDelayMs, resets }: LeaverOptions): Promise<LeaverBackend> {
  const served = new Set<string>();
  const came = new Map<string, number>();
  const random = createRandom(11);
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const path = request.url ?? '';
    const tries = (came.get(path) ?? 0) + 1;
    came.set(path, tries);
    served.delete(path);
    const isReset = tries === 1 && random() < resets;
    setTimeout(() => {
      if (response.destroyed) return;
      served.add(path);
      if (isReset) request.socket.resetAndDestroy();
      else response.end('x'.repeat(500));
    }, random() * maxDelayMs);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve));
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { port: (server.address() as AddressInfo).port, served, came, stop };
}

/** Clients with kept connections of which some leave, by FIN or RST, at any time in a request. */
export async function runLeavers(
  port: number,
  backend: LeaverBackend,
  options: LeaverOptions,
): Promise<LeaverTruth[]> {
  const truths: LeaverTruth[] = [];
  const random = createRandom(17);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < options.connections) await runOne(next++);
  };
  await Promise.all(Array.from({ length: options.concurrency }, lane));
  return truths;

  async function runOne(index: number): Promise<void> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => {});
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    let received = '';
    let wake = (): void => {};
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      wake();
    });
    socket.on('close', () => wake());
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    const leaves = random() < options.leaving;
    const last = leaves ? Math.floor(random() * options.requests) : options.requests;
    const isWhole = (): boolean => {
      const head = received.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? Number.NaN);
      return head > 0 && received.length >= head + 4 + length;
    };
    for (let number = 0; number < options.requests; number++) {
      const path = `/${index}/${number}`;
      received = '';
      const hex = (digits: number): string => (index * 1000 + number + 1).toString(16).padStart(digits, '0');
      const id = options.traceparent ? `traceparent: 00-${hex(32)}-${hex(16)}-01\r\n` : '';
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${id}\r\n`);
      const leavesNow = number === last;
      const leaving = leavesNow ? setTimeout(() => wake(), random() * options.maxDelayMs * 1.5) : undefined;
      await new Promise<void>((resolve) => {
        wake = () => {
          if (leaving || isWhole() || socket.destroyed) resolve();
        };
      });
      clearTimeout(leaving);
      if (isWhole()) truths.push({ path, left: 'after' });
      else if (socket.destroyed) truths.push({ path, left: 'failed' });
      else truths.push({ path, left: backend.served.has(path) || received ? 'between' : 'before' });
      if (leavesNow || socket.destroyed) break;
    }
    if (random() < 0.5) socket.destroy();
    else socket.resetAndDestroy();
    await closed;
  }
}
