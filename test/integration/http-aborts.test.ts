import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { type LeaverOptions, runLeavers, startLeaverBackend } from '../harness/http-leavers.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import type { RunningProxy } from '../harness/proxy.ts';

after(stopLeftovers);

const LOAD: LeaverOptions = {
  ...{ connections: 1000, concurrency: 200, requests: 5, leaving: 0.2, resets: 0.03, maxDelayMs: 30 },
};
const ROUTE = {
  match: { prefix: '/' },
  route: {
    ...{ cluster: 'upstream_0', timeout: '0s' },
    retry_policy: {
      ...{ retry_on: '5xx,reset,connect-failure', num_retries: 3 },
      retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
    },
  },
};
const HTTP = { route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [ROUTE] }] } };

type Start = (upstreamPort: number) => Promise<RunningProxy>;
const envoy =
  (more: object): Start =>
  (upstreamPort) =>
    startEnvoy({ listeners: [{ upstreamPort }], concurrency: 2, ...more });
const nginx: Start = (upstreamPort) =>
  startNginxStream({
    ...{ listeners: [{ upstreamPort }], concurrency: 2, http: {}, copies: 4 },
    server: 'proxy_next_upstream error timeout;',
  });
const haproxy: Start = (upstreamPort) =>
  startHaproxy({
    ...{ listeners: [{ upstreamPort }], concurrency: 2, http: {} },
    defaults: 'retry-on conn-failure empty-response\n  option abortonclose',
  });

const CASES: Record<string, { start: Start; load: LeaverOptions; answersAll?: boolean }> = {
  'Envoy that speaks HTTP itself, with ids': {
    start: envoy({ http: HTTP }),
    load: { ...LOAD, traceparent: true },
  },
  'Envoy that speaks HTTP itself, without ids': { start: envoy({ http: HTTP }), load: LOAD },
  'Envoy as a relay of bytes': { start: envoy({}), load: LOAD, answersAll: true },
  'nginx that speaks HTTP itself, without ids': { start: nginx, load: LOAD },
  'HAProxy that speaks HTTP itself, without ids': { start: haproxy, load: LOAD, answersAll: true },
};

describe('clients that leave at any time, and upstreams that reset', () => {
  for (const [name, { start, load, answersAll }] of Object.entries(CASES)) {
    it(`of ${name}`, async (t) => {
      const backend = await startLeaverBackend(load);
      after(() => backend.stop());
      const proxy = await start(backend.port);
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      const truths = await runLeavers(proxy.port, backend, load);
      await until('most hops', async () => hopsOf(await hopspan.spans()).hops.length >= truths.length * 0.9);
      await proxy.stop();
      const spans = await hopspan.finish();
      const callers = new Set(spans.map(({ parentSpanId }) => parentSpanId));
      assert.deepEqual(malformed(spans, load.traceparent ? callers : new Set()).slice(0, 5), []);
      const { hops } = hopsOf(spans);
      const byPath = new Map(hops.map((seen) => [String(seen.hop.attributes['url.path']), seen]));
      const mistakes: string[] = [];
      const counts: Record<string, number> = {};
      for (const { path, left } of truths) {
        const seen = byPath.get(path);
        const outcome = String(seen?.hop.attributes['hopspan.outcome'] ?? 'missing');
        const status = seen?.hop.attributes['http.response.status_code'];
        const tries = backend.came.get(path) ?? 0;
        const told = seen?.upstreams.length ?? 0;
        const key = `${left}: ${outcome}`;
        counts[key] = (counts[key] ?? 0) + 1;
        const isRight =
          (left === 'after' && outcome === 'ok' && status === 200) ||
          /* To a client that has closed, answers may be written in vain. */
          (left === 'before' && outcome === 'client_aborted' && (status === undefined || answersAll)) ||
          (left === 'between' && ['ok', 'client_aborted', 'upstream_reset'].includes(outcome)) ||
          (left === 'failed' && outcome === 'upstream_reset');
        if (!isRight) mistakes.push(`${path} ${key} ${status}`);
        if (told > Math.max(1, tries)) mistakes.push(`${path}: ${told} of ${tries} upstream requests`);
        if (left === 'after' && told !== tries) {
          const key = `${left}: ${told} of ${tries} upstream requests`;
          counts[key] = (counts[key] ?? 0) + 1;
        }
      }
      t.diagnostic(JSON.stringify(counts));
      assert.deepEqual(mistakes.slice(0, 5), []);
    });
  }
});
