import assert from 'node:assert/strict';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type ServerHttp2Stream,
} from 'node:http2';
import { after, describe, it } from 'node:test';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { type HttpArrival, startHttpBackend } from '../harness/http-backend.ts';
import { runHttpClient } from '../harness/http-client.ts';
import { judgeHttp } from '../harness/http-match.ts';
import { judgePairs } from '../harness/http-truth.ts';
import { startHttp2Backend } from '../harness/http2-backend.ts';
import { type Http2ClientOptions, runHttp2Client } from '../harness/http2-client.ts';
import { stopLeftovers } from '../harness/process.ts';
import {
  http2Cluster,
  type RunningProxy,
  startEnvoy,
  startHaproxy,
  startNginxStream,
} from '../harness/proxies.ts';

after(stopLeftovers);

const RELAYS = { Envoy: startEnvoy, nginx: startNginxStream, HAProxy: startHaproxy };
/** 1,000 at a time. */
const LOAD: Omit<Http2ClientOptions, 'port'> = {
  ...{ connections: 20, streams: 50, requests: 150, maxBodyBytes: 5000, traceparent: true },
};

for (const grpc of [false, true]) {
  const kind = grpc ? 'gRPC' : 'HTTP/2';
  for (const [name, start] of Object.entries(RELAYS)) {
    it(`${kind} through ${name} as a relay of bytes, 1,000 at once`, async () => {
      const backend = await startHttp2Backend({ maxAnswerBytes: 5000 });
      const proxy = await start({ listeners: [{ upstreamPort: backend.port }], concurrency: 2 });
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      const sent = await runHttp2Client({ port: proxy.port, ...LOAD, grpc });
      await proxy.stop();
      const spans = await hopspan.finish();
      await backend.stop();
      const callers = new Set(sent.map(({ traceparent }) => traceparent.slice(36, 52)));
      assert.deepEqual(malformed(spans, callers), []);
      const { hops, loose } = hopsOf(spans);
      assert.equal(loose.length, 0);
      const verdict = judgeHttp(hops, sent, backend.arrivals);
      assert.deepEqual(verdict, { right: sent.length, wrong: [], missing: 0, surplus: 0 });
      for (const { hop } of hops) assert.equal(hop.attributes['hopspan.pairing'], 'buffer');
      const secrets = JSON.stringify(spans.map(({ attributes }) => attributes)).includes('secret');
      assert.ok(!secrets, 'no query string and no cookie');
    });
  }

  it(`${kind} through Envoy that speaks it itself, 1,000 at once to three backends`, async () => {
    const backends = await Promise.all([1, 1, 1].map((seed) => startHttp2Backend({ seed })));
    const ports = backends.map(({ port }) => port);
    const proxy = await startEnvoy({
      ...{ listeners: [{ upstreamPort: ports[0] as number }], concurrency: 2, http: {} },
      cluster: http2Cluster(ports),
    });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
    const sent = await runHttp2Client({ port: proxy.port, ...LOAD, grpc });
    await proxy.stop();
    const spans = await hopspan.finish();
    for (const backend of backends) await backend.stop();
    const callers = new Set(sent.map(({ traceparent }) => traceparent.slice(36, 52)));
    assert.deepEqual(malformed(spans, callers), []);
    const arrivals = backends.flatMap((backend) => backend.arrivals);
    const verdict = judgeHttp(hopsOf(spans).hops, sent, arrivals);
    assert.deepEqual(verdict, { right: sent.length, wrong: [], missing: 0, surplus: 0 });
  });
}

/** Shares of the requests that must be right, and may be wrong. */
const WITHOUT_IDS: Record<string, { client: Partial<Http2ClientOptions>; right: number; wrong: number }> = {
  'HTTP/2, different paths': { client: { path: (id) => `/items/${id}` }, right: 0.9999, wrong: 0 },
  'gRPC, different methods': {
    client: { grpc: true, path: (id) => `/shop.Items/Get${id}` },
    right: 0.9999,
    wrong: 0,
  },
  'gRPC, one method for all': {
    client: { grpc: true, path: () => '/shop.Items/Get' },
    right: 0,
    wrong: 0.0001,
  },
};

describe('requests without an id through Envoy that speaks HTTP/2, 1,000 at once', () => {
  for (const [name, { client, right, wrong }] of Object.entries(WITHOUT_IDS)) {
    it(name, async (t) => {
      const backends = await Promise.all([1, 1, 1].map((seed) => startHttp2Backend({ seed })));
      const ports = backends.map(({ port }) => port);
      const proxy = await startEnvoy({
        ...{ listeners: [{ upstreamPort: ports[0] as number }], concurrency: 2, http: {} },
        cluster: http2Cluster(ports),
      });
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      const sent = await runHttp2Client({ port: proxy.port, ...LOAD, traceparent: false, ...client });
      await proxy.stop();
      const spans = await hopspan.finish();
      for (const backend of backends) await backend.stop();
      assert.deepEqual(malformed(spans).slice(0, 5), []);
      const arrivals = backends.flatMap((backend) => backend.arrivals);
      const verdict = judgePairs(spans, sent, arrivals);
      t.diagnostic(JSON.stringify(verdict));
      assert.ok(verdict.right >= right * sent.length, JSON.stringify(verdict));
      assert.ok(verdict.wrong <= wrong * sent.length, JSON.stringify(verdict));
      assert.equal(verdict.missing, 0);
    });
  }
});

