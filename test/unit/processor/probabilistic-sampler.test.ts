import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { foreignTraceState } from '../../../src/otlp/span-fields.ts';
import { createProbabilisticSampler } from '../../../src/processor/probabilistic-sampler.ts';
import { withThreshold } from '../../../src/processor/randomness.ts';
import { isForeign, type PipelineSpan } from '../../../src/spans/foreign-span.ts';
import { makeForeign } from '../../harness/foreign-spans.ts';
import { makeExchange } from '../../harness/make-spans.ts';

/** Of a hop and of an application, with this randomness. */
function trace(randomness: string, traceState?: string): PipelineSpan[] {
  const traceId = `5b8efff798038103d2${randomness}`;
  const state = traceState === undefined ? {} : { traceState };
  const app = makeForeign({ traceId, spanId: 'f000000000000001', fromUs: 0, toUs: 900 });
  return [...makeExchange().map((span) => ({ ...span, traceId, ...state })), app];
}

function sample(percent: number, spans: readonly PipelineSpan[]): readonly PipelineSpan[] {
  return createProbabilisticSampler({ percent, precision: 4 }).process(spans, 0);
}

const stateOf = (span: PipelineSpan | undefined) =>
  span && (isForeign(span) ? foreignTraceState(span.bytes) : span.traceState);

describe('probabilistic_sampler', () => {
  test('decides by the trace id, for all spans of a trace alike', () => {
    assert.equal(sample(25, trace('c0000000000000')).length, 9);
    assert.equal(sample(25, trace('bfffffffffffff')).length, 0);
    assert.equal(sample(100, trace('00000000000000')).length, 9);
    assert.equal(sample(0, trace('ffffffffffffff')).length, 0);
  });

  test('by what the root chose, where the tracestate has it', () => {
    const [hop] = trace('00000000000000', 'ot=rv:c0000000000000');
    assert.equal(sample(25, hop ? [hop] : []).length, 1);
  });

  test('says in the tracestate how much it kept, of both kinds of spans', () => {
    const out = sample(10, trace('e6660000000000'));
    assert.equal(out.length, 9);
    for (const span of out) assert.equal(stateOf(span), 'ot=th:e666');
    const [hop] = sample(10, trace('f0000000000000', 'a=b,ot=th:8;rv:f0000000000000'));
    assert.equal(stateOf(hop), 'ot=th:e666;rv:f0000000000000,a=b');
  });

  test('a second sampler, of a larger percentage, leaves all as it is', () => {
    const once = sample(10, trace('f0000000000000'));
    const twice = sample(50, once);
    for (const [index, span] of twice.entries()) assert.equal(span, once[index]);
    assert.equal(twice.length, 9);
  });

  test('counts what it dropped', () => {
    const sampler = createProbabilisticSampler({ percent: 50, precision: 4 });
    sampler.process([...trace('00000000000000'), ...trace('80000000000000')], 0);
    assert.deepEqual(sampler.stats, { droppedSpans: 9 });
  });
});

describe('a tracestate with a threshold', () => {
  const CASES: readonly (readonly [string, string])[] = [
    ['', 'ot=th:c'],
    ['a=b', 'ot=th:c,a=b'],
    [' a=b , ot=rv:00000000000001 ', 'ot=th:c;rv:00000000000001,a=b'],
    ['ot=th:4', 'ot=th:c'],
    ['ot=th:e', 'ot=th:e'],
    ['ot=th:xyz', 'ot=th:c'],
    [`ot=x:${'y'.repeat(254)}`, `ot=x:${'y'.repeat(254)}`],
  ];
  for (const [before, after] of CASES) {
    test(`${before.slice(0, 40)} → ${after.slice(0, 40)}`, () => {
      assert.equal(withThreshold(before, 'c0000000000000'), after);
    });
  }

  test('that is full stays as it is', () => {
    const full = Array.from({ length: 32 }, (_, n) => `k${n}=v`).join(',');
    assert.equal(withThreshold(full, 'c0000000000000'), full);
    assert.equal(withThreshold('', '00000000000000'), 'ot=th:0');
  });
});
