import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { startHttpBackend } from '../harness/http-backend.ts';
import { type HttpClientOptions, runHttpClient } from '../harness/http-client.ts';
import { judgeHttp } from '../harness/http-match.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';

after(stopLeftovers);

const PROXIES = { Envoy: startEnvoy, nginx: startNginxStream, HAProxy: startHaproxy };
const LOADS: Record<string, Omit<HttpClientOptions, 'port'>> = {
  'kept alive, 1,000 at once': {
    ...{ connections: 2000, concurrency: 1000, requests: 5, traceparent: true },
  },
  'pipelined by five, in pieces of any length': {
    ...{ connections: 300, concurrency: 100, requests: 10, pipelined: 5, pieces: true, traceparent: true },
  },
  'with large bodies': {
    ...{ connections: 200, concurrency: 50, requests: 4, maxBodyBytes: 300_000, traceparent: true },
  },
};

for (const [name, start] of Object.entries(PROXIES)) {
  describe(`HTTP/1 through ${name} as a relay of bytes`, () => {
    for (const [load, options] of Object.entries(LOADS)) {
      it(load, async () => {
        const backend = await startHttpBackend({ maxAnswerBytes: options.maxBodyBytes ?? 2000 });
        const proxy = await start({ listeners: [{ upstreamPort: backend.port }], concurrency: 2 });
        const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
        const sent = await runHttpClient({ port: proxy.port, ...options });
        await proxy.stop();
        const spans = await hopspan.finish();
        await backend.stop();
        const callers = new Set(sent.map(({ traceparent }) => traceparent.slice(36, 52)));
        assert.deepEqual(malformed(spans, callers), []);
        const { hops, loose } = hopsOf(spans);
        assert.equal(loose.length, 0);
        const requests = hops.filter(({ hop }) => !hop.name.startsWith('tcp connection'));
        const verdict = judgeHttp(requests, sent, backend.arrivals);
        assert.deepEqual(verdict, { right: sent.length, wrong: [], missing: 0, surplus: 0 });
        const secrets = JSON.stringify(spans.map(({ attributes }) => attributes)).includes('secret');
        assert.ok(!secrets, 'no query string and no cookie');
      });
    }
  });
}

