import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { HttpArrival } from './http-backend.ts';
import { createRandom } from './random.ts';

export interface Http2Backend {
  readonly port: number;
  readonly arrivals: readonly Http2Arrival[];
  stop(): Promise<void>;
}

export interface Http2Arrival extends HttpArrival {
  /** The stream's number on its connection, from 1. */
  readonly number: number;
}

const STATUSES = [200, 200, 200, 201, 204, 404, 500];
const GRPC_STATUSES = [0, 0, 0, 2, 5, 14];

/**
 * Answers `/N/...`, or what has N in `x-id`, over HTTP/2 without TLS, by status, length and writes that N decides; requests with gRPC's content type
 * as gRPC does, with the status in trailers. Node's own HTTP/2 stands between the bytes and what is logged.
 */
export async function startHttp2Backend(
  options: { readonly seed?: number; readonly maxAnswerBytes?: number } = {},
): Promise<Http2Backend> {
  const arrivals: Http2Arrival[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ settings: { maxConcurrentStreams: 1000 } });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    let bodyBytes = 0;
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length;
    });
    stream.on('end', () => {
      const id = Number(headers['x-id'] ?? /\d+/.exec(headers[':path'] ?? '')?.[0]);
      const random = createRandom((options.seed ?? 1) * 1_000_003 + id);
      const isGrpc = headers['content-type'] === 'application/grpc';
      const statuses = isGrpc ? GRPC_STATUSES : STATUSES;
      const statusCode = statuses[Math.floor(random() * statuses.length)] as number;
      arrivals.push({
        id,
        method: headers[':method'] ?? '',
        remotePort: stream.session?.socket.remotePort ?? 0,
        number: ((stream.id ?? -1) + 1) / 2,
        bodyBytes,
        statusCode,
      });
      respond(stream, random, statusCode, isGrpc, options.maxAnswerBytes ?? 2000);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve));
  server.unref(); // a test that fails leaves it, and its process must end
  return {
    port: (server.address() as AddressInfo).port,
    arrivals,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function respond(
  stream: ServerHttp2Stream,
  random: () => number,
  statusCode: number,
  isGrpc: boolean,
  maxBytes: number,
): void {
  if (stream.destroyed) return;
  const body = Buffer.alloc(Math.floor(random() * maxBytes), 'HTTP/1.1 200 OK\r\n\r\n');
  const headers = { 'x-filler': 'y'.repeat(Math.floor(random() * 200)) };
  if (isGrpc) {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', ...headers },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': statusCode }));
  } else if (statusCode === 204) {
    stream.respond({ ':status': statusCode, ...headers }, { endStream: true });
    return;
  } else {
    stream.respond({ ':status': statusCode, ...headers });
  }
  const middle = Math.floor(random() * body.length);
  stream.write(body.subarray(0, middle));
  stream.end(body.subarray(middle));
}
