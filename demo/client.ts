/**
 * The demo's HTTP client: `node client.ts --url http://127.0.0.1:PORT [--requests 40] [--concurrency 4]`. Asks for orders
 * over kept and over fresh connections, one CLIENT span each with its `traceparent` on the request, and ends by
 * itself, or at SIGTERM once those under way are answered.
 */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import * as names from '@opentelemetry/semantic-conventions';
import { startTelemetry } from './telemetry.ts';

const REQUEST_TIMEOUT_MS = 5000;
const tracer = trace.getTracer('hopspan-demo');
const kept = new Agent({ keepAlive: true });
const fresh = new Agent({ keepAlive: false });

/** Every third request opens a connection of its own. */
async function order(base: URL, number: number): Promise<boolean> {
  const url = new URL(`/orders/${1000 + number}`, base);
  const attributes = {
    [names.ATTR_HTTP_REQUEST_METHOD]: 'GET',
    [names.ATTR_URL_FULL]: url.href,
    [names.ATTR_SERVER_ADDRESS]: url.hostname,
    [names.ATTR_SERVER_PORT]: Number(url.port),
  };
  return tracer.startActiveSpan('GET /orders/{id}', { kind: SpanKind.CLIENT, attributes }, async (span) => {
    try {
      const status = await get(url, number % 3 === 0 ? fresh : kept, span);
      span.setAttribute(names.ATTR_HTTP_RESPONSE_STATUS_CODE, status);
      if (status >= 400) fail(span, String(status));
      return status < 400;
    } catch (error) {
      fail(span, error instanceof Error && 'code' in error ? String(error.code) : '_OTHER');
      return false;
    } finally {
      span.end();
    }
  });
}

function fail(span: Span, type: string): void {
  span.setAttribute(names.ATTR_ERROR_TYPE, type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** Resolves with the status code when the whole answer was read. */
function get(url: URL, agent: Agent, span: Span): Promise<number> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = request(url, { agent, headers }, (response: IncomingMessage) => {
      span.setAttribute(names.ATTR_NETWORK_LOCAL_PORT, response.socket.localPort ?? 0);
      response.on('end', () => resolve(response.statusCode ?? 0)).on('error', reject);
      response.resume();
    });
    sent.setTimeout(REQUEST_TIMEOUT_MS, () =>
      sent.destroy(new Error(`no answer for ${REQUEST_TIMEOUT_MS} ms`)),
    );
    sent.on('error', reject).end();
  });
}

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    requests: { type: 'string', default: '40' },
    concurrency: { type: 'string', default: '4' },
  },
});
if (values.url === undefined) throw new Error('client.ts needs --url http://HOST:PORT');
const base = new URL(values.url);
const total = Number(values.requests);
const flush = startTelemetry('shop-client');
let next = 0;
let failed = 0;
let stopped = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    stopped = true;
  });
}
await Promise.all(
  Array.from({ length: Number(values.concurrency) }, async () => {
    while (!stopped && next < total) {
      if (!(await order(base, next++))) failed++;
      await sleep(Math.random() * 20);
    }
  }),
);
kept.destroy();
await flush();
console.log(`${next} requests, ${failed} failed`);
