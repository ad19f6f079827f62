import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Exporter } from '../../../src/exporter/exporter.ts';
import { parseHttpEndpoint } from '../../../src/exporter/otlp/endpoint.ts';
import { readAnswer } from '../../../src/exporter/otlp/http-answer.ts';
import { DEFAULT_OTLP_OPTIONS, type OtlpOptions } from '../../../src/exporter/otlp/options.ts';
import { createOtlpExporter } from '../../../src/exporter/otlp/otlp-exporter.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { makeExchange, makeResource } from '../../harness/make-spans.ts';
import { type OtlpSink, type OtlpSinkOptions, startOtlpSink } from '../../harness/otlp-sink.ts';
import { until } from '../../harness/process.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const resource = makeResource('edge');
const QUICK_RETRY = { enabled: true, initialIntervalMs: 5, maxIntervalMs: 20, maxElapsedMs: 0 };

function exchanges(count: number): HopSpan[] {
  return Array.from({ length: count }, (_, n) => makeExchange({ resource, traceNumber: n })).flat();
}

async function startExporter(base: string, options: Partial<OtlpOptions> = {}) {
  const log = createLogLines();
  const exporter = createOtlpExporter(
    'otlphttp',
    {
      ...{ ...DEFAULT_OTLP_OPTIONS, protocol: 'http/protobuf', retry: QUICK_RETRY },
      ...{ endpoint: `${base}/v1/traces`, ...options },
    },
    { log },
  );
  await exporter.start();
  return { exporter, log };
}

