import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { context, type Span, SpanKind, type Tracer, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

/** One request, by what its client and its server know of it. */
export interface Call {
  readonly path: string;
  readonly traceId: string;
  readonly clientSpanId: string;
  serverSpanId: string;
}

export interface ApplicationOptions {
  /** OTLP/gRPC, `http://HOST:PORT`. */
  readonly endpoint: string;
  /** Whether the backend's spans name the address and port that it was called from. */
  readonly addresses: boolean;
  readonly thinkMs?: number;
  /** All requests are sent under one span of the client's, as a caller does that makes none for each. */
  readonly oneCaller?: boolean;
}

/** A client and a backend that the official SDK instruments, as two services. */
export interface Application {
  readonly backendPort: number;
  /** So many requests to a port, some at a time, over kept connections. */
  call(port: number, requests: number, concurrency: number): Promise<Call[]>;
  /** Sends what waits, and ends. */
  stop(): Promise<void>;
}

const propagator = new W3CTraceContextPropagator();

function provide(service: string, endpoint: string): { tracer: Tracer; end(): Promise<void> } {
  const exporter = new OTLPTraceExporter({ url: endpoint });
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    spanProcessors: [new BatchSpanProcessor(exporter, { scheduledDelayMillis: 200 })],
  });
  return { tracer: provider.getTracer('application'), end: () => provider.shutdown() };
}

export async function startApplication(options: ApplicationOptions): Promise<Application> {
  const client = provide('client', options.endpoint);
  const backend = provide('backend', options.endpoint);
  const calls = new Map<string, Call>();

  const server = createServer((asked, answer) => {
    const path = asked.url ?? '';
    const parent = propagator.extract(context.active(), asked.headers, {
      keys: Object.keys,
      get: (headers: typeof asked.headers, key) => headers[key],
    });
    const { remoteAddress = '', remotePort = 0 } = asked.socket;
    const attributes = {
      'http.request.method': asked.method ?? '',
      'url.path': path,
      ...(options.addresses
        ? { 'network.peer.address': remoteAddress, 'network.peer.port': remotePort }
        : {}),
    };
    const span = backend.tracer.startSpan(`GET ${path}`, { kind: SpanKind.SERVER, attributes }, parent);
    const call = calls.get(path);
    if (call) call.serverSpanId = span.spanContext().spanId;
    void sleep(options.thinkMs ?? 20).then(() => {
      span.end();
      answer.end('ok');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const agent = new Agent({ keepAlive: true });
  let next = 0;
  const caller = options.oneCaller ? client.tracer.startSpan('batch') : undefined;

  async function callOnce(port: number): Promise<Call> {
    const path = `/${next++}/x`;
    const span = caller ?? client.tracer.startSpan('GET', { kind: SpanKind.CLIENT });
    const { traceId, spanId } = span.spanContext();
    const call = { path, traceId, clientSpanId: spanId, serverSpanId: '' };
    calls.set(path, call);
    await get(port, path, span, agent);
    if (!caller) span.end();
    return call;
  }

  return {
    backendPort: (server.address() as AddressInfo).port,
    async call(port, requests, concurrency) {
      const done: Call[] = [];
      let left = requests;
      const lane = async (): Promise<void> => {
        while (left-- > 0) done.push(await callOnce(port));
      };
      await Promise.all(Array.from({ length: concurrency }, lane));
      return done;
    },
    async stop() {
      agent.destroy();
      caller?.end();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await Promise.all([client.end(), backend.end()]);
    },
  };
}

function get(port: number, path: string, span: Span, agent: Agent): Promise<void> {
  const headers: Record<string, string> = {};
  propagator.inject(trace.setSpan(context.active(), span), headers, {
    set: (carrier: Record<string, string>, key, value) => {
      carrier[key] = value;
    },
  });
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path, agent, headers }, (answer) => {
      answer.resume().on('end', resolve).on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}