for (const [name, start] of Object.entries(PROXIES)) {
  it(`HTTP/1 through ${name} that speaks it itself: every request with an id is paired by it`, async () => {
    const backend = await startHttpBackend();
    const proxy = await start({ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
    const load = {
      connections: 1500,
      concurrency: 1000,
      requests: 5,
      maxBodyBytes: 20_000,
      traceparent: true,
    };
    const sent = await runHttpClient({ port: proxy.port, ...load });
    await proxy.stop();
    const spans = await hopspan.finish();
    await backend.stop();
    const callers = new Set(sent.map(({ traceparent }) => traceparent.slice(36, 52)));
    assert.deepEqual(malformed(spans, callers), []);
    const requests = hopsOf(spans).hops.filter(({ hop }) => hop.attributes['http.request.method']);
    const verdict = judgeHttp(requests, sent, backend.arrivals);
    assert.deepEqual(verdict, { right: sent.length, wrong: [], missing: 0, surplus: 0 });
    for (const { hop } of requests) assert.equal(hop.attributes['hopspan.pairing'], 'content');
  });
}

describe('HTTP/1 through a proxy that speaks it itself', () => {
  it('gives no request to another upstream request than its own', async () => {
    const backend = await startHttpBackend({ maxAnswerBytes: 20_000 });
    const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
    const load = { connections: 400, concurrency: 100, requests: 5, maxBodyBytes: 30_000 };
    const sent = await runHttpClient({ port: proxy.port, ...load });
    await proxy.stop();
    const spans = await hopspan.finish();
    await backend.stop();
    assert.deepEqual(malformed(spans), []);
    const { hops, loose } = hopsOf(spans);
    const pathOf = (url: unknown): string => new URL(String(url)).pathname;
    const paths = hops.flatMap(({ hop }) => hop.attributes['url.path'] ?? []).toSorted();
    assert.deepEqual(paths, sent.map(({ id }) => `/${id}/x`).toSorted(), 'every request has its hop');
    const told = [...loose, ...hops.flatMap(({ upstreams }) => upstreams)].flatMap(({ attributes }) =>
      attributes['url.full'] === undefined ? [] : pathOf(attributes['url.full']),
    );
    assert.deepEqual(told.toSorted(), paths, 'and its upstream request');
    for (const { hop, upstreams } of hops) {
      for (const { attributes } of upstreams) {
        assert.equal(pathOf(attributes['url.full']), hop.attributes['url.path']);
      }
    }
  });
});

/** What one client and one server say to each other through Envoy, and the hops of it. */
async function converse(
  talk: (client: Socket) => Promise<void>,
  serve: (socket: Socket, text: string) => void,
): Promise<
  {
    name: string;
    status: unknown;
    outcome: unknown;
    received: unknown;
    sent: unknown;
    path: unknown;
    unparsed?: boolean;
  }[]
> {
  const server = createServer((socket) => {
    socket.on('data', (chunk) => serve(socket, chunk.toString('latin1')));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: address.port }] });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
  const { connect } = await import('node:net');
  const client = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  await new Promise((resolve) => client.once('connect', resolve));
  const closed = new Promise((resolve) => client.once('close', resolve));
  await talk(client);
  client.resume().end();
  await closed;
  await proxy.stop();
  const spans = await hopspan.finish();
  server.close();
  assert.deepEqual(malformed(spans), []);
  return hopsOf(spans)
    .hops.toSorted((a, b) => (a.hop.startNs < b.hop.startNs ? -1 : 1))
    .map(({ hop }) => ({
      name: hop.name.replace(/:\d+/, ''),
      status: hop.attributes['http.response.status_code'],
      outcome: hop.attributes['hopspan.outcome'],
      received: hop.attributes['hopspan.bytes.received'],
      sent: hop.attributes['hopspan.bytes.sent'],
      path: hop.attributes['url.path'],
      ...(hop.attributes['hopspan.unparsed'] ? { unparsed: true } : {}),
    }));
}

