/**
 * The demo's HTTP backend: `node backend.ts [--host 127.0.0.1] [--port 0]`. Answers `GET /orders/{id}` after a random
 * think time, with a SERVER span and an INTERNAL child `query`. Says `listening on http://...` and runs until SIGTERM.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import * as names from '@opentelemetry/semantic-conventions';
import { startTelemetry } from './telemetry.ts';

const ORDER = /^\/orders\/(\d+)$/;
const tracer = trace.getTracer('hopspan-demo');

/** One order in ten takes 150 ms, the others 5 to 40 ms. */
function thinkMs(order: number): number {
  return order % 10 === 7 ? 150 : 5 + Math.random() * 35;
}

/** One order in thirteen cannot be read: always the same ones, so that every run shows some. */
function queryFails(order: number): boolean {
  return order % 13 === 0;
}

async function query(order: number): Promise<void> {
  const attributes = {
    [names.ATTR_DB_SYSTEM_NAME]: 'postgresql',
    [names.ATTR_DB_OPERATION_NAME]: 'SELECT',
    [names.ATTR_DB_COLLECTION_NAME]: 'orders',
  };
  await tracer.startActiveSpan('query', { kind: SpanKind.INTERNAL, attributes }, async (span) => {
    try {
      await sleep(thinkMs(order));
      if (queryFails(order)) throw new Error('the table "orders" is locked');
    } catch (error) {
      if (error instanceof Error) span.recordException(error);
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '/';
  const order = ORDER.exec(path)?.[1];
  const parent = propagation.extract(context.active(), request.headers);
  const attributes = {
    [names.ATTR_HTTP_REQUEST_METHOD]: request.method ?? 'GET',
    [names.ATTR_URL_PATH]: path,
    [names.ATTR_URL_SCHEME]: 'http',
    [names.ATTR_NETWORK_PROTOCOL_VERSION]: request.httpVersion,
    [names.ATTR_NETWORK_PEER_ADDRESS]: request.socket.remoteAddress ?? '',
    [names.ATTR_NETWORK_PEER_PORT]: request.socket.remotePort ?? 0,
    ...(order === undefined ? {} : { [names.ATTR_HTTP_ROUTE]: '/orders/{id}' }),
  };
  const name = order === undefined ? 'GET' : 'GET /orders/{id}';
  await tracer.startActiveSpan(name, { kind: SpanKind.SERVER, attributes }, parent, async (span) => {
    const { status, body } = await answer(order);
    span.setAttribute(names.ATTR_HTTP_RESPONSE_STATUS_CODE, status);
    if (status >= 500) {
      span.setAttribute(names.ATTR_ERROR_TYPE, String(status));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    const text = JSON.stringify(body);
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text, () => span.end());
  });
}

async function answer(order: string | undefined): Promise<{ status: number; body: object }> {
  if (order === undefined) return { status: 404, body: { error: 'no such page' } };
  try {
    await query(Number(order));
    return {
      status: 200,
      body: { order: Number(order), items: Array.from({ length: 20 }, (_, item) => ({ item })) },
    };
  } catch {
    return { status: 500, body: { error: 'try again' } };
  }
}

const { values } = parseArgs({
  options: { host: { type: 'string', default: '127.0.0.1' }, port: { type: 'string', default: '0' } },
});
const flush = startTelemetry('shop-backend');
const server = createServer((request, response) => void serve(request, response));
server.listen(Number(values.port), values.host, () => {
  const address = server.address();
  if (typeof address === 'object' && address)
    console.log(`listening on http://${values.host}:${address.port}`);
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
    void flush().finally(() => process.exit(0));
  });
}
