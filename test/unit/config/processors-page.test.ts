import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { PROCESSORS } from '../../../src/config/schema.ts';
import type { ProcessorConfig } from '../../../src/config/types.ts';
import { createProcessor } from '../../../src/processor/create.ts';
import { parse } from './harness.ts';

const page = readFileSync(new URL('../../../docs/processors.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] ?? '');

function read(processors: string, type: string): ProcessorConfig {
  const { config, warnings } = parse(`receivers: {ebpf: }
exporters: {console: }
service: {pipelines: {traces: {receivers: [ebpf], processors: [${type}], exporters: [console]}}}
${processors}`);
  assert.deepEqual(warnings, []);
  const [processor] = config.processors;
  assert.ok(processor);
  return processor;
}

describe('docs/processors.md', () => {
  test('has a section with an example of every processor but hop_parent, which has a page', () => {
    const shown = examples.map((text) => /^processors:\n {2}(\w+):/.exec(text)?.[1]);
    const types = Object.keys(PROCESSORS).filter((type) => type !== 'hop_parent');
    assert.deepEqual(shown.toSorted(), types.toSorted());
  });

  for (const example of examples) {
    const type = /^processors:\n {2}(\w+):/.exec(example)?.[1] ?? '';
    test(`the example of ${type} is valid, and all it counts is named`, () => {
      const processor = createProcessor(read(example, type));
      const section = page.split(`\n## \`${type}\`\n`)[1]?.split('\n## ')[0] ?? '';
      const [, told = ''] = /Decisions: ([^.]*)\./s.exec(section) ?? [];
      assert.deepEqual(
        [...told.matchAll(/`(\w+)`/g)].map((match) => match[1]),
        Object.keys(processor.stats),
      );
    });
  }
});

test("the Collector's defaults", () => {
  const policies = 'policies: [{name: a, type: always_sample}]';
  const tail = read(`processors: {tail_sampling: {${policies}}}`, 'tail_sampling');
  assert.ok(tail.type === 'tail_sampling');
  assert.deepEqual([tail.decisionWaitMs, tail.numTraces], [30_000, 50_000]);
  assert.deepEqual([tail.sampledCacheSize, tail.nonSampledCacheSize], [0, 0]);
  assert.deepEqual(read('processors: {batch: }', 'batch'), {
    ...{ type: 'batch', name: 'batch', timeoutMs: 200, sendBatchSize: 8192 },
  });
  const limit = 'check_interval: 1s, limit_mib: 100';
  assert.deepEqual(read(`processors: {memory_limiter: {${limit}}}`, 'memory_limiter'), {
    ...{ type: 'memory_limiter', name: 'memory_limiter', checkIntervalMs: 1000 },
    ...{ limitBytes: 104_857_600, spikeLimitBytes: 20_971_520 },
    ...{ minGcIntervalSoftMs: 10_000, minGcIntervalHardMs: 0 },
  });
  assert.deepEqual(read('processors: {redaction: }', 'redaction'), {
    ...{ type: 'redaction', name: 'redaction', allowAllKeys: false, allowedKeys: [], ignoredKeys: [] },
    ...{ blockedKeyPatterns: [], blockedValues: [], allowedValues: [], redactAllTypes: false },
  });
  assert.deepEqual(read('processors: {resourcedetection: }', 'resourcedetection'), {
    ...{ type: 'resourcedetection', name: 'resourcedetection', detectors: ['env'], timeoutMs: 5000 },
    override: true,
  });
});