/** Sends, and waits for an answer that ends so. */
async function ask(client: Socket, request: string, answerEnd: string): Promise<void> {
  let seen = '';
  const answered = new Promise<void>((resolve, reject) => {
    client.once('close', () => reject(new Error(`closed after "${seen}"`)));
    const look = (chunk: Buffer): void => {
      seen += chunk.toString('latin1');
      if (!seen.endsWith(answerEnd)) return;
      client.off('data', look);
      resolve();
    };
    client.on('data', look);
  });
  client.write(request);
  await answered;
}

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('HTTP/1 in all its forms', () => {
  it('takes 100 Continue and the body after it for one exchange', async () => {
    const head = 'POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n';
    const interim = 'HTTP/1.1 100 Continue\r\n\r\n';
    const hops = await converse(
      async (client) => {
        await ask(client, head, interim);
        await ask(client, 'hello', OK);
        await ask(client, get('/next'), OK);
      },
      (socket, text) => void socket.write(text.startsWith('POST') ? interim : OK),
    );
    const ok = { status: 200, outcome: 'ok' };
    assert.deepEqual(hops, [
      { name: 'POST', ...ok, received: head.length + 5, sent: interim.length + OK.length, path: '/upload' },
      { name: 'GET', ...ok, received: get('/next').length, sent: OK.length, path: '/next' },
    ]);
  });

  it('follows an upgraded connection as bytes', async () => {
    const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\n';
    const request = get('/chat', 'Upgrade: chat\r\nConnection: upgrade\r\n');
    const hops = await converse(
      async (client) => {
        await ask(client, request, upgrade);
        await ask(client, 'frame: hello', 'world');
      },
      (socket, text) => void socket.write(text.startsWith('GET') ? upgrade : 'world'),
    );
    assert.ok(hops.every(({ unparsed }) => !unparsed));
    assert.deepEqual(
      hops.map(({ name, status, received, sent }) => ({ name, status, received, sent })),
      [
        { name: 'GET', status: 101, received: request.length, sent: upgrade.length },
        { name: 'tcp proxy ', status: undefined, received: 12, sent: 5 },
      ],
    );
  });

  it('follows a tunnel as bytes', async () => {
    const established = 'HTTP/1.1 200 Connection established\r\n\r\n';
    const hops = await converse(
      async (client) => {
        await ask(client, 'CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n', established);
        await ask(client, 'query', 'rows');
      },
      (socket, text) => void socket.write(text.startsWith('CONNECT') ? established : 'rows'),
    );
    assert.ok(hops.every(({ unparsed }) => !unparsed));
    assert.deepEqual(
      hops.map(({ name, received, sent }) => ({ name, received, sent })),
      [
        { name: 'CONNECT', received: 43, sent: established.length },
        { name: 'tcp proxy ', received: 5, sent: 4 },
      ],
    );
  });

  it('takes what is no HTTP any more as bytes', async () => {
    const hops = await converse(
      async (client) => {
        await ask(client, get('/first'), OK);
        await ask(client, 'no HTTP\r\n', 'indeed');
      },
      (socket, text) => void socket.write(text.startsWith('GET') ? OK : 'indeed'),
    );
    assert.deepEqual(
      hops.map(({ name, received, sent, unparsed }) => ({ name, received, sent, unparsed })),
      [
        { name: 'GET', received: get('/first').length, sent: OK.length, unparsed: undefined },
        { name: 'tcp proxy ', received: 9, sent: 6, unparsed: true },
      ],
    );
  });

  it('knows an answer that ends with its connection', async () => {
    const hops = await converse(
      (client) =>
        new Promise((resolve) => {
          client.resume().once('end', resolve);
          client.write(get('/all'));
        }),
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\nsome');
        setImmediate(() => socket.end(' more'));
      },
    );
    assert.deepEqual(hops, [
      { name: 'GET', status: 200, outcome: 'ok', received: get('/all').length, sent: 28, path: '/all' },
    ]);
  });

  it('knows a whole answer from a cut one, whoever leaves', async () => {
    const half = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf';
    let upstream: Socket | undefined;
    const serve = (socket: Socket, text: string): void => {
      upstream = socket;
      if (text.includes('/half')) socket.write(half);
      else if (text.includes('/close')) socket.end(half);
      else socket.write(OK);
    };
    const cases: [string, string, (client: Socket) => void][] = [
      ['/half', 'client_aborted', (client) => client.resetAndDestroy()],
      ['/close', 'upstream_closed_early', (client) => client.end()],
      ['/reset', 'ok', () => upstream?.resetAndDestroy()],
      ['/whole', 'ok', (client) => client.resetAndDestroy()],
    ];
    for (const [path, outcome, leave] of cases) {
      const hops = await converse(async (client) => {
        client.on('error', () => {});
        await ask(client, get(path), path === '/half' || path === '/close' ? half : OK);
        leave(client);
      }, serve);
      assert.deepEqual(
        hops.map((hop) => [hop.path, hop.status, hop.outcome]),
        [[path, 200, outcome]],
      );
    }
  });

  it('makes up no status for a client that did not wait', async () => {
    const hops = await converse(
      async (client) => {
        await ask(client, get('/quick'), OK);
        client.write(get('/slow'));
        await new Promise((resolve) => setTimeout(resolve, 100));
        client.resetAndDestroy();
      },
      (socket, text) => void (text.includes('/quick') && socket.write(OK)),
    );
    assert.deepEqual(
      hops.map(({ path, status, outcome }) => ({ path, status, outcome })),
      [
        { path: '/quick', status: 200, outcome: 'ok' },
        { path: '/slow', status: undefined, outcome: 'client_aborted' },
      ],
    );
  });
});
