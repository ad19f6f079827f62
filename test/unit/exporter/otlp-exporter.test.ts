import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import type { Exporter } from '../../../src/exporter/exporter.ts';
import { DEFAULT_OTLP_OPTIONS, type OtlpOptions } from '../../../src/exporter/otlp/options.ts';
import { createOtlpExporter } from '../../../src/exporter/otlp/otlp-exporter.ts';
import type { ForeignSpan } from '../../../src/spans/foreign-span.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeForeign } from '../../harness/foreign-spans.ts';
import { createLogLines, type LogLines } from '../../harness/log-lines.ts';
import { makeExchange, makeResource } from '../../harness/make-spans.ts';
import { type OtlpSink, startOtlpSink } from '../../harness/otlp-sink.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const resource = makeResource('edge');

function exchanges(count: number): HopSpan[] {
  return Array.from({ length: count }, (_, n) => makeExchange({ resource, traceNumber: n })).flat();
}

const QUICK_RETRY = { enabled: true, initialIntervalMs: 5, maxIntervalMs: 20, maxElapsedMs: 0 };

interface Setup {
  readonly exporter: Exporter;
  readonly log: LogLines;
}

async function startExporter(endpoint: string, options: Partial<OtlpOptions> = {}): Promise<Setup> {
  const log = createLogLines();
  const exporter = createOtlpExporter(
    'otlp',
    { ...DEFAULT_OTLP_OPTIONS, retry: QUICK_RETRY, endpoint, ...options },
    { log },
  );
  await exporter.start();
  return { exporter, log };
}

async function withSink(run: (sink: OtlpSink) => Promise<void>, tls = false): Promise<void> {
  const sink = await startOtlpSink({ tls });
  try {
    await run(sink);
  } finally {
    await sink.stop();
  }
}

function assertStats(exporter: Exporter, expected: Partial<ReturnType<Exporter['stats']>>): void {
  const stats = exporter.stats();
  assert.deepEqual({ ...stats, ...expected }, stats);
  assert.equal(stats.accepted, stats.exported + stats.dropped + stats.waiting);
}

