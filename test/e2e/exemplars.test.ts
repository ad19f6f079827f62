import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { type FileSpan, startHopspan } from '../harness/hopspan.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { startPrometheus } from '../harness/prometheus.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { runClient, startBackend } from '../harness/traffic.ts';

after(stopLeftovers);

const EXCHANGES = 40;
/** A page shows what the spans' file says, to a nanosecond. */
const TOLERANCE_S = 2e-9;

it('a real Prometheus leads from a bucket to a hop that is in it', async (t) => {
  const backend = await startBackend();
  t.after(() => backend.stop());
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`], pages: true });
  const { host } = new URL(hopspan.url('/metrics'));
  const prometheus = await startPrometheus(
    temporaryFolder((remove) => t.after(remove)),
    host,
  );
  t.after(() => prometheus.stop());
  const load = { port: proxy.port, connections: EXCHANGES / 2, requestBytes: 100, answerBytes: 100 };
  await runClient(load);
  await runClient({ ...load, thinkMs: 80 });
  const metric = 'hopspan_hop_duration_seconds_bucket';
  const found = await until('exemplars of fast and of slow hops', async () => {
    const now = await prometheus.exemplars(metric);
    const slow = ({ value }: { value: string }): boolean => Number(value) >= 0.08;
    return now.some(slow) && now.some((each) => !slow(each)) && now;
  });
  await proxy.stop();
  const spans = await hopspan.finish();
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  for (const { labels, value } of found) {
    const span = byId.get(labels.span_id ?? '');
    assert.ok(span, `${labels.span_id} is a span`);
    assert.equal(span.traceId, labels.trace_id);
    assert.ok(Math.abs(seconds(span) - Number(value)) < TOLERANCE_S, `${seconds(span)} s, ${value} s`);
  }
});

function seconds({ startNs, endNs }: FileSpan): number {
  return Number(endNs - startNs) / 1e9;
}
