import assert from 'node:assert/strict';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type FileSpan, hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { startChild, stopLeftovers } from '../harness/process.ts';
import { http2Cluster, startEnvoy, startNginxStream } from '../harness/proxies.ts';

const servers: { close(): unknown }[] = [];
after(async () => {
  for (const server of servers) server.close();
  await stopLeftovers();
});

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const READY_MS = 60_000;
const CALLER = '1111111111111111';
const REQUEST = [
  'GET /api/users?token=secret-query HTTP/1.1',
  'Host: app.test',
  `traceparent: 00-${'a'.repeat(32)}-${CALLER}-01`,
  'X-Tenant: secret-tenant',
  'x-internal: secret-internal',
  'Cookie: secret-cookie',
  'User-Agent: harness',
];
const ANSWER = [
  'HTTP/1.1 200 OK',
  'Content-Length: 2',
  'server: secret-server',
  'X-Backend-Name: secret-backend',
  'set-cookie: secret-answer',
];

/** First line, and names as on the wire with their values, of the head that a text begins with. */
interface RawHead {
  readonly first: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

function readHead(text: string): RawHead {
  const [first = '', ...lines] = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n');
  return { first, fields: lines.map((line) => /^([^:]*): ?(.*)$/s.exec(line)?.slice(1) as [string, string]) };
}

/** What became of the names of a head on its way, by comparing the values themselves. */
function truth(before: RawHead, after: RawHead): Record<string, string[]> {
  const find = ({ fields }: RawHead, name: string) =>
    fields.find(([other]) => other.toLowerCase() === name.toLowerCase());
  const names = ({ fields }: RawHead): string[] => fields.map(([name]) => name);
  const kept = before.fields.flatMap(([name, value]) => {
    const [newName, newValue] = find(after, name) ?? [];
    return newName === undefined ? [] : [{ name, value, newName, newValue }];
  });
  return {
    added: names(after).filter((name) => !find(before, name)),
    removed: names(before).filter((name) => !find(after, name)),
    recased: kept.flatMap(({ name, newName }) => (newName === name ? [] : [`${name} → ${newName}`])),
    rewritten: kept.flatMap(({ value, newName, newValue }) => (newValue === value ? [] : [newName])),
  };
}

const sorted = (lists: Record<string, string[]>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(lists).map(([kind, names]) => [kind, names.toSorted()]));

function told(hop: FileSpan, prefix: string): Record<string, unknown> {
  const kinds = ['added', 'removed', 'recased', 'rewritten'];
  return Object.fromEntries(kinds.map((kind) => [kind, hop.attributes[`${prefix}.${kind}`] ?? []]));
}

interface Seen {
  readonly asked: RawHead;
  /** Of HTTP/2 with the authority as Host. */
  readonly arrived: RawHead;
  readonly answered: RawHead;
  readonly got: RawHead;
  readonly spans: FileSpan[];
  readonly hop: FileSpan;
}

async function listen(server: Pick<Server, 'listen' | 'address'>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** A backend that keeps the head it gets. */
async function startRawBackend(isHttp2: boolean): Promise<{ port: number; arrived(): RawHead }> {
  let arrived: RawHead | undefined;
  const http1 = createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (!text.endsWith('\r\n\r\n')) return;
      arrived = readHead(text);
      socket.write(`${ANSWER.join('\r\n')}\r\n\r\nok`);
    });
  });
  const http2 = createHttp2Server();
  http2.on('stream', (stream, _headers, _flags, raw: unknown) => {
    const list = raw as string[];
    const all = list.flatMap((name, at): [string, string][] =>
      at % 2 === 0 ? [[name === ':authority' ? 'host' : name, list[at + 1] ?? '']] : [],
    );
    const path = all.find(([name]) => name === ':path')?.[1] ?? '';
    arrived = { first: `GET ${path} HTTP/2`, fields: all.filter(([name]) => !name.startsWith(':')) };
    stream.respond({ ':status': 200, server: 'secret-server', 'x-backend-name': 'secret-backend' });
    stream.end('ok');
  });
  const server = isHttp2 ? http2 : http1;
  servers.push(server);
  const port = await listen(server);
  return {
    port,
    arrived() {
      assert.ok(arrived, 'nothing arrived');
      return arrived;
    },
  };
}

/** One request, on a connection of its own; the whole text of the answer. */
function ask(port: number, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (/\r\n\r\n.*ok/s.test(text)) socket.end();
    });
    socket.once('close', () => resolve(text));
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  });
}

type Start = (upstreamPort: number) => Promise<{ port: number; stop(): Promise<void> }>;

