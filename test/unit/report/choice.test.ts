import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Choice, createChooser, SLOWEST, SLOWEST_OK } from '../../../src/report/choice.ts';
import { Durations } from '../../../src/report/durations.ts';
import { hopFacts } from '../../../src/report/facts.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { at, makeExchange } from '../../harness/make-spans.ts';

/** A hop that takes so long, in a trace of its own. */
function hop(number: number, us: number, outcome = 'ok'): HopSpan {
  const failed = outcome !== 'ok';
  const [root] = makeExchange({
    ...{ traceNumber: number, startUs: number * 1000, attributes: { 'hopspan.outcome': outcome } },
    ...(failed ? { error: outcome } : {}),
  });
  assert.ok(root);
  return { ...root, end: at(number * 1000 + us) };
}

function choose(hops: readonly HopSpan[]): Choice[] {
  const chooser = createChooser();
  const durations = new Durations();
  for (const span of hops) {
    const facts = hopFacts(span);
    chooser.add(facts);
    durations.add(facts.durationNs);
  }
  return chooser.choices([{ name: 'edge :8000', durations }]);
}

const chosenFor = (choices: readonly Choice[], reason: RegExp): number[] =>
  choices
    .filter(({ reasons }) => reasons.some((each) => reason.test(each)))
    .map(({ traceId }) => Number.parseInt(traceId, 16) - 1);

describe('chosen hops', () => {
  const hops = [
    ...Array.from({ length: 300 }, (_, n) => hop(n, 1000 + ((n * 7919) % 300))),
    hop(300, 90_000, 'upstream_reset'),
    hop(301, 10, 'upstream_reset'),
    hop(302, 95_000, 'upstream_reset'),
    hop(303, 50, 'idle_closed'),
  ];

  test('the slowest, the first and longest of each result, and one typical', () => {
    const choices = choose(hops);
    assert.deepEqual(chosenFor(choices, /the slowest of all|of the slowest$/).slice(0, 2), [302, 300]);
    assert.equal(chosenFor(choices, /of the slowest$|slowest of all/).length, SLOWEST);
    assert.deepEqual(chosenFor(choices, /first that ended upstream_reset/), [300]);
    assert.deepEqual(chosenFor(choices, /longest that ended upstream_reset/), [302]);
    assert.deepEqual(chosenFor(choices, /ended idle_closed/), [303]);
    assert.equal(chosenFor(choices, /slowest that ended ok/).length, SLOWEST_OK);
    const [typical] = choices.filter(({ reasons }) =>
      reasons.some((each) => each.startsWith('typical of edge')),
    );
    assert.ok(typical && Math.abs(typical.durationNs - 1_150_000) < 20_000, String(typical?.durationNs));
  });

  test('do not depend on the order of the spans', () => {
    const traces = (choices: readonly Choice[]): string[] => choices.map(({ traceId }) => traceId);
    assert.deepEqual(traces(choose(hops.toReversed())), traces(choose(hops)));
  });

  test('one for each trace, of a chain too', () => {
    const [outer] = makeExchange({ traceNumber: 1 });
    const [inner] = makeExchange({ traceNumber: 1, firstSpanNumber: 50, startUs: 10 });
    assert.ok(outer && inner);
    assert.equal(choose([outer, inner]).length, 1);
  });

  test('stay few, however many results somebody makes up', () => {
    const many = Array.from({ length: 2000 }, (_, n) => hop(n, 1000 + n, `made_up_${n}`));
    assert.ok(choose(many).length < 40);
  });
});
