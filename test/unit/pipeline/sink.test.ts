import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Exporter } from '../../../src/exporter/exporter.ts';
import { createSpanSink } from '../../../src/pipeline/sink.ts';
import type { Processor } from '../../../src/processor/processor.ts';
import type { PipelineSpan } from '../../../src/spans/foreign-span.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const CAPACITY = 100;

/** An exporter that keeps what it gets waiting until it is let go. */
function slow(): Exporter & { readonly spans: PipelineSpan[]; waiting: number } {
  const exporter = {
    spans: [] as PipelineSpan[],
    waiting: 0,
    hasRoom: (count: number) => exporter.waiting + count <= CAPACITY,
    start: async () => {},
    export: (batch: readonly PipelineSpan[]) => {
      exporter.spans.push(...batch);
      exporter.waiting += batch.length;
    },
    shutdown: async () => {},
    stats: () => ({ name: 'slow', accepted: 0, exported: 0, dropped: 0, waiting: exporter.waiting }),
  };
  return exporter;
}

/** Holds everything until it is asked, and writes down when. */
function holding(name: string, said: string[]): Processor {
  let held: PipelineSpan[] = [];
  const give = (): PipelineSpan[] => held.splice(0);
  return {
    process(spans, nowMs) {
      said.push(`${name} ${spans.length} at ${nowMs}`);
      held = [...held, ...spans];
      return [];
    },
    advance: give,
    flush: give,
    stats: {},
    held: () => held.length,
  };
}

const spans = makeExchange();

describe('a pipeline behind its receivers', () => {
  test('without processors goes straight to every exporter', () => {
    const [one, two] = [slow(), slow()];
    const sink = createSpanSink([], [one, two]);
    sink.export(spans);
    sink.flush();
    assert.deepEqual([one.spans, two.spans], [spans, spans]);
  });

  test('processors work in their order, each on what the one before gives on', () => {
    const said: string[] = [];
    const exporter = slow();
    const sink = createSpanSink([holding('a', said), holding('b', said)], [exporter], () => 7);
    sink.export(spans);
    assert.deepEqual(said, ['a 8 at 7']);
    sink.advance();
    assert.deepEqual(said, ['a 8 at 7', 'b 8 at 7']);
    assert.deepEqual(exporter.spans, spans, 'what the second gives in the same round goes out');
  });

  test('the end empties all of them', () => {
    const exporter = slow();
    const sink = createSpanSink([holding('a', []), holding('b', [])], [exporter]);
    sink.export(spans);
    sink.flush();
    assert.deepEqual(exporter.spans, spans);
  });

  test('has room while every exporter has, what waits in processors counted', () => {
    const [one, two] = [slow(), slow()];
    const sink = createSpanSink([holding('a', [])], [one, two]);
    one.waiting = 50;
    assert.ok(sink.hasRoom(50));
    assert.ok(!sink.hasRoom(51));
    sink.export(spans);
    assert.ok(sink.hasRoom(42));
    assert.ok(!sink.hasRoom(43));
    sink.flush();
    assert.ok(sink.hasRoom(42));
    assert.ok(!sink.hasRoom(43));
    two.waiting = CAPACITY;
    assert.ok(!sink.hasRoom(1));
  });

  test('a hopeless one keeps nothing from the others, unless there is no other', () => {
    const [one, two] = [slow(), slow()];
    const sink = createSpanSink([], [one, two], undefined, (exporter) => exporter === two);
    two.waiting = CAPACITY;
    assert.ok(sink.hasRoom(1));
    one.waiting = CAPACITY;
    assert.ok(!sink.hasRoom(1));
    assert.ok(!createSpanSink([], [two], undefined, () => true).hasRoom(1));
  });
});