describe('through Envoy that translates', () => {
  it('HTTP/1 to HTTP/2, 500 at once', async () => {
    const backend = await startHttp2Backend();
    const proxy = await startEnvoy({
      ...{ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} },
      cluster: http2Cluster(),
    });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
    const load = { connections: 1000, concurrency: 500, requests: 5 };
    const sent = await runHttpClient({ port: proxy.port, ...load });
    await proxy.stop();
    const spans = await hopspan.finish();
    await backend.stop();
    const requests = hopsOf(spans).hops.filter(({ hop }) => hop.attributes['http.request.method']);
    const verdict = judgeHttp(requests, sent, backend.arrivals);
    assert.deepEqual(verdict, { right: sent.length, wrong: [], missing: 0, surplus: 0 });
  });

  it('HTTP/2 to HTTP/1, 500 at once', async () => {
    const backend = await startHttpBackend();
    const proxy = await startEnvoy({
      ...{ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} },
    });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
    const sent = await runHttp2Client({ port: proxy.port, ...LOAD, streams: 25, traceparent: false });
    await proxy.stop();
    const spans = await hopspan.finish();
    await backend.stop();
    const verdict = judgeHttp(hopsOf(spans).hops, sent, backend.arrivals);
    assert.deepEqual(verdict, { right: sent.length, wrong: [], missing: 0, surplus: 0 });
  });
});

it('HTTP/2 to HTTP/1 through nginx, 200 at once', async () => {
  const backend = await startHttpBackend();
  const listeners = [{ upstreamPort: backend.port }];
  await judgeLoad(await startNginxStream({ listeners, http: {}, http2: true }), backend, {
    ...{ connections: 4, streams: 50, requests: 400 },
  });
});

for (const grpc of [false, true]) {
  it(`${grpc ? 'gRPC' : 'HTTP/2'} through HAProxy that speaks it itself, 200 at once`, async () => {
    const backend = await startHttp2Backend();
    const listeners = [{ upstreamPort: backend.port }];
    await judgeLoad(await startHaproxy({ listeners, http: {}, http2: true }), backend, {
      ...{ connections: 4, streams: 50, requests: 400, grpc },
    });
  });
}

/** Every request of this load through the proxy must be told right. */
async function judgeLoad(
  proxy: RunningProxy,
  backend: { readonly arrivals: readonly HttpArrival[]; stop(): Promise<void> },
  load: Omit<Http2ClientOptions, 'port'>,
): Promise<void> {
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
  const sent = await runHttp2Client({ port: proxy.port, maxBodyBytes: 5000, traceparent: true, ...load });
  await proxy.stop();
  const spans = await hopspan.finish();
  await backend.stop();
  const callers = new Set(sent.map(({ traceparent }) => traceparent.slice(36, 52)));
  assert.deepEqual(malformed(spans, callers).slice(0, 5), []);
  const requests = hopsOf(spans).hops.filter(({ hop }) => hop.attributes['network.protocol.name'] === 'http');
  const verdict = judgeHttp(requests, sent, backend.arrivals);
  assert.deepEqual(verdict, { right: sent.length, wrong: [], missing: 0, surplus: 0 });
}