describe('what arrives', () => {
  test('every field of a span', () =>
    withSink(async (sink) => {
      const { exporter } = await startExporter(sink.endpoint);
      const [hop, phase] = makeExchange({
        resource,
        parentSpanId: 'abcdefabcdefabcd',
        error: 'no answer',
      }) as [HopSpan, HopSpan];
      const link = { traceId: 'f'.repeat(32), spanId: 'e'.repeat(16), attributes: { why: 'pool' } };
      const event = { name: 'carrier lost', time: hop.start, attributes: { interface: 'eth0' } };
      exporter.export([{ ...hop, links: [link], events: [event], traceState: 'a=1,b=2' }, phase]);
      await exporter.shutdown(10_000);
      const [first, second] = await sink.waitForSpans(2);
      assert.deepEqual(first, {
        traceId: hop.traceId,
        spanId: hop.spanId,
        parentSpanId: 'abcdefabcdefabcd',
        traceState: 'a=1,b=2',
        flags: 0x301,
        name: 'tcp proxy :8000',
        kind: 'SERVER',
        startNs: BigInt(hop.start[0]) * 1_000_000_000n + BigInt(hop.start[1]),
        endNs: BigInt(hop.end[0]) * 1_000_000_000n + BigInt(hop.end[1]),
        attributes: hop.attributes,
        resource: resource.attributes,
        service: 'edge',
        scope: { name: 'hopspan', version: '0.1.0' },
        events: [{ name: 'carrier lost', timeNs: first?.startNs, attributes: { interface: 'eth0' } }],
        links: [link],
        status: { code: 'ERROR', message: 'no answer' },
      });
      assert.equal(second?.kind, 'INTERNAL');
      assert.equal(second?.parentSpanId, hop.spanId);
      assert.equal(second?.flags, 0x101);
      assert.deepEqual(second?.status, { code: 'UNSET', message: '' });
      assertStats(exporter, { name: 'otlp', accepted: 2, exported: 2, dropped: 0, waiting: 0 });
    }));

  test('batches of at most 512 spans, the rest after 200 ms without a shutdown', () =>
    withSink(async (sink) => {
      const { exporter } = await startExporter(sink.endpoint);
      exporter.export(exchanges(150));
      await sink.waitForSpans(1200);
      assert.deepEqual(
        sink
          .requests()
          .map((request) => request.spans)
          .sort((a, b) => b - a),
        [512, 512, 176],
      );
      await exporter.shutdown(10_000);
    }));

  test('headers', () =>
    withSink(async (sink) => {
      const { exporter } = await startExporter(sink.endpoint, { headers: { 'X-Tenant': 'blue' } });
      exporter.export(exchanges(1));
      await exporter.shutdown(10_000);
      assert.equal(sink.requests()[0]?.headers['x-tenant'], 'blue');
      assert.match(sink.requests()[0]?.headers['user-agent'] ?? '', /^hopspan\/0\.1\.0 OTel-OTLP-Exporter/);
    }));

  test('gzip on the wire', async () => {
    let headers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    const server = createServer().on('stream', (stream, received) => {
      headers = received;
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(Buffer.from([0, 0, 0, 0, 0]));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { exporter } = await startExporter(`http://127.0.0.1:${port}`, { compression: 'gzip' });
    exporter.export(exchanges(4));
    await exporter.shutdown(10_000);
    server.close();
    assert.equal(headers['grpc-encoding'], 'gzip');
    const message = Buffer.concat(chunks);
    assert.equal(message[0], 1);
    assert.ok(gunzipSync(message.subarray(5)).includes('tcp proxy :8000'));
    assertStats(exporter, { exported: 32 });
  });
});

describe('TLS', () => {
  const folder = temporaryFolder(after);

  test('a certificate of our own authority', () =>
    withSink(async (sink) => {
      const { exporter } = await startExporter(sink.endpoint, {
        tls: { caFile: sink.caFile ?? '', insecure: false },
      });
      exporter.export(exchanges(1));
      await exporter.shutdown(10_000);
      assert.equal(sink.received().length, 8);
    }, true));

  test('an authority that nobody told us is a failure to retry, and said', () =>
    withSink(async (sink) => {
      const { exporter, log } = await startExporter(sink.endpoint);
      exporter.export(exchanges(1));
      await exporter.shutdown(300);
      assert.equal(sink.received().length, 0);
      assertStats(exporter, { dropped: 8, waiting: 0 });
      assert.match(log.lines[0] ?? '', /self-signed certificate/);
    }, true));

  for (const [what, tls] of [
    ['CA file .*/none.pem does not exist', { caFile: join(folder, 'none.pem') }],
    ['client certificate .*/none.pem does not exist', { certFile: join(folder, 'none.pem'), keyFile: 'x' }],
    ['only one of a client certificate and its key', { certFile: join(folder, 'none.pem') }],
    [
      'cannot use .*/text.pem for TLS',
      { certFile: join(folder, 'text.pem'), keyFile: join(folder, 'text.pem') },
    ],
  ] as const) {
    test(`start says: ${what}`, async () => {
      writeFileSync(join(folder, 'text.pem'), 'not a certificate');
      await assert.rejects(startExporter('https://localhost:4317', { tls: { ...tls, insecure: false } }), {
        name: 'HopspanError',
        code: 'EXPORTER_START_FAILED',
        message: new RegExp(what),
      });
    });
  }

  test('start refuses a header that gRPC cannot carry, without telling its value', async () => {
    await assert.rejects(
      startExporter('http://localhost:4317', { headers: { 'bad name': 's3cret' } }),
      (error) => {
        assert.match(String(error), /header "bad name"/);
        assert.doesNotMatch(String(error), /s3cret/);
        return true;
      },
    );
  });
});

describe('failures', () => {
  test('a retryable status is tried again and nothing is lost or doubled', () =>
    withSink(async (sink) => {
      sink.failNext(3, status.UNAVAILABLE);
      const { exporter, log } = await startExporter(sink.endpoint);
      exporter.export(exchanges(1));
      await sink.waitForSpans(8);
      await exporter.shutdown(10_000);
      assert.equal(sink.received().length, 8);
      assert.equal(sink.requests().length, 4);
      assertStats(exporter, { exported: 8, dropped: 0 });
      assert.deepEqual(
        log.lines.map((line) => line.replace(/\d+\.\d s/, 'N s')),
        [
          `warn Exporter otlp: ${sink.endpoint} does not answer (UNAVAILABLE: the sink was told to fail with 14): 8 spans waiting, 0 dropped so far.`,
          `info Exporter otlp: ${sink.endpoint} answers again after N s: 0 spans waiting, 0 dropped so far.`,
        ],
      );
    }));

  for (const code of [status.INVALID_ARGUMENT, status.UNAUTHENTICATED, status.RESOURCE_EXHAUSTED]) {
    test(`${status[code]} is final: dropped, said, and the next batch goes on`, () =>
      withSink(async (sink) => {
        sink.failNext(1, code);
        const { exporter, log } = await startExporter(sink.endpoint);
        exporter.export(exchanges(64));
        await sink.waitForRequests(1);
        exporter.export(exchanges(1));
        await exporter.shutdown(10_000);
        assert.equal(sink.requests().length, 2);
        assertStats(exporter, { exported: 8, dropped: 512 });
        assert.match(log.lines[0] ?? '', new RegExp(`${status[code]}.*512 dropped so far`));
      }));
  }

  test('RESOURCE_EXHAUSTED with a RetryInfo is tried again', () =>
    withSink(async (sink) => {
      sink.failNext(1, status.RESOURCE_EXHAUSTED, 3);
      const { exporter } = await startExporter(sink.endpoint);
      exporter.export(exchanges(1));
      await exporter.shutdown(10_000);
      assertStats(exporter, { exported: 8, dropped: 0 });
    }));

  test('retry off: dropped at the first failure', () =>
    withSink(async (sink) => {
      sink.failNext(1, status.UNAVAILABLE);
      const { exporter } = await startExporter(sink.endpoint, { retry: { ...QUICK_RETRY, enabled: false } });
      exporter.export(exchanges(1));
      await exporter.shutdown(10_000);
      assertStats(exporter, { exported: 0, dropped: 8 });
    }));

  test('partial success: the refused spans count as dropped', () =>
    withSink(async (sink) => {
      sink.rejectNext(1, 3, 'too old');
      const { exporter, log } = await startExporter(sink.endpoint);
      exporter.export(exchanges(1));
      await exporter.shutdown(10_000);
      assertStats(exporter, { exported: 5, dropped: 3 });
      assert.equal(sink.requests().length, 1);
      assert.match(log.lines[0] ?? '', /refused some spans \(too old\).*3 dropped/);
    }));

  test('a partial success that refuses nothing is a warning', () =>
    withSink(async (sink) => {
      sink.rejectNext(1, 0, 'use the new field');
      const { exporter, log } = await startExporter(sink.endpoint);
      exporter.export(exchanges(1));
      await exporter.shutdown(10_000);
      assertStats(exporter, { exported: 8, dropped: 0 });
      assert.match(log.lines[0] ?? '', /^warn .*use the new field/);
    }));

  test('a server that comes up after us gets everything', async () => {
    const first = await startOtlpSink();
    const { port, endpoint } = first;
    await first.stop();
    const { exporter, log } = await startExporter(endpoint);
    exporter.export(exchanges(100));
    while (log.lines.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.match(
      log.lines[0] ?? '',
      /does not answer \(UNAVAILABLE: .*ECONNREFUSED 127\.0\.0\.1:\d+\): 800 spans waiting, 0 dropped/,
    );
    const sink = await startOtlpSink({ port });
    await sink.waitForSpans(800);
    await exporter.shutdown(10_000);
    await sink.stop();
    assertStats(exporter, { exported: 800, dropped: 0 });
    assert.equal(new Set(sink.received().map((span) => span.spanId)).size, 800);
    assert.equal(log.lines.filter((line) => line.startsWith('warn')).length, 1);
    assert.equal(log.lines.filter((line) => line.startsWith('info')).length, 1);
  });

  test('a full queue drops what comes on top, and says so once', () =>
    withSink(async (sink) => {
      sink.hang();
      const { exporter, log } = await startExporter(sink.endpoint, { queueSize: 1000 });
      for (let n = 0; n < 10; n++) exporter.export(exchanges(50));
      assertStats(exporter, { accepted: 4000, dropped: 3000, waiting: 1000, exported: 0 });
      assert.deepEqual(log.lines, [
        `warn Exporter otlp: ${sink.endpoint} is too slow for the queue of 1000: 1000 spans waiting, 200 dropped so far.`,
      ]);
      sink.resume();
      await exporter.shutdown(10_000);
      assertStats(exporter, { exported: 1000, dropped: 3000 });
      assert.match(log.lines.at(-1) ?? '', /3000 dropped so far/);
    }));
});

describe('shutdown', () => {
  test('gives up at its deadline and counts the rest as dropped', () =>
    withSink(async (sink) => {
      sink.hang();
      const { exporter, log } = await startExporter(sink.endpoint);
      exporter.export(exchanges(1));
      await exporter.shutdown(50);
      assertStats(exporter, { dropped: 8, waiting: 0 });
      assert.match(log.lines[0] ?? '', /did not take the last 8 spans within 0.05 s/);
      exporter.export(exchanges(1));
      assertStats(exporter, { accepted: 16, dropped: 16 });
    }));

  test('may be called twice, and before anything was sent', () =>
    withSink(async (sink) => {
      const { exporter } = await startExporter(sink.endpoint);
      await Promise.all([exporter.shutdown(10_000), exporter.shutdown(10_000)]);
      assert.equal(sink.requests().length, 0);
    }));
});

describe("applications' spans", () => {
  const long = (n: number, length: number): ForeignSpan =>
    makeForeign({
      ...{ traceId: '11'.repeat(16), spanId: n.toString(16).padStart(16, '0') },
      ...{ fromUs: 0, toUs: 1, attributes: { text: 'x'.repeat(length) } },
    });
  const MIB = 1024 * 1024;

  test('long ones go out in more requests, of which each is no longer than servers take', () =>
    withSink(async (sink) => {
      const { exporter } = await startExporter(sink.endpoint);
      exporter.export(Array.from({ length: 12 }, (_, n) => long(n + 1, 0.5 * MIB)));
      await sink.waitForSpans(12);
      assert.deepEqual(
        sink.requests().map(({ spans, code }) => [spans, code]),
        Array.from({ length: 4 }, () => [3, status.OK]),
      );
      await exporter.shutdown(1000);
    }));

  test('have no room where many bytes wait, however few they are', () =>
    withSink(async (sink) => {
      sink.hang();
      const { exporter } = await startExporter(sink.endpoint, { timeoutMs: 60_000 });
      let taken = 0;
      for (; taken < 200 && exporter.hasRoom(1); taken++) exporter.export([long(taken + 1, MIB)]);
      assert.ok(taken > 60 && taken < 80, `${taken} spans of 1 MiB`);
      sink.resume();
      await exporter.shutdown(20_000);
      assertStats(exporter, { exported: taken, dropped: 0 });
    }));
});
