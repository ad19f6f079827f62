import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Client, credentials, type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { OtlpReceiverConfig } from '../../../../src/config/types.ts';
import { HopspanError } from '../../../../src/errors.ts';
import { classifyFailure } from '../../../../src/exporter/otlp/grpc-failure.ts';
import { toOtlpJson } from '../../../../src/exporter/otlp-json.ts';
import { createOtlpReceiver, type OtlpReceiver } from '../../../../src/receiver/otlp/otlp.ts';
import type { ForeignSpan } from '../../../../src/spans/foreign-span.ts';
import { requestBytes, WHOLE_REQUEST } from '../../../harness/foreign-spans.ts';

const LIMIT = 64 * 1024;
const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';
const GOOD = { traceId: '11'.repeat(16), spanId: '22'.repeat(8) };
const some = (spans: object[]): object => ({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
const HALF_BAD = some([GOOD, { ...GOOD, spanId: '22' }]);
/** Small as gzip, and far too large without. */
const BOMB = gzipSync(requestBytes(some([{ ...GOOD, name: 'x'.repeat(100 * LIMIT) }])));

interface Running {
  readonly receiver: OtlpReceiver;
  readonly taken: ForeignSpan[];
  /** No room while set. */
  full: boolean;
  readonly grpc: string;
  readonly http: string;
}

async function withReceiver(run: (running: Running) => Promise<void>): Promise<void> {
  const taken: ForeignSpan[] = [];
  const listen = { host: '127.0.0.1', port: 0 };
  const config: OtlpReceiverConfig = {
    ...{ type: 'otlp', name: 'otlp' },
    ...{ grpc: { listen, maxMessageBytes: LIMIT }, http: { listen, maxBodyBytes: LIMIT } },
  };
  const running = { taken, full: false };
  const receiver = createOtlpReceiver(config, {
    offer(spans) {
      if (!running.full) taken.push(...spans);
      return !running.full;
    },
  });
  await receiver.start();
  const { grpc = '', http = '' } = receiver.addresses();
  try {
    await run(Object.assign(running, { receiver, grpc, http }));
  } finally {
    await receiver.stop(1000);
  }
}

interface HttpAnswer {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface HttpAsk {
  readonly body?: Uint8Array | string;
  readonly type?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
}

function post(address: string, ask: HttpAsk): Promise<HttpAnswer> {
  const { body = '', type = PROTOBUF, method = 'POST', path = '/v1/traces', headers = {} } = ask;
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      `http://${address}${path}`,
      { method, headers: { 'content-type': type, ...headers } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ code: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function call(
  address: string,
  body: Uint8Array,
  gzip = false,
): Promise<{ error?: ServiceError; answer?: Buffer }> {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.default_compression_algorithm': gzip ? 2 : 0,
  });
  const same = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      same,
      same,
      Buffer.from(body),
      (error: ServiceError | null, answer?: Buffer) => {
        client.close();
        resolve({ ...(error ? { error } : {}), ...(answer ? { answer } : {}) });
      },
    );
  });
}

/** What came in is what was sent, every field. */
function assertWhole(taken: readonly ForeignSpan[]): void {
  assert.deepEqual(JSON.parse(toOtlpJson(taken)), WHOLE_REQUEST);
}

