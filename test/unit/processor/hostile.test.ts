import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { splitRequest } from '../../../src/otlp/request.ts';
import { otlpMessage, RESOURCE_SPANS, SCOPE_SPANS, SPAN } from '../../../src/otlp/schema.ts';
import { Malformed, validate } from '../../../src/otlp/wire.ts';
import { createAttributes } from '../../../src/processor/attributes.ts';
import { createFilter } from '../../../src/processor/filter.ts';
import { createProbabilisticSampler } from '../../../src/processor/probabilistic-sampler.ts';
import type { Processor } from '../../../src/processor/processor.ts';
import { createRedaction } from '../../../src/processor/redaction.ts';
import { createResourceDetection } from '../../../src/processor/resource-detection.ts';
import { createTailSampling } from '../../../src/processor/tail-sampling.ts';
import { type ForeignSpan, isForeign, type PipelineSpan } from '../../../src/spans/foreign-span.ts';
import { requestBytes, WHOLE_REQUEST } from '../../harness/foreign-spans.ts';
import { createRandom } from '../../harness/random.ts';

const ROUNDS = 5000;
const ORIGINAL = Buffer.from(requestBytes(WHOLE_REQUEST));

async function allProcessors(): Promise<Record<string, Processor>> {
  const resourcedetection = createResourceDetection(
    { detectors: ['env'], timeoutMs: 1000, override: true },
    async () => ({ 'service.name': 'found', zone: 'z' }),
  );
  await resourcedetection.start?.();
  return {
    resourcedetection,
    attributes: createAttributes({
      actions: [
        { action: 'upsert', key: 'text', from: { attribute: 'map' } },
        { action: 'hash', pattern: '^(l|n|y)' },
        { action: 'delete', key: 'empty' },
      ],
    }),
    redaction: createRedaction({
      ...{ allowAllKeys: true, allowedKeys: [], ignoredKeys: [], blockedKeyPatterns: ['by'] },
      ...{ blockedValues: ['[a-z]'], allowedValues: [], redactAllTypes: true },
    }),
    filter: createFilter({
      conditions: [
        'IsMatch(attributes["text"], "^never$") and status.code == 2',
        'resource.attributes["service.name"] == status.message',
      ],
    }),
    probabilistic_sampler: createProbabilisticSampler({ percent: 99, precision: 4 }),
    tail_sampling: createTailSampling({
      ...{ decisionWaitMs: 0, numTraces: 10, maxSpans: 10, sampledCacheSize: 0, nonSampledCacheSize: 0 },
      policies: [
        { type: 'status_code', codes: ['ERROR'] },
        { type: 'latency', thresholdMs: 1, upperThresholdMs: 0, spanName: 'everything' },
        { type: 'numeric_attribute', key: 'least', min: 0, max: 1 },
        { type: 'always_sample' },
      ],
    }),
  };
}

/** Some bytes are others. Undefined where the receiver would not let it in. */
function mutated(random: () => number): readonly ForeignSpan[] | undefined {
  const bytes = Buffer.from(ORIGINAL);
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--)
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  try {
    return splitRequest(bytes).spans;
  } catch (error) {
    assert.ok(error instanceof Malformed);
    return undefined;
  }
}

function check(span: PipelineSpan): void {
  assert.ok(isForeign(span));
  validate(span.bytes, otlpMessage(SPAN));
  validate(span.origin.resource, otlpMessage(RESOURCE_SPANS));
  validate(span.origin.scope, otlpMessage(SCOPE_SPANS));
}

describe("applications' spans of any bytes that the receiver lets in", () => {
  test('go through all processors without an error, and come out well-formed', async () => {
    const processors = await allProcessors();
    const random = createRandom(23);
    let taken = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const spans = mutated(random);
      if (!spans) continue;
      taken += spans.length;
      let rest: readonly PipelineSpan[] = spans;
      for (const processor of Object.values(processors)) {
        rest = [...processor.process(rest, round), ...processor.advance(round)];
        for (const span of rest) check(span);
      }
    }
    assert.ok(taken > ROUNDS / 10, `${taken} of ${ROUNDS}`);
  });
});