/** What one client and one server say to each other through Envoy, and the hops of it. */
async function converse(
  options: { readonly http?: object; readonly later?: boolean },
  talk: (session: ClientHttp2Session) => Promise<void>,
  serve: (stream: ServerHttp2Stream, path: string) => void,
): Promise<{ name: string; path: unknown; status: unknown; outcome: unknown; pairing: unknown }[]> {
  const server = createServer();
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    serve(stream, headers[':path'] ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  const { http } = options;
  const proxy = await startEnvoy({
    listeners: [{ upstreamPort: address.port }],
    ...(http ? { http: {}, cluster: http2Cluster() } : {}),
  });
  const watch = (): ReturnType<typeof startHopspan> =>
    startHopspan({ targets: [`listen_port: ${proxy.port}`] });
  const early = options.later ? undefined : await watch();
  const session = connect(`http://127.0.0.1:${proxy.port}`);
  session.on('error', () => {});
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  if (options.later) await get(session, '/before');
  const hopspan = early ?? (await watch());
  await talk(session);
  if (!session.destroyed) await new Promise<void>((resolve) => session.close(resolve));
  await proxy.stop();
  const spans = await hopspan.finish();
  server.close();
  assert.deepEqual(malformed(spans), []);
  return hopsOf(spans)
    .hops.toSorted((a, b) => (a.hop.startNs < b.hop.startNs ? -1 : 1))
    .filter(({ hop }) => hop.name !== `tcp proxy :${proxy.port}`)
    .map(({ hop }) => ({
      name: hop.name,
      path: hop.attributes['url.path'],
      status: hop.attributes['http.response.status_code'],
      outcome: hop.attributes['hopspan.outcome'],
      pairing: hop.attributes['hopspan.pairing'],
    }));
}

/** Asks, and waits until the stream is closed; `act` may do something with it first. */
async function get(
  session: ClientHttp2Session,
  path: string,
  act: (stream: ClientHttp2Stream) => void = () => {},
): Promise<void> {
  const stream = session.request({ ':path': path });
  stream.on('error', () => {});
  stream.resume();
  act(stream);
  await new Promise((resolve) => stream.once('close', resolve));
}

for (const http of [undefined, {}]) {
  const mode = http ? { http } : {};

  describe(`HTTP/2 through Envoy that ${http ? 'speaks it itself' : 'relays bytes'}: streams that end otherwise`, () => {
    it('are reset by the client, before the answer and in the midst of it', async () => {
      const arrived = Promise.withResolvers<void>();
      const hops = await converse(
        mode,
        async (session) => {
          await get(session, '/whole');
          await get(session, '/before', (stream) => {
            void arrived.promise.then(() => stream.close(constants.NGHTTP2_CANCEL));
          });
          await get(session, '/midst', (stream) => {
            stream.once('data', () => stream.close(constants.NGHTTP2_CANCEL));
          });
          await get(session, '/last');
        },
        (stream, path) => {
          if (path === '/before') {
            arrived.resolve();
            return;
          }
          stream.respond({ ':status': 200 });
          if (path === '/midst') stream.write('half');
          else stream.end('whole');
        },
      );
      assert.deepEqual(
        hops.map(({ path, status, outcome }) => ({ path, status, outcome })),
        [
          { path: '/whole', status: 200, outcome: 'ok' },
          { path: '/before', status: undefined, outcome: 'client_aborted' },
          { path: '/midst', status: 200, outcome: 'client_aborted' },
          { path: '/last', status: 200, outcome: 'ok' },
        ],
      );
    });

    it('are reset by the upstream, before the answer and in the midst of it', async () => {
      const hops = await converse(
        mode,
        async (session) => {
          await get(session, '/before');
          await get(session, '/midst');
          await get(session, '/last');
        },
        (stream, path) => {
          if (path === '/before') {
            stream.close(constants.NGHTTP2_INTERNAL_ERROR);
            return;
          }
          stream.respond({ ':status': 200 });
          if (path === '/last') stream.end('whole');
          else stream.write('half', () => stream.destroy(new Error('reset')));
        },
      );
      /* Envoy answers by itself where it still can. */
      const before = { status: http ? 503 : undefined, outcome: 'upstream_reset' };
      assert.deepEqual(
        hops.map(({ path, status, outcome }) => ({ path, status, outcome })),
        [
          { path: '/before', ...before },
          { path: '/midst', status: 200, outcome: 'upstream_reset' },
          { path: '/last', status: 200, outcome: 'ok' },
        ],
      );
    });

    it('are cut off by the end of their connection', async () => {
      const arrived = Promise.withResolvers<void>();
      const hops = await converse(
        mode,
        async (session) => {
          await get(session, '/whole');
          const open = get(session, '/open');
          await arrived.promise;
          session.socket.destroy();
          await open;
        },
        (stream, path) => {
          if (path === '/open') {
            arrived.resolve();
            return;
          }
          stream.respond({ ':status': 200 });
          stream.end('whole');
        },
      );
      assert.deepEqual(
        hops.map(({ path, status, outcome }) => ({ path, status, outcome })),
        [
          { path: '/whole', status: 200, outcome: 'ok' },
          { path: '/open', status: undefined, outcome: 'client_aborted' },
        ],
      );
    });

    it('go on where hopspan came later than their connection', async () => {
      const hops = await converse(
        { ...mode, later: true },
        async (session) => {
          await get(session, '/first');
          await get(session, '/second');
        },
        (stream) => {
          stream.respond({ ':status': 200 });
          stream.end('whole');
        },
      );
      assert.deepEqual(
        hops.map(({ path, status, outcome }) => ({ path, status, outcome })),
        [
          { path: '/first', status: 200, outcome: 'ok' },
          { path: '/second', status: 200, outcome: 'ok' },
        ],
      );
    });
  });
}