async function askThrough(
  start: Start,
  { isOn = true, isHttp2 = false, request = REQUEST } = {},
): Promise<Seen> {
  const backend = await startRawBackend(isHttp2);
  const proxy = await start(backend.port);
  const receiver = isOn ? { header_diff: 'true' } : {};
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`], receiver });
  const got = await ask(proxy.port, request);
  await proxy.stop();
  const spans = await hopspan.finish();
  assert.deepEqual(malformed(spans, new Set([CALLER])), []);
  assert.doesNotMatch(JSON.stringify(spans.map(({ attributes }) => attributes)), /secret-(?!headers)/);
  const { hops } = hopsOf(spans);
  const [hop] = hops.flatMap(({ hop }) => (hop.attributes['http.request.method'] ? [hop] : []));
  assert.ok(hop);
  const [asked, answered] = [request, ANSWER].map((lines) => readHead(`${lines.join('\r\n')}\r\n\r\n`));
  assert.ok(asked && answered);
  return { asked, arrived: backend.arrived(), answered, got: readHead(got), spans, hop };
}

function isAsTruth({ asked, arrived, answered, got, hop }: Seen): void {
  assert.deepEqual(told(hop, 'hopspan.headers'), sorted(truth(asked, arrived)));
  assert.deepEqual(told(hop, 'hopspan.response.headers'), sorted(truth(answered, got)));
}

const envoy =
  (http: Readonly<Record<string, unknown>>, cluster: Readonly<Record<string, unknown>> = {}): Start =>
  (upstreamPort) =>
    startEnvoy({ listeners: [{ upstreamPort }], http, cluster });

const PROPER = { header_key_format: { proper_case_words: {} } };
/** Envoy's cluster spells names as people write them. */
const PROPER_CLUSTER = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http_protocol_options: PROPER },
    },
  },
};
const EDITS = {
  request_headers_to_add: [
    { header: { key: 'x-edge', value: 'secret-edge' } },
    { header: { key: 'x-tenant', value: 'secret' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
  ],
  request_headers_to_remove: ['x-internal'],
  response_headers_to_remove: ['set-cookie'],
};

function routes(route: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const to = { cluster: 'upstream_0', ...route };
  const host = { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/api' }, route: to }] };
  return { route_config: { virtual_hosts: [host], ...EDITS } };
}

describe('what Envoy changed', () => {
  it('lower-cases names, adds, removes and rewrites', async () => {
    const seen = await askThrough(envoy(routes()));
    isAsTruth(seen);
    const { attributes } = seen.hop;
    assert.ok((attributes['hopspan.headers.recased'] as string[]).includes('Host → host'));
    assert.ok((attributes['hopspan.headers.added'] as string[]).includes('x-edge'));
    assert.deepEqual(attributes['hopspan.headers.removed'], ['x-internal']);
    assert.deepEqual(attributes['hopspan.headers.rewritten'], ['x-tenant']);
    assert.deepEqual(attributes['hopspan.response.headers.removed'], ['set-cookie']);
    assert.equal(attributes['hopspan.path.rewritten'], undefined);
  });

  it('spells names as header_key_format says, and rewrites the path', async () => {
    const http = { ...routes({ prefix_rewrite: '/v1' }), http_protocol_options: PROPER };
    const seen = await askThrough(envoy(http, PROPER_CLUSTER));
    isAsTruth(seen);
    assert.equal(seen.arrived.first, 'GET /v1/users?token=secret-query HTTP/1.1');
    const { attributes } = seen.hop;
    assert.equal(attributes['hopspan.path.rewritten'], true);
    const recased = attributes['hopspan.headers.recased'] as string[];
    assert.deepEqual(recased, ['traceparent → Traceparent'], 'those that came so were left alone');
    assert.ok((attributes['hopspan.headers.added'] as string[]).includes('X-Edge'));
  });

  it('makes a path of an absolute URL', async () => {
    const request = ['GET http://app.test/api/users HTTP/1.1', ...REQUEST.slice(1)];
    const seen = await askThrough(envoy(routes()), { request });
    isAsTruth(seen);
    assert.equal(seen.arrived.first, 'GET /api/users HTTP/1.1');
    assert.equal(seen.hop.attributes['hopspan.path.rewritten'], true);
  });

  it('claims no other case where it translates to HTTP/2', async () => {
    const seen = await askThrough(envoy(routes(), http2Cluster()), { isHttp2: true });
    const { recased, ...rest } = truth(seen.asked, seen.arrived);
    assert.ok(recased && recased.length > 0);
    const { recased: claimed, ...request } = told(seen.hop, 'hopspan.headers');
    assert.deepEqual(claimed, []);
    assert.deepEqual(request, sorted(rest));
    assert.equal(seen.hop.attributes['hopspan.path.rewritten'], undefined);
  });

  it('is not told unless it is asked for, and of a relay there is nothing to tell', async () => {
    const relay: Start = (upstreamPort) => startEnvoy({ listeners: [{ upstreamPort }] });
    for (const { hop } of [await askThrough(envoy(routes()), { isOn: false }), await askThrough(relay)]) {
      const names = Object.keys(hop.attributes).filter((name) => /headers|path.rewritten/.test(name));
      assert.deepEqual(names, []);
    }
  });

  it('stands beneath the waterfall of watch --diff, without a value', async () => {
    const backend = await startRawBackend(false);
    const proxy = await envoy(routes({ prefix_rewrite: '/v1' }))(backend.port);
    const watch = await startChild(process.execPath, [
      ...[MAIN, 'watch', '--diff', '--listen-port', String(proxy.port)],
    ]);
    await watch.line(/ready/, READY_MS);
    await ask(proxy.port, REQUEST);
    await watch.line(/answer removed {6}set-cookie/);
    await proxy.stop();
    assert.deepEqual(await watch.stop('SIGINT', 20_000), { code: 0, signal: null });
    const text = watch.stdout();
    assert.match(text, /request rewrote {5}the path \/api\/users to http:\/\/app\.test\/v1\/users/);
    assert.match(text, /request added {7}.*x-edge/);
    assert.match(text, /request removed {5}x-internal/);
    assert.match(text, /request re-cased {4}.*Host → host/);
    assert.match(text, /request rewrote {5}x-tenant/);
    assert.doesNotMatch(text, /secret/);
  });
});

it('what nginx changed', async () => {
  const server = 'rewrite ^/api(/.*)$ /v1$1; add_header X-Served-By edge;';
  const seen = await askThrough((upstreamPort) =>
    startNginxStream({ listeners: [{ upstreamPort }], http: {}, server }),
  );
  isAsTruth(seen);
  assert.match(seen.arrived.first, /^GET \/v1\/users/);
  assert.equal(seen.hop.attributes['hopspan.path.rewritten'], true);
  assert.ok((seen.hop.attributes['hopspan.response.headers.added'] as string[]).includes('X-Served-By'));
});
