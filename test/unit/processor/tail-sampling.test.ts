import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Policy } from '../../../src/processor/policies.ts';
import { createTailSampling, type TailSamplingOptions } from '../../../src/processor/tail-sampling.ts';
import type { ForeignSpan, PipelineSpan } from '../../../src/spans/foreign-span.ts';
import type { Attributes } from '../../../src/spans/hop-span.ts';
import { makeForeign } from '../../harness/foreign-spans.ts';
import { type ExchangeOptions, makeExchange } from '../../harness/make-spans.ts';

const OPTIONS: TailSamplingOptions = {
  decisionWaitMs: 1000,
  numTraces: 100,
  maxSpans: 10_000,
  sampledCacheSize: 0,
  nonSampledCacheSize: 0,
  policies: [{ type: 'status_code', codes: ['ERROR'] }],
};

const good = (traceNumber: number, more: ExchangeOptions = {}) => makeExchange({ traceNumber, ...more });
const bad = (traceNumber: number) =>
  makeExchange({ traceNumber, error: 'the upstream refused the connection' });

function foreign(traceId: string, attributes: Attributes = {}, resource: Attributes = {}): ForeignSpan {
  return makeForeign({ traceId, spanId: 'f000000000000001', fromUs: 0, toUs: 900, attributes, resource });
}

const idOf = ([span]: readonly PipelineSpan[]): string => span?.traceId ?? '';

/** Whether a policy keeps a trace. */
function keeps(policy: Policy, spans: readonly PipelineSpan[]): boolean {
  const processor = createTailSampling({ ...OPTIONS, policies: [policy] });
  assert.deepEqual(processor.process(spans, 0), []);
  const out = processor.advance(1000);
  assert.ok(out.length === 0 || out.length === spans.length, 'all of a trace or none');
  assert.equal(processor.held(), 0);
  return out.length > 0;
}

describe('tail_sampling holds whole traces', () => {
  test('until their time is over, counted from their first span', () => {
    const processor = createTailSampling(OPTIONS);
    const [first, ...rest] = bad(1);
    assert.ok(first);
    assert.deepEqual(processor.process([first], 0), []);
    assert.deepEqual(processor.process(rest, 999), []);
    assert.deepEqual(processor.advance(999), []);
    assert.equal(processor.held(), 8);
    assert.deepEqual(processor.advance(1000), [first, ...rest]);
    assert.equal(processor.held(), 0);
  });

  test('keeps those that a policy asks for, and counts the others', () => {
    const processor = createTailSampling(OPTIONS);
    processor.process([...good(1), ...bad(2), ...good(3)], 0);
    assert.deepEqual(processor.advance(1000), bad(2));
    assert.deepEqual(processor.stats, {
      ...{ keptTraces: 1, droppedTraces: 2, droppedSpans: 16, lateSpans: 0, hurriedTraces: 0 },
    });
  });

  test("an application's error keeps the hop, and the other way round", () => {
    const processor = createTailSampling({
      ...OPTIONS,
      policies: [{ type: 'boolean_attribute', key: 'vip', value: true }],
    });
    const hop = good(1);
    const app = foreign(idOf(hop), { vip: true });
    processor.process([...hop, app, foreign(idOf(good(2)))], 0);
    assert.equal(processor.advance(1000).length, 9);
  });

  test('what comes late follows the decision', () => {
    const processor = createTailSampling(OPTIONS);
    processor.process([...good(1), ...bad(2)], 0);
    processor.advance(1000);
    const late = [foreign(idOf(good(1))), foreign(idOf(bad(2)))];
    assert.deepEqual(processor.process(late, 5000), [late[1]]);
    assert.equal(processor.stats.lateSpans, 2);
    assert.equal(processor.stats.droppedSpans, 9);
    assert.equal(processor.held(), 0);
  });

  test('decisions beyond num_traces are remembered in the caches, each as long as its own', () => {
    const options = { ...OPTIONS, numTraces: 1, sampledCacheSize: 1, nonSampledCacheSize: 2 };
    const processor = createTailSampling(options);
    for (const spans of [bad(1), bad(2), good(3), good(4), good(5), good(6)]) {
      processor.process(spans, 0);
      processor.advance(1000);
    }
    const late = (spans: readonly PipelineSpan[]) => processor.process([foreign(idOf(spans))], 2000).length;
    assert.equal(late(bad(2)), 1, 'kept');
    assert.deepEqual([late(good(4)), late(good(5)), late(good(6))], [0, 0, 0]);
    assert.equal(processor.held(), 0, 'none of these waits again');
    late(good(3));
    assert.equal(processor.held(), 1, 'forgotten: a trace of its own again');
  });

  test('the end decides on all that waits, in portions', () => {
    const processor = createTailSampling(OPTIONS);
    for (let trace = 0; trace < 100; trace++) processor.process(trace % 2 ? bad(trace) : good(trace), 0);
    const many = createTailSampling({ ...OPTIONS, numTraces: 1000, policies: [{ type: 'always_sample' }] });
    for (let trace = 0; trace < 1000; trace++) many.process(good(trace), 0);
    assert.equal(processor.flush(1).length, 400);
    assert.equal(processor.held(), 0);
    let total = 0;
    for (let calls = 0; many.held() > 0; calls++) {
      assert.ok(calls < 100);
      const { length } = many.flush(1);
      assert.ok(length > 0 && length < 1100);
      total += length;
    }
    assert.equal(total, 8000);
  });
});

