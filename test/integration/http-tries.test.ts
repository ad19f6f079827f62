import assert from 'node:assert/strict';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { hopsOf, malformed, type SeenHop, startHopspan } from '../harness/hopspan.ts';
import { freePort } from '../harness/ports.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';

after(stopLeftovers);

/** A backend that fails `/fail-N/...` and `/reset-N/...` N times before it answers. */
async function startFlaky(): Promise<{ port: number; seen: Map<string, number>; stop(): void }> {
  const seen = new Map<string, number>();
  const server = createServer((incoming, response) => {
    const path = incoming.url ?? '';
    const who = `${incoming.headers.host} ${path}`;
    const tries = (seen.get(who) ?? 0) + 1;
    seen.set(who, tries);
    const [, how, times] = /^\/(fail|reset)-(\d)/.exec(path) ?? [];
    if (tries > Number(times ?? 0)) response.end('done');
    else if (how === 'reset') incoming.socket.resetAndDestroy();
    else response.writeHead(503).end('not yet');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve));
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { port: (server.address() as AddressInfo).port, seen, stop };
}

/** GETs over kept connections, so many at once; statuses by path. */
async function getAll(
  port: number,
  paths: readonly string[],
  concurrency: number,
  headers: (at: number) => Record<string, string>,
): Promise<Map<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const statuses = new Map<string, number>();
  const queue = [...paths.entries()];
  const get = (path: string, at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request({ port, host: '127.0.0.1', path, agent, headers: headers(at) }, (answer) => {
        statuses.set(path, answer.statusCode ?? 0);
        answer.resume().once('end', resolve);
      });
      sent.once('error', reject).end();
    });
  const lane = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) await get(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  agent.destroy();
  return statuses;
}

const CLUSTER = { cluster: 'upstream_0', timeout: '0s' };
const ROUTES = [
  { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'hello' } } },
  { match: { prefix: '/refuse' }, direct_response: { status: 503 } },
  { match: { prefix: '/redirect' }, redirect: { path_redirect: '/elsewhere' } },
  {
    match: { prefix: '/mirror' },
    route: { ...CLUSTER, request_mirror_policies: [{ cluster: 'upstream_0' }] },
  },
  {
    match: { prefix: '/limited' },
    route: CLUSTER,
    typed_per_filter_config: {
      'envoy.filters.http.local_ratelimit': {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
        stat_prefix: 'limit',
        token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: '3600s' },
        filter_enabled: { default_value: { numerator: 100 } },
        filter_enforced: { default_value: { numerator: 100 } },
      },
    },
  },
  ...['/fail', '/reset', '/plain'].map((prefix) => ({
    match: { prefix },
    route: {
      ...CLUSTER,
      retry_policy: {
        retry_on: '5xx,reset,connect-failure',
        num_retries: 3,
        retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
      },
    },
  })),
];
const ENVOY_HTTP = {
  route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: ROUTES }] },
  http_filters: [
    {
      name: 'envoy.filters.http.local_ratelimit',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
        stat_prefix: 'none',
      },
    },
    {
      name: 'envoy.filters.http.router',
      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
    },
  ],
};

const hex = (at: number, digits: number): string => (at + 1).toString(16).padStart(digits, '0');
const IDS = {
  'with ids': (at: number) => ({ traceparent: `00-${hex(at, 32)}-${hex(at, 16)}-01` }),
  'without ids': () => ({}),
} as const;

interface Told {
  readonly outcome: unknown;
  readonly status: unknown;
  readonly isError: boolean;
  /** Statuses of what was sent upstream, in order; mirrored ones in brackets. */
  readonly upstream: string;
  readonly resent: string;
  readonly ambiguous: boolean;
}

function tell({ hop, upstreams }: SeenHop): Told {
  const inOrder = upstreams.toSorted((a, b) => (a.startNs < b.startNs ? -1 : 1));
  const nameOf = ({ attributes }: (typeof upstreams)[number]): string => {
    const what = String(attributes['http.response.status_code'] ?? attributes['hopspan.outcome']);
    return attributes['hopspan.mirrored'] ? `[${what}]` : what;
  };
  return {
    outcome: hop.attributes['hopspan.outcome'],
    status: hop.attributes['http.response.status_code'],
    isError: hop.attributes['error.type'] !== undefined,
    upstream: inOrder
      .map(nameOf)
      .toSorted((a, b) => Number(a.startsWith('[')) - Number(b.startsWith('[')))
      .join(' '),
    resent: inOrder.map(({ attributes }) => attributes['http.request.resend_count'] ?? '-').join(' '),
    ambiguous: hop.attributes['hopspan.pairing.ambiguous'] === true,
  };
}

const OK = { outcome: 'ok', status: 200, isError: false, ambiguous: false };
const OWN = { outcome: 'no_upstream', upstream: '', resent: '', ambiguous: false };
const EXPECTED: Record<string, Told> = {
  plain: { ...OK, upstream: '200', resent: '-' },
  'fail-1': { ...OK, upstream: '503 200', resent: '- 1' },
  'fail-3': { ...OK, upstream: '503 503 503 200', resent: '- 1 2 3' },
  'fail-9': { ...OK, status: 503, isError: true, upstream: '503 503 503 503', resent: '- 1 2 3' },
  'reset-2': { ...OK, upstream: 'upstream_reset upstream_reset 200', resent: '- 1 2' },
  'reset-9': {
    ...{ outcome: 'upstream_reset', status: 503, isError: true, ambiguous: false },
    ...{ upstream: 'upstream_reset upstream_reset upstream_reset upstream_reset', resent: '- 1 2 3' },
  },
  mirror: { ...OK, upstream: '200 [200]', resent: '- -' },
  direct: { ...OWN, status: 200, isError: false },
  redirect: { ...OWN, status: 301, isError: false },
  missing: { ...OWN, status: 404, isError: false },
  refuse: { ...OWN, status: 503, isError: true },
};