describe('OTLP/HTTP', () => {
  const whole = requestBytes(WHOLE_REQUEST);
  const takes: Record<string, [HttpAsk, string | Buffer]> = {
    protobuf: [{ body: whole }, Buffer.alloc(0)],
    'protobuf, gzip': [{ body: gzipSync(whole), headers: { 'content-encoding': 'gzip' } }, Buffer.alloc(0)],
    json: [{ body: JSON.stringify(WHOLE_REQUEST), type: 'Application/JSON; charset=utf-8' }, '{}'],
    'json, gzip': [
      {
        body: gzipSync(JSON.stringify(WHOLE_REQUEST)),
        type: JSON_TYPE,
        headers: { 'content-encoding': 'gzip' },
      },
      '{}',
    ],
  };
  for (const [name, [ask, answer]] of Object.entries(takes)) {
    test(`takes ${name}, whole`, () =>
      withReceiver(async ({ http, taken, receiver }) => {
        const { code, headers, body } = await post(http, ask);
        assert.equal(code, 200);
        assert.equal(headers['content-type'], ask.type ? JSON_TYPE : PROTOBUF);
        assert.deepEqual(body, Buffer.from(answer));
        assertWhole(taken);
        assert.deepEqual(receiver.stats, { accepted: 1, refused: 0, rejected: 0 });
      }));
  }

  test('an empty request is taken', () =>
    withReceiver(async ({ http }) => {
      assert.equal((await post(http, {})).code, 200);
      assert.equal((await post(http, { body: '{}', type: JSON_TYPE })).code, 200);
    }));

  const refusals: Record<string, [HttpAsk, number]> = {
    'garbage as protobuf': [{ body: 'garbage' }, 400],
    'garbage as json': [{ body: '{"secret', type: JSON_TYPE }, 400],
    'json of another shape': [{ body: '[1]', type: JSON_TYPE }, 400],
    'garbage as gzip': [{ body: 'garbage', headers: { 'content-encoding': 'gzip' } }, 400],
    'gzip cut short': [{ body: BOMB.subarray(0, 40), headers: { 'content-encoding': 'gzip' } }, 400],
    'a small gzip that is large': [{ body: BOMB, headers: { 'content-encoding': 'gzip' } }, 413],
    'a large body': [{ body: Buffer.alloc(LIMIT + 1) }, 413],
    'a large body of unknown length': [
      { body: Buffer.alloc(LIMIT + 1), headers: { 'transfer-encoding': 'chunked' } },
      413,
    ],
    'another content type': [{ body: whole, type: 'text/plain' }, 415],
    'another encoding': [{ body: whole, headers: { 'content-encoding': 'br' } }, 415],
    'another path': [{ body: whole, path: '/v1/metrics' }, 404],
    'another method': [{ method: 'GET' }, 405],
  };
  for (const [name, [ask, code]] of Object.entries(refusals)) {
    test(`refuses ${name}: ${code}, and goes on`, () =>
      withReceiver(async ({ http, taken }) => {
        const answer = await post(http, ask);
        assert.equal(answer.code, code);
        assert.ok(!answer.body.includes('secret'), 'nothing of the body comes back');
        if (ask.type === JSON_TYPE) assert.equal(typeof JSON.parse(answer.body.toString()).message, 'string');
        else assert.equal(answer.body[0], 8, 'a google.rpc.Status');
        assert.equal(taken.length, 0);
        assert.equal((await post(http, { body: whole })).code, 200);
      }));
  }

  test('tells which spans it rejects, in either encoding', () =>
    withReceiver(async ({ http, taken, receiver }) => {
      const json = await post(http, { body: JSON.stringify(HALF_BAD), type: JSON_TYPE });
      assert.equal(json.code, 200);
      assert.equal(JSON.parse(json.body.toString()).partialSuccess.rejectedSpans, '1');
      const protobuf = await post(http, { body: requestBytes(HALF_BAD) });
      assert.deepEqual([protobuf.code, ...protobuf.body.subarray(2, 4)], [200, 8, 1]);
      assert.deepEqual([taken.length, receiver.stats.rejected], [2, 2]);
    }));

  test('without room: 503 and when to come again, and nothing is taken', () =>
    withReceiver(async (running) => {
      running.full = true;
      const { code, headers } = await post(running.http, { body: whole });
      assert.deepEqual([code, headers['retry-after']], [503, '1']);
      assert.deepEqual(running.receiver.stats, { accepted: 0, refused: 1, rejected: 0 });
      running.full = false;
      assert.equal((await post(running.http, { body: whole })).code, 200);
      assertWhole(running.taken);
    }));

  test('senders that stop within a request hold up nobody, and not the end', async () => {
    await withReceiver(async ({ http, taken }) => {
      const port = Number(http.split(':')[1]);
      const slow = await Promise.all(
        Array.from({ length: 50 }, async () => {
          const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
          await new Promise((resolve) => socket.once('connect', resolve));
          socket.write(
            `POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: 500\r\n\r\nx`,
          );
          return socket;
        }),
      );
      assert.equal((await post(http, { body: whole })).code, 200);
      assert.equal(taken.length, 1);
      slow[0]?.resetAndDestroy();
    });
  });
});

describe('OTLP/gRPC', () => {
  const whole = requestBytes(WHOLE_REQUEST);
  for (const gzip of [false, true]) {
    test(`takes a request${gzip ? ' as gzip' : ''}, whole`, () =>
      withReceiver(async ({ grpc, taken }) => {
        const { error, answer } = await call(grpc, whole, gzip);
        assert.equal(error, undefined);
        assert.equal(answer?.length, 0);
        assertWhole(taken);
      }));
  }

  test('refuses garbage, and what is too large, and goes on', () =>
    withReceiver(async ({ grpc, taken }) => {
      assert.equal((await call(grpc, Buffer.from('garbage'))).error?.code, status.INVALID_ARGUMENT);
      assert.equal((await call(grpc, Buffer.alloc(LIMIT + 1))).error?.code, status.RESOURCE_EXHAUSTED);
      const bomb = requestBytes(some([{ ...GOOD, name: 'x'.repeat(100 * LIMIT) }]));
      assert.equal((await call(grpc, bomb, true)).error?.code, status.RESOURCE_EXHAUSTED);
      assert.equal(taken.length, 0);
      assert.equal((await call(grpc, whole)).error, undefined);
    }));

  test('tells which spans it rejects', () =>
    withReceiver(async ({ grpc, taken }) => {
      const { answer } = await call(grpc, requestBytes(HALF_BAD));
      assert.deepEqual([...(answer ?? Buffer.alloc(0)).subarray(2, 4)], [8, 1]);
      assert.equal(taken.length, 1);
    }));

  test("without room: UNAVAILABLE with a time, which hopspan's own exporter understands", () =>
    withReceiver(async (running) => {
      running.full = true;
      const { error } = await call(running.grpc, whole);
      assert.ok(error);
      const { outcome, ...rest } = classifyFailure(error);
      assert.equal(outcome, 'retry');
      assert.equal('afterMs' in rest && rest.afterMs, 1000);
      assert.equal((error.metadata as Metadata).get('grpc-status-details-bin').length, 1);
    }));
});

test('an address that is taken is an error of one sentence', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const listen = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const parts = [{ http: { listen, maxBodyBytes: 1 } }, { grpc: { listen, maxMessageBytes: 1 } }];
  for (const part of parts) {
    const receiver = createOtlpReceiver({ type: 'otlp', name: 'otlp/x', ...part }, { offer: () => true });
    await assert.rejects(receiver.start(), (error) => {
      assert.ok(error instanceof HopspanError && error.code === 'RECEIVER_START_FAILED');
      assert.match(error.message, /otlp\/x cannot listen on 127\.0\.0\.1:\d+ \(.*EADDRINUSE/);
      return true;
    });
    await receiver.stop(1000);
  }
  server.close();
});
