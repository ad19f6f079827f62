import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { hopsOf, startHopspan } from '../harness/hopspan.ts';
import { startHttpBackend } from '../harness/http-backend.ts';
import { runHttpClient } from '../harness/http-client.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';

after(stopLeftovers);

const REQUESTS = 500;

it('all processors in one pipeline: every hop comes through, changed as it was asked for', async () => {
  const backend = await startHttpBackend();
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} });
  const hopspan = await startHopspan({
    targets: [`listen_port: ${proxy.port}`],
    processors: {
      memory_limiter: '{ check_interval: 1s, limit_mib: 2000 }',
      hop_parent: '',
      resourcedetection: '{ detectors: [system] }',
      attributes:
        '{ actions: [{ key: env, value: test, action: insert }, { key: user_agent.original, action: delete }] }',
      redaction: "{ allow_all_keys: true, blocked_values: ['service[.]test'] }",
      filter: '{ traces: { span: [\'name == "upstream wait"\'] } }',
      probabilistic_sampler: '{ sampling_percentage: 100 }',
      tail_sampling: '{ decision_wait: 1s, policies: [{ name: all, type: always_sample }] }',
      batch: '',
    },
  });
  const sent = await runHttpClient({
    ...{ port: proxy.port, connections: 50, concurrency: 10, requests: REQUESTS / 50, traceparent: true },
  });
  await proxy.stop();
  const spans = await hopspan.finish();
  await backend.stop();
  const { hops } = hopsOf(spans);
  const paths = hops.flatMap(({ hop }) => hop.attributes['url.path'] ?? []);
  assert.deepEqual(paths.toSorted(), sent.map(({ id }) => `/${id}/x`).toSorted());
  for (const { name, attributes } of spans) {
    assert.notEqual(name, 'upstream wait');
    assert.equal(attributes.env, 'test');
    assert.equal(attributes['user_agent.original'], undefined);
    assert.ok(!JSON.stringify(attributes).includes('service.test'));
  }
  assert.ok(spans.some(({ attributes }) => String(attributes['url.full']).startsWith('http://****')));
});
