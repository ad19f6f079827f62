import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { type BalanceWindow, createBalance } from '../../../src/balance/balance.ts';
import { SIDE_FLAGS } from '../../../src/records.gen.ts';
import { createHopMetrics } from '../../../src/telemetry/hop-metrics.ts';
import { startMetrics } from '../../../src/telemetry/metrics.ts';
import { makeProxy } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const raw = (value: Buffer): Buffer => value;
/** The one method of the OTLP metrics service, its messages left as bytes. */
const METRICS_SERVICE = {
  export: {
    path: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  },
} as const;

interface MetricsSink {
  readonly endpoint: string;
  readonly received: readonly Buffer[];
  stop(): void;
}

async function startHttpSink(): Promise<MetricsSink> {
  const received: Buffer[] = [];
  const server = createServer((request, response) => {
    assert.deepEqual([request.url, request.headers['content-type']], ['/any/path', 'application/x-protobuf']);
    request.on('data', (chunk: Buffer) => received.push(chunk)).on('end', () => response.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}/any/path`,
    received,
    stop: () => void server.close().closeAllConnections(),
  };
}

async function startGrpcSink(): Promise<MetricsSink> {
  const received: Buffer[] = [];
  const server = new Server();
  server.addService(METRICS_SERVICE, {
    export(call: { request: Buffer }, answer: (error: null, value: Buffer) => void) {
      received.push(call.request);
      answer(null, Buffer.alloc(0));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { endpoint: `http://127.0.0.1:${port}`, received, stop: () => server.forceShutdown() };
}

describe("hopspan's own metrics", () => {
  for (const [protocol, startSink] of [
    ['grpc', startGrpcSink],
    ['http/protobuf', startHttpSink],
  ] as const) {
    it(`go out over OTLP by ${protocol}, the last figures at the end`, async () => {
      const sink = await startSink();
      process.env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT = sink.endpoint;
      const counters = {
        ringFull: 3,
        tableFull: 0,
        storageFailed: 0,
        targetsFull: 0,
        pairConflicts: 0,
        sampleMismatches: 0,
        undrained: 0,
        turnsRefused: 0,
        freezesFull: 0,
        networkEventsLost: 0,
      };
      const balance = createBalance((window) => record(window));
      let record: (window: BalanceWindow) => void = () => {};
      const hopMetrics = createHopMetrics();
      const sources = {
        families: hopMetrics.families,
        records: () => 12,
        lost: () => [counters],
        correlated: () => [{ hops: 7, contradictions: 0, ambiguous: 1 }],
        received: () => [{ name: 'otlp/apps', stats: { accepted: 5, refused: 2, rejected: 1 } }],
        processed: () => [
          { pipeline: 'traces', name: 'hop_parent', stats: { moved: 4, undecided: 1, hurried: 0 } },
        ],
        balance,
        onWindow: (tell: (window: BalanceWindow) => void) => {
          record = tell;
        },
        exported: () => [{ name: 'otlp', accepted: 9, exported: 8, dropped: 1, waiting: 0, stored: 0 }],
        reloads: () => ({ succeeded: 3, failed: 1, lastSuccessful: false, lastSuccessS: 1.7e9 }),
      };
      const end = await startMetrics(sources, {
        readers: [{ kind: 'otlp' }],
        buckets: 'explicit',
        protocol,
        intervalMs: 60_000,
        serve: () => assert.fail('no page'),
      });
      const proxy = makeProxy({ serviceName: 'edge' });
      const carried = { flags: SIDE_FLAGS.EXCHANGE, exchange: 1 };
      const hop = { downstream: downstreamRecord(carried), upstream: upstreamRecord(carried), proxy };
      balance.add(hopOf(hop));
      hopMetrics.add(hopOf(hop));
      balance.flush();
      await end();
      sink.stop();
      const text = Buffer.concat(sink.received).toString('latin1');
      for (const word of [
        'hopspan.records.lost',
        'hopspan.config.reloads',
        'hopspan.config.last_reload_successful',
        'hopspan.config.last_reload_success_timestamp',
        'hopspan.hop.duration',
        'hopspan.outcomes',
        'process.cpu.time',
        'ringFull',
        'hopspan.hops',
        'hopspan.exporter.spans',
        'dropped',
        'hopspan.exporter.queue.stored',
        'hopspan.receiver.spans',
        'otlp/apps',
        'hopspan.processor.items',
        'undecided',
        'hopspan.listener.requests',
        'hopspan.upstream.requests',
        '127.0.0.1:9000',
        'hopspan.connection.requests',
        'hopspan.connection.share',
        'hopspan.balance.pinned',
      ]) {
        assert.ok(text.includes(word), `${word} was sent`);
      }
      assert.ok(text.includes('service.name') && text.includes('hopspan'));
    });
  }
});