describe('tail_sampling is bounded', () => {
  test('above num_traces the oldest is decided on early, not thrown away', () => {
    const processor = createTailSampling({ ...OPTIONS, numTraces: 2 });
    assert.deepEqual(processor.process(bad(1), 0), []);
    assert.deepEqual(processor.process(good(2), 0), []);
    assert.deepEqual(processor.process(good(3), 0), bad(1));
    assert.deepEqual(processor.process(good(4), 0), []);
    assert.equal(processor.held(), 16);
    assert.equal(processor.stats.hurriedTraces, 2);
  });

  test('above max_spans, even of one trace without an end', () => {
    const processor = createTailSampling({ ...OPTIONS, maxSpans: 20 });
    for (let round = 0; round < 1000; round++) processor.process(good(1), 0);
    assert.ok(processor.held() <= 20);
    assert.equal(processor.stats.droppedSpans, 8000 - processor.held());
  });

  test("above 64 MiB of applications' spans", () => {
    const processor = createTailSampling(OPTIONS);
    const large = 'x'.repeat(20 * 1024 * 1024);
    for (let trace = 0; trace < 5; trace++) processor.process([foreign(idOf(good(trace)), { large })], 0);
    assert.equal(processor.held(), 3);
  });

  test("waiting spans keep no room in exporters' queues", () => {
    const processor = createTailSampling(OPTIONS);
    processor.process(good(1), 0);
    assert.equal(processor.reserves?.(), 0);
  });
});

describe('policies', () => {
  test('status_code', () => {
    assert.ok(keeps({ type: 'status_code', codes: ['ERROR'] }, bad(1)));
    assert.ok(!keeps({ type: 'status_code', codes: ['ERROR', 'OK'] }, good(1)));
    assert.ok(keeps({ type: 'status_code', codes: ['UNSET'] }, good(1)));
  });

  test('latency of the whole trace, from its first start to its last end', () => {
    const trace = [...good(1).slice(1), ...good(1, { startUs: 5000 })];
    const at = (thresholdMs: number, upperThresholdMs = 0) =>
      keeps({ type: 'latency', thresholdMs, upperThresholdMs }, trace);
    assert.ok(at(17));
    assert.ok(!at(18));
    assert.ok(at(17, 18));
    assert.ok(!at(10, 17));
  });

  test('latency of a phase', () => {
    const at = (spanName: string, thresholdMs: number) =>
      keeps({ type: 'latency', thresholdMs, upperThresholdMs: 0, spanName }, good(1));
    assert.ok(at('upstream wait', 12));
    assert.ok(!at('read wait', 12));
    assert.ok(at('read wait', 0));
    assert.ok(!at('no such phase', 0));
  });

  test('string_attribute, of spans and of resources', () => {
    const at = (key: string, values: string[], isPattern = false) =>
      keeps({ type: 'string_attribute', key, values, isPattern }, good(1));
    assert.ok(at('hopspan.outcome', ['client_aborted', 'ok']));
    assert.ok(!at('hopspan.outcome', ['o']));
    assert.ok(at('hopspan.outcome', ['^o'], true));
    assert.ok(at('service.name', ['edge']));
    assert.ok(!at('server.port', ['8000']), 'a number is no text');
    assert.ok(!at('constructor', ['ok', 'Object'], true));
  });

  test('numeric_attribute and boolean_attribute', () => {
    const number = (min: number, max: number) =>
      keeps({ type: 'numeric_attribute', key: 'server.port', min, max }, good(1));
    assert.ok(number(8000, 8000));
    assert.ok(!number(8001, 9000));
    const yes = { 'hopspan.connection.preexisting': true };
    const policy: Policy = { type: 'boolean_attribute', key: 'hopspan.connection.preexisting', value: true };
    assert.ok(keeps(policy, good(1, { attributes: yes })));
    assert.ok(!keeps(policy, good(1)));
  });

  test('and: all of them', () => {
    const slow: Policy = { type: 'latency', thresholdMs: 10, upperThresholdMs: 0 };
    const failed: Policy = { type: 'status_code', codes: ['ERROR'] };
    assert.ok(keeps({ type: 'and', policies: [slow, failed] }, bad(1)));
    assert.ok(!keeps({ type: 'and', policies: [slow, failed] }, good(1)));
  });

  test('probabilistic looks at the trace id alone', () => {
    const trace = (digit: string) =>
      good(0).map((span) => ({ ...span, traceId: `${'a'.repeat(18)}${digit}${'0'.repeat(13)}` }));
    for (const [percent, kept] of [
      [0, 0],
      [25, 4],
      [50, 8],
      [100, 16],
    ] as const) {
      const policy: Policy = { type: 'probabilistic', percent };
      const count = [...'0123456789abcdef'].filter((digit) => keeps(policy, trace(digit))).length;
      assert.equal(count, kept, `${percent} %`);
    }
  });
});
