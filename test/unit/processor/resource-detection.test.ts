import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, test } from 'node:test';
import { resourceAttributes } from '../../../src/otlp/attributes.ts';
import { splitRequest } from '../../../src/otlp/request.ts';
import { detectResource } from '../../../src/processor/detectors.ts';
import {
  createResourceDetection,
  type Detect,
  type ResourceDetectionOptions,
} from '../../../src/processor/resource-detection.ts';
import { isForeign, type PipelineSpan } from '../../../src/spans/foreign-span.ts';
import type { Attributes } from '../../../src/spans/hop-span.ts';
import { makeForeign, requestBytes } from '../../harness/foreign-spans.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const OPTIONS: ResourceDetectionOptions = { detectors: ['env', 'system'], timeoutMs: 5000, override: true };
const FOUND: Record<string, Attributes> = {
  env: { 'host.name': 'from-env', zone: 'z' },
  system: { 'host.name': 'from-system', 'os.type': 'linux' },
};
const detect: Detect = async (name) => FOUND[name] ?? {};
const ids = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), fromUs: 0, toUs: 1 };
const APP = makeForeign({ ...ids, resource: { 'service.name': 'shop', 'host.name': 'app' } });

async function run(spans: readonly PipelineSpan[], options = OPTIONS, by = detect): Promise<Attributes[]> {
  const processor = createResourceDetection(options, by);
  await processor.start?.();
  const out = processor.process(spans, 0);
  return out.map((span) => (isForeign(span) ? resourceAttributes(span.origin) : span.resource.attributes));
}

describe('resourcedetection', () => {
  test('adds what the detectors found, the first of them first, to both kinds of spans', async () => {
    const [hop] = makeExchange();
    assert.ok(hop);
    const [own, app] = await run([hop, APP]);
    const found = { 'host.name': 'from-env', 'os.type': 'linux', zone: 'z' };
    assert.deepEqual(own, { ...hop.resource.attributes, ...found });
    assert.deepEqual(app, { 'service.name': 'shop', ...found });
  });

  test('without override what is there stays', async () => {
    const [app] = await run([APP], { ...OPTIONS, override: false });
    assert.deepEqual(app, { 'service.name': 'shop', 'host.name': 'app', 'os.type': 'linux', zone: 'z' });
  });

  test('spans of one resource keep one resource', async () => {
    const processor = createResourceDetection(OPTIONS, detect);
    await processor.start?.();
    const out = processor.process([...makeExchange(), APP, { ...APP }], 0);
    const own = out.flatMap((span) => (isForeign(span) ? [] : [span.resource]));
    const foreign = out.flatMap((span) => (isForeign(span) ? [span.origin] : []));
    assert.deepEqual([new Set(own).size, new Set(foreign).size], [1, 1]);
  });

  test('a span without any resource gets one', async () => {
    const span = { traceId: ids.traceId, spanId: ids.spanId, name: 'a' };
    const [bare] = splitRequest(requestBytes({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] })).spans;
    assert.ok(bare);
    const [app] = await run([bare]);
    assert.deepEqual(app, { 'host.name': 'from-env', 'os.type': 'linux', zone: 'z' });
  });

  test('a detector that fails or hangs holds up nothing and nobody', async () => {
    const [app] = await run([APP], { ...OPTIONS, timeoutMs: 1 }, (name) =>
      name === 'env' ? Promise.reject(new Error('no')) : new Promise(() => {}),
    );
    assert.deepEqual(app, { 'service.name': 'shop', 'host.name': 'app' });
  });

  test("OpenTelemetry's detectors know this host", async () => {
    const { 'host.name': name, 'os.type': type } = await detectResource('system');
    assert.deepEqual([name, type], [hostname(), 'linux']);
    assert.equal(typeof (await detectResource('env')), 'object');
  });
});
