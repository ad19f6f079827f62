import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { type Call, startApplication } from '../harness/application.ts';
import { type FileSpan, startHopspan } from '../harness/hopspan.ts';
import { freePort } from '../harness/ports.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import type { RunningProxy } from '../harness/proxy.ts';

after(stopLeftovers);

const REQUESTS = 200;
const CONCURRENCY = 20;

/** Services and kinds from the root to a span. */
function way(span: FileSpan | undefined, byId: ReadonlyMap<string, FileSpan>): string {
  const names: string[] = [];
  for (let at = span; at; at = byId.get(at.parentSpanId)) names.unshift(`${at.service}/${at.kind}`);
  return names.join(' ');
}

/** The ways of the backend's spans, each with how often it was taken. */
function ways(calls: readonly Call[], spans: readonly FileSpan[]): Record<string, number> {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const counts: Record<string, number> = {};
  for (const call of calls) {
    const span = byId.get(call.serverSpanId);
    assert.equal(span?.traceId, call.traceId);
    const moved = span.parentSpanId !== call.clientSpanId;
    assert.equal(span.attributes['hopspan.original_parent_span_id'], moved ? call.clientSpanId : undefined);
    if (moved) assert.equal(urlPathOf(byId.get(span.parentSpanId)), call.path, "its own request's hop");
    const taken = way(span, byId);
    counts[taken] = (counts[taken] ?? 0) + 1;
  }
  return counts;
}

function urlPathOf(span: FileSpan | undefined): string {
  return new URL(String(span?.attributes['url.full'])).pathname;
}

const JOINED = 'client/CLIENT edge/SERVER edge/CLIENT inner/SERVER inner/CLIENT backend/SERVER';
const CASES: Record<string, Case> = {
  'Envoys that relay bytes, by the address that the backend was called from': {
    ...{ startEdge: startEnvoy, startInner: startEnvoy, http: false, addresses: true },
  },
  'Envoys that speak HTTP themselves, by that address': {
    ...{ startEdge: startEnvoy, startInner: startEnvoy, http: true, addresses: true },
  },
  'Envoys that relay bytes, by time': {
    ...{ startEdge: startEnvoy, startInner: startEnvoy, http: false, addresses: false },
  },
  'HAProxy and nginx, by that address': {
    ...{ startEdge: startHaproxy, startInner: startNginxStream, http: false, addresses: true },
  },
};

type Start = (options: {
  readonly listeners: readonly { readonly upstreamPort: number }[];
  readonly http?: Readonly<Record<string, never>>;
}) => Promise<RunningProxy>;

interface Case {
  readonly startEdge: Start;
  readonly startInner: Start;
  readonly http: boolean;
  readonly addresses: boolean;
  readonly oneCaller?: boolean;
}

/** What a client, two proxies and a backend did, and what hopspan made of it. */
async function runCase(options: Case): Promise<{ calls: Call[]; spans: FileSpan[] }> {
  const { startEdge, startInner, http, ...more } = options;
  const grpc = await freePort();
  const application = await startApplication({ endpoint: `http://127.0.0.1:${grpc}`, ...more });
  const mode = http ? { http: {} } : {};
  const inner = await startInner({ listeners: [{ upstreamPort: application.backendPort }], ...mode });
  const edge = await startEdge({ listeners: [{ upstreamPort: inner.port }], ...mode });
  const hopspan = await startHopspan({
    targets: [
      `{ listen_port: ${edge.port}, service_name: edge }`,
      `{ listen_port: ${inner.port}, service_name: inner }`,
    ],
    receivers: { otlp: `{ protocols: { grpc: { endpoint: '127.0.0.1:${grpc}' } } }` },
    processors: { hop_parent: '' },
  });
  const calls = await application.call(edge.port, REQUESTS, CONCURRENCY);
  await application.stop();
  await edge.stop();
  await inner.stop();
  return { calls, spans: await hopspan.finish() };
}

describe('client → proxy → proxy → backend is one tree', () => {
  for (const [name, options] of Object.entries(CASES)) {
    it(name, async () => {
      const { calls, spans } = await runCase(options);
      assert.deepEqual(ways(calls, spans), { [JOINED]: REQUESTS });
    });
  }
});

describe('many requests under one span of the caller', () => {
  const ENVOYS = { startEdge: startEnvoy, startInner: startEnvoy, http: false, oneCaller: true };
  const under = 'client/INTERNAL edge/SERVER edge/CLIENT inner/SERVER inner/CLIENT backend/SERVER';
  for (const addresses of [true, false]) {
    it(`no span goes under another's hop, ${addresses ? 'by addresses' : 'by time'}`, async () => {
      const { calls, spans } = await runCase({ ...ENVOYS, addresses });
      const { [under]: moved = 0, 'client/INTERNAL backend/SERVER': left = 0 } = ways(calls, spans);
      assert.equal(moved + left, REQUESTS);
      if (addresses) assert.ok(moved > 0);
    });
  }
});
