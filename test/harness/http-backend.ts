import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Certificate } from './certificate.ts';
import { createRandom } from './random.ts';

/** One request as the backend saw it. */
export interface HttpArrival {
  /** The number in its header `x-truth`, else in its path. */
  readonly id: number;
  /** The n-th on its connection, from 1. */
  readonly number: number;
  readonly method: string;
  readonly remotePort: number;
  readonly bodyBytes: number;
  readonly statusCode: number;
}

export interface HttpBackend {
  readonly port: number;
  readonly arrivals: readonly HttpArrival[];
  stop(): Promise<void>;
}

export interface HttpBackendOptions {
  readonly seed?: number;
  readonly maxAnswerBytes?: number;
  /** All answers are the same. */
  readonly identical?: boolean;
  /** Answers come after up to so long. */
  readonly maxDelayMs?: number;
  /** Share of requests that it resets, or answers with 503, at their first try each. */
  readonly failing?: number;
  /** Ends TLS with this certificate. */
  readonly tls?: Certificate;
  /** Answers have a length in place of chunks. */
  readonly chunked?: false;
}

type Random = () => number;

const STATUSES = [200, 200, 200, 201, 204, 304, 404, 500, 503];

/**
 * Answers `/N...` with a status, framing and body that N decides: lengths, chunks, no body, in one write or several.
 * Node's own parser stands between the bytes and what is logged.
 */
export async function startHttpBackend(options: HttpBackendOptions = {}): Promise<HttpBackend> {
  const arrivals: HttpArrival[] = [];
  const { tls } = options;
  const failed = new Set<number>();
  const numbers = new WeakMap<Socket, number>();
  const server = tls
    ? createTlsServer({ key: tls.key, cert: tls.cert, keepAliveTimeout: 60_000 })
    : createServer({ keepAliveTimeout: 60_000 });
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    let bodyBytes = 0;
    const number = (numbers.get(request.socket) ?? 0) + 1;
    numbers.set(request.socket, number);
    request.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length;
    });
    request.on('end', () => {
      const id = Number(request.headers['x-truth'] ?? /\d+/.exec(request.url ?? '')?.[0]);
      const random = createRandom((options.seed ?? 1) * 1_000_003 + id);
      const statusCode = options.identical ? 200 : pick(random, STATUSES);
      arrivals.push({
        ...{ id, number },
        method: request.method ?? '',
        remotePort: request.socket.remotePort ?? 0,
        bodyBytes,
        statusCode,
      });
      const fails = random() < (options.failing ?? 0) && !failed.has(id);
      const give = (): void => {
        if (fails) {
          failed.add(id);
          if (id % 2) request.socket.resetAndDestroy();
          else response.writeHead(503).end();
        } else if (options.identical) response.end('the same for all');
        else respond(response, random, statusCode, options);
      };
      if (options.maxDelayMs) setTimeout(give, random() * options.maxDelayMs);
      else give();
    });
  };
  server.on('request', answer);
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve));
  server.unref(); // a test that fails leaves it, and its process must end
  return {
    port: (server.address() as AddressInfo).port,
    arrivals,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function respond(
  response: ServerResponse,
  random: Random,
  statusCode: number,
  options: HttpBackendOptions,
): void {
  const body = Buffer.alloc(
    Math.floor(random() * (options.maxAnswerBytes ?? 2000)),
    'HTTP/1.1 200 OK\r\n\r\n',
  );
  response.setHeader('x-filler', 'y'.repeat(Math.floor(random() * 200)));
  if (statusCode === 204 || statusCode === 304) {
    response.writeHead(statusCode).end();
    return;
  }
  const chunked = random() < 0.5 && options.chunked !== false;
  response.writeHead(statusCode, chunked ? {} : { 'content-length': body.length });
  const middle = Math.floor(random() * body.length);
  response.write(body.subarray(0, middle));
  response.end(body.subarray(middle));
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}