for (const [name, headers] of Object.entries(IDS)) {
  describe(`requests ${name} that Envoy does not just pass on`, () => {
    it('are one hop each, with a CLIENT span for every request that went upstream', async () => {
      const backend = await startFlaky();
      after(() => backend.stop());
      const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], http: ENVOY_HTTP });
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      const kinds = Object.keys(EXPECTED);
      const paths = Array.from({ length: 40 * kinds.length }, (_, n) => `/${kinds[n % kinds.length]}/${n}`);
      await getAll(proxy.port, ['/limited/0', '/limited/1', ...paths], 50, headers);
      await until('all hops', async () => hopsOf(await hopspan.spans()).hops.length >= paths.length + 2);
      await proxy.stop();
      const spans = await hopspan.finish();
      const callers = new Set(paths.flatMap((_, at) => [hex(at, 16), hex(at + 2, 16)]));
      assert.deepEqual(malformed(spans, callers).slice(0, 5), []);
      const { hops, loose } = hopsOf(spans);
      const byPath = new Map(hops.map((seen) => [String(seen.hop.attributes['url.path']), tell(seen)]));
      const limited = [byPath.get('/limited/0'), byPath.get('/limited/1')];
      const passed = limited.find((told) => told?.status === 200);
      const stopped = limited.find((told) => told?.status === 429);
      assert.deepEqual(passed, { ...OK, upstream: '200', resent: '-' });
      assert.deepEqual(stopped, { ...OWN, status: 429, isError: false });
      for (const path of paths) {
        const kind = path.split('/')[1] ?? '';
        assert.deepEqual({ path, ...byPath.get(path) }, { path, ...EXPECTED[kind] });
      }
      const requests = loose.filter(({ attributes }) => attributes['http.request.method']);
      assert.deepEqual(requests, []);
    });
  });
}

it('a request for which Envoy cannot connect has its attempts', async () => {
  const nobody = await freePort();
  const retry = { retry_on: 'connect-failure', num_retries: 2 };
  const route = { ...CLUSTER, retry_policy: { ...retry, retry_back_off: { base_interval: '0.001s' } } };
  const http = {
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }],
    },
  };
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: nobody }], http });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
  await getAll(proxy.port, ['/0', '/1', '/2'], 1, () => ({}));
  await getAll(
    proxy.port,
    Array.from({ length: 40 }, (_, n) => `/many/${n}`),
    20,
    () => ({}),
  );
  await until('all hops', async () => hopsOf(await hopspan.spans()).hops.length >= 43);
  await proxy.stop();
  const spans = await hopspan.finish();
  assert.deepEqual(malformed(spans).slice(0, 5), []);
  for (const seen of hopsOf(spans).hops) {
    const { outcome, status, isError, upstream, ambiguous } = tell(seen);
    assert.deepEqual(
      { outcome, status, isError },
      { outcome: 'upstream_refused', status: 503, isError: true },
    );
    const path = String(seen.hop.attributes['url.path']);
    if (path.startsWith('/many')) assert.ok(ambiguous || upstream.startsWith('upstream_refused'), path);
    else assert.equal(upstream, 'upstream_refused upstream_refused upstream_refused', path);
  }
});

const RETRYING = {
  nginx: (upstreamPort: number) =>
    startNginxStream({
      ...{ listeners: [{ upstreamPort }], http: {}, copies: 4 },
      server: 'proxy_next_upstream error timeout http_503;',
    }),
  HAProxy: (upstreamPort: number) =>
    startHaproxy({
      ...{ listeners: [{ upstreamPort }], http: {} },
      defaults: 'retry-on 503 conn-failure empty-response',
    }),
};

for (const [proxyName, start] of Object.entries(RETRYING)) {
  for (const [name, headers] of Object.entries(IDS)) {
    it(`requests ${name} that ${proxyName} tries again are one hop each`, async () => {
      const backend = await startFlaky();
      after(() => backend.stop());
      const proxy = await start(backend.port);
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      const kinds = ['plain', 'fail-1', 'fail-3', 'reset-2'];
      const paths = Array.from({ length: 40 * kinds.length }, (_, n) => `/${kinds[n % kinds.length]}/${n}`);
      const sent = await getAll(proxy.port, paths, 50, headers);
      assert.ok(
        [...sent.values()].every((status) => status === 200),
        JSON.stringify([...sent]),
      );
      await until('all hops', async () => hopsOf(await hopspan.spans()).hops.length >= paths.length);
      await proxy.stop();
      const spans = await hopspan.finish();
      const callers = new Set(paths.map((_, at) => hex(at, 16)));
      assert.deepEqual(malformed(spans, callers).slice(0, 5), []);
      const byPath = new Map(
        hopsOf(spans).hops.map((seen) => [String(seen.hop.attributes['url.path']), tell(seen)]),
      );
      for (const path of paths) {
        const kind = path.split('/')[1] ?? '';
        assert.deepEqual({ path, ...byPath.get(path) }, { path, ...EXPECTED[kind] });
      }
    });
  }
}