async function withSink(run: (sink: OtlpSink) => Promise<void>, options: OtlpSinkOptions = {}) {
  const sink = await startOtlpSink({ ...options, protocol: 'http/protobuf' });
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

for (const compression of ['none', 'gzip'] as const) {
  test(`what arrives, compressed by ${compression}`, () =>
    withSink(async (sink) => {
      const headers = { 'x-tenant': 'blue' };
      const { exporter } = await startExporter(sink.endpoint, { compression, headers });
      const spans = exchanges(150);
      exporter.export(spans);
      const received = await sink.waitForSpans(1200);
      await exporter.shutdown(10_000);
      assert.deepEqual(received.map(({ spanId }) => spanId).sort(), spans.map(({ spanId }) => spanId).sort());
      assert.equal(received[0]?.scope.name, 'hopspan');
      assertStats(exporter, { accepted: 1200, exported: 1200, waiting: 0 });
      const [request] = sink.requests();
      assert.equal(request?.path, '/v1/traces');
      assert.equal(request?.headers['x-tenant'], 'blue');
      assert.equal(request?.headers['content-type'], 'application/x-protobuf');
      assert.equal(request?.headers['content-encoding'], compression === 'gzip' ? 'gzip' : undefined);
      assert.match(request?.headers['user-agent'] ?? '', /^hopspan\/0\.1\.0/);
    }));
}

describe('failures', () => {
  for (const code of [429, 502, 503, 504]) {
    test(`${code} is tried again, and nothing is lost or doubled`, () =>
      withSink(async (sink) => {
        sink.failNext(2, code);
        const { exporter, log } = await startExporter(sink.endpoint);
        exporter.export(exchanges(1));
        await sink.waitForSpans(8);
        await exporter.shutdown(10_000);
        assert.equal(sink.requests().length, 3);
        assertStats(exporter, { exported: 8, dropped: 0 });
        assert.match(
          log.lines[0] ?? '',
          new RegExp(`does not answer \\(HTTP ${code} .*: the sink was told to fail with ${code}\\)`),
        );
      }));
  }

  for (const code of [301, 400, 401, 404, 500, 501]) {
    test(`${code} is final: dropped, said, and the next batch goes on`, () =>
      withSink(async (sink) => {
        sink.failNext(1, code);
        const { exporter, log } = await startExporter(sink.endpoint);
        exporter.export(exchanges(64));
        await sink.waitForRequests(1);
        exporter.export(exchanges(1));
        await exporter.shutdown(10_000);
        assert.equal(sink.requests().length, 2);
        assertStats(exporter, { exported: 8, dropped: 512 });
        assert.match(log.lines[0] ?? '', new RegExp(`HTTP ${code}.*512 dropped so far`));
      }));
  }

  test('partial success: the refused spans count as dropped', () =>
    withSink(async (sink) => {
      sink.rejectNext(1, 3, 'too old');
      const { exporter, log } = await startExporter(sink.endpoint);
      exporter.export(exchanges(1));
      await exporter.shutdown(10_000);
      assertStats(exporter, { exported: 5, dropped: 3 });
      assert.match(log.lines[0] ?? '', /refused some spans \(too old\).*3 dropped/);
    }));

  test('a server that comes up after us, and one that goes away and comes back', async () => {
    const first = await startOtlpSink({ protocol: 'http/protobuf' });
    await first.stop();
    const { port } = first;
    const { exporter, log } = await startExporter(first.endpoint);
    exporter.export(exchanges(100));
    while (log.lines.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.match(
      log.lines[0] ?? '',
      /does not answer \(.*ECONNREFUSED 127\.0\.0\.1:\d+\): 800 spans waiting/,
    );
    const second = await startOtlpSink({ port, protocol: 'http/protobuf' });
    await second.waitForSpans(800);
    await second.stop();
    exporter.export(exchanges(10));
    const third = await startOtlpSink({ port, protocol: 'http/protobuf' });
    await third.waitForSpans(80);
    await exporter.shutdown(10_000);
    await third.stop();
    assertStats(exporter, { exported: 880, dropped: 0 });
  });

  test('a server that never answers: tried again after the timeout', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => void sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert.ok(address && typeof address === 'object');
    const { exporter, log } = await startExporter(`http://127.0.0.1:${address.port}`, { timeoutMs: 50 });
    exporter.export(exchanges(1));
    while (sockets.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.match(log.lines[0] ?? '', /no answer within 0\.05 s/);
    await exporter.shutdown(0);
    server.close();
    for (const socket of sockets) socket.destroy();
    assertStats(exporter, { dropped: 8 });
  });
});

describe('TLS', () => {
  test('a certificate of our own authority', () =>
    withSink(
      async (sink) => {
        const tls = { caFile: sink.caFile ?? '', insecure: false };
        const { exporter } = await startExporter(sink.endpoint, { tls });
        exporter.export(exchanges(1));
        await exporter.shutdown(10_000);
        assert.equal(sink.received().length, 8);
      },
      { tls: true },
    ));

  for (const protocol of ['grpc', 'http/protobuf'] as const) {
    test(`mutual, over ${protocol}: with the client's certificate, and not without`, async (t) => {
      const sink = await startOtlpSink({ tls: true, mutual: true, protocol });
      t.after(() => sink.stop());
      const { caFile = '', keyFile = '' } = sink;
      const start = (tls: OtlpOptions['tls']) =>
        startExporter(sink.endpoint, {
          ...{ protocol, tls },
          ...(protocol === 'grpc' ? { endpoint: sink.endpoint } : {}),
        });
      const known = await start({ caFile, certFile: caFile, keyFile, insecure: false });
      known.exporter.export(exchanges(1));
      await known.exporter.shutdown(10_000);
      assert.equal(sink.received().length, 8);
      const unknown = await start({ caFile, insecure: false });
      unknown.exporter.export(exchanges(1));
      await unknown.exporter.shutdown(300);
      assertStats(unknown.exporter, { dropped: 8 });
      assert.equal(sink.received().length, 8);
    });
  }

  for (const protocol of ['grpc', 'http/protobuf'] as const) {
    test(`certificates that are renewed under the same names, over ${protocol}`, async (t) => {
      const before = await startOtlpSink({ tls: true, mutual: true, protocol });
      t.after(() => before.stop());
      const folder = temporaryFolder(t.after.bind(t));
      const [caFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
      const install = ({ caFile: cert = '', keyFile: key = '' }: OtlpSink): void => {
        copyFileSync(cert, caFile);
        copyFileSync(key, keyFile);
      };
      install(before);
      const { exporter, log } = await startExporter(before.endpoint, {
        ...{ protocol, tls: { caFile, certFile: caFile, keyFile, insecure: false } },
        ...(protocol === 'grpc' ? { endpoint: before.endpoint } : {}),
      });
      exporter.export(exchanges(1));
      await before.waitForSpans(8);
      await before.stop();
      const after = await startOtlpSink({ tls: true, mutual: true, protocol, port: before.port });
      t.after(() => after.stop());
      exporter.export(exchanges(1));
      await until('a refusal', () => log.lines.some((line) => line.includes('does not answer')));
      install(after);
      await after.waitForSpans(8);
      await exporter.shutdown(10_000);
      assertStats(exporter, { exported: 16, dropped: 0 });
    });
  }

  test('a certificate that does not exist is told at the start', () =>
    assert.rejects(
      startExporter('https://localhost:4318', { tls: { caFile: '/none.pem', insecure: false } }),
      { code: 'EXPORTER_START_FAILED', message: /CA file \/none\.pem does not exist/ },
    ));
});

test('start refuses a header that HTTP cannot carry, without telling its value', async () => {
  await assert.rejects(
    startExporter('http://localhost:4318', { headers: { 'bad name': 's3cret' } }),
    (error) => {
      assert.match(String(error), /header "bad name"/);
      assert.doesNotMatch(String(error), /s3cret/);
      return true;
    },
  );
});

describe('answers', () => {
  const answer = (status: number, headers: object, body = '') =>
    readAnswer(
      { status, statusMessage: 'Words', headers: { ...headers }, body: Buffer.from(body, 'hex') },
      Date.UTC(2026, 0, 1, 12, 0, 0),
    );

  for (const [value, ms] of [
    ['7', 7000],
    ['0', 0],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
    ['soon', 0],
    ['-5', 0],
    [undefined, 0],
  ] as const) {
    test(`Retry-After: ${value} is ${ms} ms`, () => {
      const result = answer(503, { 'retry-after': value });
      assert.ok(result.outcome === 'retry');
      assert.equal(result.afterMs, ms);
    });
  }

  const protobuf = { 'content-type': 'application/x-protobuf; charset=x' };
  for (const [what, headers, body] of [
    ['nothing', {}, ''],
    ['bytes that are no message', protobuf, 'ffffffffff'],
    ['a message that ends early', protobuf, '0a7f08'],
    ['another kind of content', { 'content-type': 'text/html' }, '0a020805'],
    ['JSON', { 'content-type': 'application/json' }, '7b7d'],
  ] as const) {
    test(`200 with ${what} is a success`, () =>
      assert.deepEqual(answer(200, headers, body), { outcome: 'taken', rejected: 0, message: '' }));
  }

  test("a server's long words are cut", () => {
    const words = 'x'.repeat(1000);
    const body = Buffer.concat([Buffer.from([0x12, 0xe8, 0x07]), Buffer.from(words)]).toString('hex');
    const result = answer(400, protobuf, body);
    assert.ok(result.outcome === 'refused');
    assert.match(result.reason, /^HTTP 400 Words: x{100,300}…$/);
  });
});

describe('endpoint', () => {
  for (const [endpoint, whole, url] of [
    ['http://localhost:4318', false, 'http://localhost:4318/v1/traces'],
    ['http://localhost:4318/', false, 'http://localhost:4318/v1/traces'],
    ['https://collector.example/otlp', false, 'https://collector.example/otlp/v1/traces'],
    ['https://collector.example/otlp/', false, 'https://collector.example/otlp/v1/traces'],
    ['HTTP://[::1]:4318', false, 'http://[::1]:4318/v1/traces'],
    ['http://localhost:4318', true, 'http://localhost:4318/'],
    ['http://localhost:4318/my/traces', true, 'http://localhost:4318/my/traces'],
  ] as const) {
    test(`${endpoint}${whole ? ' (for traces only)' : ''} is ${url}`, () =>
      assert.equal(parseHttpEndpoint(endpoint, whole), url));
  }

  for (const endpoint of [
    '',
    'localhost:4318',
    'http://',
    'http:///x',
    'ftp://a',
    'http://a:0',
    'http://a:99999',
    'http://user:word@a',
    'http://a/?x=1',
    'http://a/#x',
    'unix:///run/x',
  ]) {
    test(`"${endpoint}" is refused`, () =>
      assert.throws(() => parseHttpEndpoint(endpoint, false), { code: 'CONFIG_INVALID' }));
  }
});
