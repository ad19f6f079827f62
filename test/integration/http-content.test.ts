import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { type FileSpan, malformed, startHopspan } from '../harness/hopspan.ts';
import { type HttpBackendOptions, startHttpBackend } from '../harness/http-backend.ts';
import { type HttpClientOptions, runHttpClient } from '../harness/http-client.ts';
import { judgePairs } from '../harness/http-truth.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';

after(stopLeftovers);

const PROXIES = { Envoy: startEnvoy, nginx: startNginxStream, HAProxy: startHaproxy };

interface Load {
  readonly client: Omit<HttpClientOptions, 'port'>;
  readonly backend: HttpBackendOptions;
  /** Shares of all requests. */
  readonly right: number;
  readonly wrong: number;
}

const LOADS: Record<string, Load> = {
  'different paths, 1,000 at once': {
    client: { connections: 1500, concurrency: 1000, requests: 5, path: (id) => `/items/${id}` },
    backend: { maxDelayMs: 20 },
    right: 0.999,
    wrong: 0.0001,
  },
  'fifty paths, 500 at once': {
    client: { connections: 1000, concurrency: 500, requests: 8, path: (id) => `/items/${id % 50}` },
    backend: { maxDelayMs: 20 },
    right: 0,
    wrong: 0.0001,
  },
  'the same for all, 100 at once': {
    client: { connections: 200, concurrency: 100, requests: 40, path: () => '/', method: 'GET' },
    backend: { maxDelayMs: 20, identical: true },
    right: 0,
    wrong: 0.001,
  },
};

/** Requests over upstream connections used before that are not linked to their connection's own span. */
function withoutConnection(spans: readonly FileSpan[]): string[] {
  const connections = new Set(
    spans
      .filter(({ name }) => name.startsWith('tcp connection :'))
      .map(({ traceId, spanId }) => traceId + spanId),
  );
  return spans.flatMap(({ kind, attributes, links, spanId }) => {
    if (kind !== 'CLIENT' || !attributes['http.request.method']) return [];
    const [link, other] = links;
    if (!attributes['hopspan.connection.reused']) return link ? [`${spanId} has a link`] : [];
    if (link && !other && connections.has(link.traceId + link.spanId)) return [];
    return [`${spanId}: ${links.length} links`];
  });
}

for (const [name, start] of Object.entries(PROXIES)) {
  describe(`requests without an id through ${name}`, () => {
    for (const [load, { client, backend: options, right, wrong }] of Object.entries(LOADS)) {
      it(load, async (t) => {
        const backend = await startHttpBackend(options);
        const proxy = await start({
          ...{ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} },
        });
        after(() => backend.stop());
        const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
        const sent = await runHttpClient({ port: proxy.port, ...client });
        await proxy.stop();
        const spans = await hopspan.finish();
        assert.deepEqual(malformed(spans).slice(0, 5), []);
        assert.deepEqual(withoutConnection(spans).slice(0, 5), []);
        const verdict = judgePairs(spans, sent, backend.arrivals);
        t.diagnostic(JSON.stringify(verdict));
        assert.ok(verdict.wrong <= wrong * sent.length, JSON.stringify(verdict));
        assert.ok(verdict.right >= right * sent.length, JSON.stringify(verdict));
        assert.equal(verdict.missing, 0);
      });
    }
  });
}

describe('requests without an id that Envoy tries again', () => {
  const retry = { retry_on: 'reset,retriable-status-codes', retriable_status_codes: [503], num_retries: 3 };
  const route = { cluster: 'upstream_0', timeout: '0s', retry_policy: retry };
  const routes = [{ match: { prefix: '/' }, route }];
  const http = { route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] } };
  const loads: Record<string, Omit<HttpClientOptions, 'port'>> = {
    'fifty paths, 200 at once': {
      ...{
        connections: 400,
        concurrency: 200,
        requests: 20,
        path: (id) => `/items/${id % 50}`,
        method: 'GET',
      },
    },
    'the same for all, 50 at once': {
      ...{ connections: 100, concurrency: 50, requests: 60, path: () => '/', method: 'GET' },
    },
  };
  for (const [name, client] of Object.entries(loads)) {
    it(name, async (t) => {
      const backend = await startHttpBackend({ maxDelayMs: 20, identical: true, failing: 0.05 });
      after(() => backend.stop());
      const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http });
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      const sent = await runHttpClient({ port: proxy.port, ...client });
      await proxy.stop();
      const spans = await hopspan.finish();
      assert.deepEqual(malformed(spans).slice(0, 5), []);
      const verdict = judgePairs(spans, sent, backend.arrivals);
      t.diagnostic(JSON.stringify(verdict));
      assert.ok(verdict.wrong <= 0.0001 * sent.length, JSON.stringify(verdict));
      assert.equal(verdict.missing, 0);
    });
  }
});
