import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRandom } from './random.ts';

/** One request as the backend saw it. */
export interface HttpArrival {
  /** The number in the request's path. */
  readonly id: number;
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
}

type Random = () => number;

const STATUSES = [200, 200, 200, 201, 204, 304, 404, 500, 503];

/**
 * Answers `/N...` with a status, framing and body that N decides: lengths, chunks, no body, in one write or several.
 * Node's own parser stands between the bytes and what is logged.
 */
export async function startHttpBackend(options: HttpBackendOptions = {}): Promise<HttpBackend> {
  const arrivals: HttpArrival[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 });
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    let bodyBytes = 0;
    request.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length;
    });
    request.on('end', () => {
      const id = Number(/\d+/.exec(request.url ?? '')?.[0]);
      const random = createRandom((options.seed ?? 1) * 1_000_003 + id);
      const statusCode = pick(random, STATUSES);
      arrivals.push({
        id,
        method: request.method ?? '',
        remotePort: request.socket.remotePort ?? 0,
        bodyBytes,
        statusCode,
      });
      respond(response, random, statusCode, options.maxAnswerBytes ?? 2000);
    });
  };
  server.on('request', answer);
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve));
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

function respond(response: ServerResponse, random: Random, statusCode: number, maxBytes: number): void {
  const body = Buffer.alloc(Math.floor(random() * maxBytes), 'HTTP/1.1 200 OK\r\n\r\n');
  response.setHeader('x-filler', 'y'.repeat(Math.floor(random() * 200)));
  if (statusCode === 204 || statusCode === 304) {
    response.writeHead(statusCode).end();
    return;
  }
  const chunked = random() < 0.5;
  response.writeHead(statusCode, chunked ? {} : { 'content-length': body.length });
  const middle = Math.floor(random() * body.length);
  response.write(body.subarray(0, middle));
  response.end(body.subarray(middle));
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}
