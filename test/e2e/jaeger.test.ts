import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { startApplication } from '../harness/application.ts';
import { type JaegerSpan, type JaegerTrace, jaegerBinary, startJaeger } from '../harness/jaeger.ts';
import { freePort } from '../harness/ports.ts';
import { startChild, stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { runClient, startBackend } from '../harness/traffic.ts';

after(stopLeftovers);

const HOPSPAN = new URL('../../bin/hopspan', import.meta.url).pathname;
const CONNECTIONS = 20;
const EXCHANGES = 3;
const REQUESTS = 40;

const tag = (span: JaegerSpan, key: string): unknown => span.tags.find((each) => each.key === key)?.value;
const parentOf = (span: JaegerSpan): string | undefined => span.references[0]?.spanID;

/** Complaints about a span that does not lie within its parent; Jaeger keeps microseconds. */
function outside(span: JaegerSpan, parent: JaegerSpan): boolean {
  const end = (each: JaegerSpan): number => each.startTime + each.duration;
  return span.startTime < parent.startTime || end(span) > end(parent) + 1;
}

/** Name, kind and service of every span by its path from the root. */
function shape(trace: JaegerTrace): string[] {
  const byId = new Map(trace.spans.map((span) => [span.spanID, span]));
  const path = (span: JaegerSpan): string => {
    const parent = byId.get(parentOf(span) ?? '');
    const service = trace.processes[span.processID]?.serviceName;
    const own = `${service}/${span.operationName.replace(/\d+/, 'N')}[${tag(span, 'span.kind')}]`;
    return parent ? `${path(parent)} > ${own}` : own;
  };
  return trace.spans.map(path).sort();
}

describe('a real Jaeger', () => {
  const jaegerFound = jaegerBinary();
  const skip = 'missing' in jaegerFound ? `no Jaeger on this machine: ${jaegerFound.missing}` : false;

  it('shows a chain of two Envoys as one trace: tree, kinds, phases, services', { skip }, async () => {
    const jaeger = await startJaeger();
    const backend = await startBackend({ thinkMs: 5 });
    const inner = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
    const outer = await startEnvoy({ listeners: [{ upstreamPort: inner.port }] });
    const folder = temporaryFolder(after);
    const config = join(folder, 'hopspan.yaml');
    writeFileSync(
      config,
      `receivers:
  ebpf:
    targets:
      - { listen_port: ${outer.port}, service_name: outer }
      - { listen_port: ${inner.port}, service_name: inner }
exporters:
  otlp: { endpoint: '${jaeger.otlpGrpcEndpoint}' }
service:
  pipelines:
    traces: { receivers: [ebpf], exporters: [otlp] }
`,
    );
    const hopspan = await startChild(HOPSPAN, ['run', '--config', config]);
    await hopspan.line(/ready/);
    const client = await runClient({
      port: outer.port,
      connections: CONNECTIONS,
      concurrency: CONNECTIONS,
      exchanges: EXCHANGES,
    });
    assert.equal(client.exchanges.length, CONNECTIONS * EXCHANGES);
    await outer.stop();
    await inner.stop();
    const exit = await hopspan.stop();
    assert.equal(exit.code, 0, hopspan.stderr());

    assert.deepEqual((await jaeger.services()).filter((name) => !name.includes('jaeger')).sort(), [
      'inner',
      'outer',
    ]);
    const traces = await jaeger.traces('outer', { atLeast: CONNECTIONS * EXCHANGES });
    assert.equal(traces.length, CONNECTIONS * EXCHANGES, 'every exchange is one trace');

    const common = [
      'forward[internal]',
      'read wait[internal]',
      'answer forward[internal]',
      'tcp upstream :N[client]',
      'tcp upstream :N[client] > * upstream wait[internal]',
      'tcp upstream :N[client] > * answer read wait[internal]',
    ];
    const setUp = ['accept wait[internal]', 'tcp upstream :N[client] > * connect[internal]'];
    const hopShape = (service: string, under: string, first: boolean): string[] => {
      const hop = `${under}${service}/tcp proxy :N[server]`;
      const below = [...common, ...(first ? setUp : [])].map(
        (path) => `${hop} > ${service}/${path.replace('* ', `${service}/`)}`,
      );
      return [hop, ...below];
    };
    let firsts = 0;
    for (const trace of traces) {
      const root = trace.spans.find((span) => span.references.length === 0);
      assert.ok(root);
      const first = tag(root, 'hopspan.exchange.number') === 1;
      if (first) firsts++;
      const under = 'outer/tcp proxy :N[server] > outer/tcp upstream :N[client] > ';
      assert.deepEqual(
        shape(trace),
        [...hopShape('outer', '', first), ...hopShape('inner', under, first)].sort(),
      );
      const byId = new Map(trace.spans.map((span) => [span.spanID, span]));
      for (const span of trace.spans) {
        assert.deepEqual(span.warnings ?? [], []);
        const parent = byId.get(parentOf(span) ?? '');
        if (parent) assert.ok(!outside(span, parent), `${span.operationName} within ${parent.operationName}`);
        if (tag(span, 'span.kind') !== 'internal') assert.equal(tag(span, 'hopspan.pairing'), 'buffer');
        if (span.operationName === 'upstream wait')
          assert.ok(span.duration >= 2_500, 'the backend thinks for 5 ms');
      }
    }
    assert.equal(firsts, CONNECTIONS);
    const calls = (await jaeger.dependencies()).filter(({ parent, child }) => parent !== child);
    assert.deepEqual(calls, [{ parent: 'outer', child: 'inner', callCount: CONNECTIONS * EXCHANGES }]);
    await backend.stop();
    await jaeger.stop();
  });

  it('shows client, proxies and backend as one tree, and each call once', { skip }, async () => {
    const jaeger = await startJaeger();
    const port = await freePort();
    const application = await startApplication({ endpoint: `http://127.0.0.1:${port}`, addresses: true });
    const inner = await startEnvoy({ listeners: [{ upstreamPort: application.backendPort }], http: {} });
    const edge = await startEnvoy({ listeners: [{ upstreamPort: inner.port }] });
    const config = join(temporaryFolder(after), 'hopspan.yaml');
    writeFileSync(
      config,
      `receivers:
  ebpf:
    targets:
      - { listen_port: ${edge.port}, service_name: edge }
      - { listen_port: ${inner.port}, service_name: inner }
  otlp: { protocols: { grpc: { endpoint: '127.0.0.1:${port}' } } }
processors:
  hop_parent:
exporters:
  otlp: { endpoint: '${jaeger.otlpGrpcEndpoint}' }
service:
  pipelines:
    traces: { receivers: [ebpf, otlp], processors: [hop_parent], exporters: [otlp] }
`,
    );
    const hopspan = await startChild(HOPSPAN, ['run', '--config', config]);
    await hopspan.line(/ready/);
    const calls = await application.call(edge.port, REQUESTS, 10);
    await application.stop();
    await jaeger.traces('backend', { atLeast: REQUESTS });
    await edge.stop();
    await inner.stop();
    const exit = await hopspan.stop();
    assert.equal(exit.code, 0, hopspan.stderr());

    const under =
      'client/GET[client] > edge/GET[server] > edge/GET[client] > inner/GET[server] > inner/GET[client]';
    for (const { traceId, path } of calls) {
      const trace = await jaeger.trace(traceId);
      assert.ok(trace);
      const kinds = shape(trace).filter((each) => !each.endsWith('[internal]'));
      assert.equal(kinds.length, 6);
      assert.equal(kinds.at(-1), `${under} > backend/GET ${path.replace(/\d+/, 'N')}[server]`);
      /* The SDK's clock has whole milliseconds: Jaeger remarks on spans that begin before their parents. */
      const warnings = trace.spans.flatMap((span) => span.warnings ?? []);
      assert.deepEqual(
        warnings.filter((each) => !each.startsWith('clock skew')),
        [],
      );
    }
    const dependencies = (await jaeger.dependencies()).filter(({ parent, child }) => parent !== child);
    const edges = dependencies.map(({ parent, child, callCount }) => `${parent} → ${child}: ${callCount}`);
    assert.deepEqual(edges.toSorted(), [
      `client → edge: ${REQUESTS}`,
      `edge → inner: ${REQUESTS}`,
      `inner → backend: ${REQUESTS}`,
    ]);
    await jaeger.stop();
  });
});
