import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { type FileSpan, hopsOf, type RunningHopspan, startHopspan } from '../harness/hopspan.ts';
import { startHttpBackend } from '../harness/http-backend.ts';
import { runHttpClient } from '../harness/http-client.ts';
import { type LeaverOptions, runLeavers, startLeaverBackend } from '../harness/http-leavers.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';

after(stopLeftovers);

const PERCENT = 10;
const POLICIES = `
      - { name: errors, type: status_code, status_code: { status_codes: [ERROR] } }
      - { name: rest, type: probabilistic, probabilistic: { sampling_percentage: ${PERCENT} } }`;

function start(listenPort: number): Promise<RunningHopspan> {
  return startHopspan({
    targets: [`listen_port: ${listenPort}`],
    processors: { tail_sampling: `\n    decision_wait: 1s\n    policies:${POLICIES}` },
    unprocessed: true,
  });
}

/** Ids of the traces that were kept, each with all of its spans. */
async function wholeTraces(kept: readonly FileSpan[], hopspan: RunningHopspan): Promise<Set<string>> {
  const idsOf = (spans: readonly FileSpan[] = []) => spans.map(({ spanId }) => spanId).toSorted();
  const all = Map.groupBy(await hopspan.unprocessed(), ({ traceId }) => traceId);
  const byTrace = Map.groupBy(kept, ({ traceId }) => traceId);
  for (const [traceId, spans] of byTrace)
    assert.deepEqual(idsOf(spans), idsOf(all.get(traceId)), 'all of it');
  return new Set(byTrace.keys());
}

describe('tail_sampling behind Envoy', () => {
  it('keeps every error and a percentage of the rest, by trace id', async (t) => {
    const backend = await startHttpBackend();
    const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} });
    const hopspan = await start(proxy.port);
    const load = { connections: 400, concurrency: 100, requests: 10, traceparent: true };
    const sent = await runHttpClient({ port: proxy.port, ...load });
    await proxy.stop();
    const spans = await hopspan.finish();
    await backend.stop();
    const kept = await wholeTraces(spans, hopspan);
    /* A client's span is an error from 400 on, a server's from 500 on. */
    const errors = sent.filter(({ statusCode }) => statusCode >= 400);
    const rest = sent.filter(({ statusCode }) => statusCode < 400);
    const wasKept = ({ traceparent }: { traceparent: string }) => kept.has(traceparent.slice(3, 35));
    assert.ok(errors.length > 1000 && errors.every(wasKept));
    const sampled = rest.filter(wasKept);
    t.diagnostic(`${errors.length} errors, ${sampled.length} of ${rest.length} others`);
    const expected = (rest.length * PERCENT) / 100;
    const deviation = Math.sqrt(expected * (1 - PERCENT / 100));
    assert.ok(Math.abs(sampled.length - expected) < 4 * deviation, `${sampled.length} of ${rest.length}`);
    /* And these are the ones that any other sampler of the specification would take. */
    const isAbove = ({ traceparent }: { traceparent: string }) => traceparent.slice(21, 35) >= 'e666';
    assert.deepEqual(sampled, rest.filter(isAbove));
  });

  it('keeps the requests whose client left, and of their connections no other', async (t) => {
    const load: LeaverOptions = {
      ...{ connections: 400, concurrency: 100, requests: 5, leaving: 0.2, resets: 0, maxDelayMs: 30 },
      traceparent: true,
    };
    const backend = await startLeaverBackend(load);
    after(() => backend.stop());
    const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} });
    const hopspan = await start(proxy.port);
    const truths = await runLeavers(proxy.port, backend, load);
    const seen = async () => hopsOf(await hopspan.unprocessed()).hops.length;
    await until('most hops', async () => (await seen()) >= truths.length * 0.9);
    await proxy.stop();
    const spans = await hopspan.finish();
    await wholeTraces(spans, hopspan);
    const paths = new Set(spans.map(({ attributes }) => attributes['url.path']));
    const aborted = truths.filter(({ left }) => left === 'before');
    t.diagnostic(`${aborted.length} aborts of ${truths.length}`);
    assert.ok(aborted.length > 20);
    assert.deepEqual(aborted.filter(({ path }) => !paths.has(path)).slice(0, 5), []);
    /* The numbers at the ends of these trace ids are small: no percentage takes them. */
    const answered = truths.filter(({ left }) => left === 'after');
    assert.deepEqual(answered.filter(({ path }) => paths.has(path)).slice(0, 5), []);
  });
});
