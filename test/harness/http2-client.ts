import { type ClientHttp2Session, connect } from 'node:http2';
import type { HttpSent } from './http-client.ts';
import { createRandom } from './random.ts';

export interface Http2ClientOptions {
  readonly port: number;
  readonly connections: number;
  /** Streams at the same time on each. */
  readonly streams: number;
  /** On each connection. */
  readonly requests: number;
  readonly seed?: number;
  readonly maxBodyBytes?: number;
  readonly traceparent?: boolean;
  readonly grpc?: boolean;
  /** By the request's id, which then stands in the header `x-id`; `/ID/x` where not given. */
  readonly path?: (id: number) => string;
  /** Where the numbering of requests begins. */
  readonly firstId?: number;
}

const METHODS = ['GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD'];

/** Connections of HTTP/2 without TLS with many streams at a time, by Node's own HTTP/2. */
export async function runHttp2Client(options: Http2ClientOptions): Promise<HttpSent[]> {
  const connections = Array.from({ length: options.connections }, (_, index) =>
    runConnection(options, index),
  );
  return (await Promise.all(connections)).flat();
}

async function runConnection(options: Http2ClientOptions, index: number): Promise<HttpSent[]> {
  const random = createRandom((options.seed ?? 7) * 7919 + index);
  const session = connect(`http://127.0.0.1:${options.port}`);
  await new Promise<void>((resolve, reject) =>
    session.once('remoteSettings', () => resolve()).once('error', reject),
  );
  const localPort = session.socket.localPort ?? 0;
  const sent: HttpSent[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < options.requests) {
      const asked = await ask(
        session,
        options,
        random,
        (options.firstId ?? 0) + index * options.requests + next++,
      );
      sent.push({ ...asked, localPort });
    }
  };
  await Promise.all(Array.from({ length: options.streams }, lane));
  await new Promise<void>((resolve) => session.close(resolve));
  return sent;
}

function ask(
  session: ClientHttp2Session,
  options: Http2ClientOptions,
  random: () => number,
  id: number,
): Promise<Omit<HttpSent, 'localPort'>> {
  const method = options.grpc ? 'POST' : (METHODS[Math.floor(random() * METHODS.length)] as string);
  const hasBody = method === 'POST' || method === 'PUT';
  const body = Buffer.alloc(hasBody ? Math.floor(random() * (options.maxBodyBytes ?? 2000)) : 0, 'body');
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');
  const traceparent = options.traceparent ? `00-${hex(31)}1-${hex(15)}1-01` : '';
  const path = options.path?.(id) ?? (options.grpc ? `/${id}/x` : `/${id}/x?secret=${hex(8)}`);
  const sentNs = process.hrtime.bigint();
  const stream = session.request(
    {
      ':method': method,
      ':path': path,
      ':authority': 'service.test:8080',
      'user-agent': 'harness',
      cookie: `secret=${hex(Math.floor(random() * 100))}`,
      ...(options.grpc ? { 'content-type': 'application/grpc', te: 'trailers' } : {}),
      ...(traceparent ? { traceparent } : {}),
      ...(options.path ? { 'x-id': String(id) } : {}),
    },
    { endStream: body.length === 0 },
  );
  if (body.length > 0) stream.end(body);
  return new Promise((resolve, reject) => {
    let status = 0;
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
      if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status']);
    });
    stream.on('trailers', (headers) => {
      status = Number(headers['grpc-status']);
    });
    stream.on('data', () => {});
    stream.once('error', reject);
    stream.once('close', () =>
      resolve({
        id,
        method,
        number: ((stream.id ?? -1) + 1) / 2,
        sentNs,
        answeredNs: process.hrtime.bigint(),
        statusCode: status,
        bodyBytes: body.length,
        traceparent,
      }),
    );
  });
}
