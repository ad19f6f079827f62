import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OtlpExporterConfig } from '../../../src/config/types.ts';
import { HopspanError } from '../../../src/errors.ts';
import type { EncodedSpans, Exporter, Heir } from '../../../src/exporter/exporter.ts';
import { DEFAULT_OTLP_OPTIONS } from '../../../src/exporter/otlp/options.ts';
import { ExporterSlot } from '../../../src/pipeline/slot.ts';
import type { PipelineSpan } from '../../../src/spans/foreign-span.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const config = (endpoint: string, directory?: string): OtlpExporterConfig => ({
  ...{ ...DEFAULT_OTLP_OPTIONS, type: 'otlp', name: 'otlp', endpoint },
  ...(directory === undefined ? {} : { disk: { directory, maxBytes: 1e9 } }),
});
const spans = (count: number): PipelineSpan[] => makeExchange({}).slice(0, count);

/** Exporters that keep what they get, and that the test ends. */
function fakes(failing: ReadonlySet<string> = new Set()) {
  const events: string[] = [];
  const got = new Map<string, number>();
  let openQueues = 0;
  const gates = new Map<string, () => void>();
  const held = new Set<string>();
  const create = ({ endpoint, disk }: OtlpExporterConfig): Exporter => {
    let waiting = 0;
    let isOpen = false;
    const take = (count: number): void => {
      got.set(endpoint, (got.get(endpoint) ?? 0) + count);
      waiting += count;
    };
    return {
      async start() {
        events.push(`start ${endpoint}`);
        if (failing.has(endpoint)) throw new HopspanError('EXPORTER_START_FAILED', `no ${endpoint}.`);
        if (held.has(endpoint)) await new Promise<void>((resolve) => gates.set(endpoint, resolve));
        if (!disk) return;
        isOpen = true;
        assert.equal(++openQueues, 1, 'a queue has one owner at a time');
      },
      export: (given) => take(given.length),
      adopt: ({ count }: EncodedSpans) => take(count),
      async shutdown(_, heir?: Heir) {
        events.push(`end ${endpoint}${heir ? (heir.sameQueue ? ' for its queue' : ' for its heir') : ''}`);
        if (isOpen) openQueues--;
        isOpen = false;
        if (heir && waiting > 0) heir.adopt({ count: waiting, bytes: new Uint8Array() });
        if (heir) waiting = 0;
      },
      stats: () => ({ name: 'otlp', accepted: waiting, exported: 0, dropped: 0, waiting }),
      hasRoom: () => true,
    };
  };
  const log = createLogLines();
  const open = async (first: OtlpExporterConfig): Promise<ExporterSlot> => {
    const slot = new ExporterSlot(first, (each) => create(each as OtlpExporterConfig), log);
    await slot.start();
    return slot;
  };
  return { open, events, got, log, gates, held };
}

describe('an exporter that is replaced', () => {
  test('works until the new one has started, and leaves it what waits', async () => {
    const { open, events, got } = fakes();
    const slot = await open(config('a'));
    slot.export(spans(2));
    const change = await slot.prepare(config('b'));
    slot.export(spans(1));
    assert.deepEqual([...got], [['a', 3]]);
    change.commit();
    assert.ok(slot.isAs(config('b')) && !slot.isAs(config('a')));
    slot.export(spans(4));
    assert.equal(slot.stats().waiting, 7);
    await change.settle();
    assert.deepEqual(
      [...got],
      [
        ['a', 3],
        ['b', 7],
      ],
    );
    assert.deepEqual(slot.stats(), { name: 'otlp', accepted: 7, exported: 0, dropped: 0, waiting: 7 });
    assert.deepEqual(events, ['start a', 'start b', 'end a for its heir']);
  });

  test('stays where the new one cannot start, or something else cannot', async () => {
    const { open, events, got } = fakes(new Set(['bad']));
    const slot = await open(config('a'));
    await assert.rejects(slot.prepare(config('bad')), /no bad/);
    const change = await slot.prepare(config('b'));
    await change.undo();
    slot.export(spans(1));
    assert.deepEqual([...got], [['a', 1]]);
    assert.deepEqual(events, ['start a', 'start bad', 'end bad', 'start b', 'end b']);
  });
});

describe('a queue on disk', () => {
  test('is closed before the next one opens it, and what comes in between waits', async () => {
    const { open, events, got, gates, held } = fakes();
    held.add('b');
    const slot = await open(config('a', '/q'));
    slot.export(spans(1));
    const preparing = slot.prepare(config('b', '/q/../q'));
    while (!gates.has('b')) await new Promise((resolve) => setImmediate(resolve));
    slot.export(spans(3));
    assert.equal(slot.stats().waiting, 3);
    assert.ok(slot.hasRoom(1) && !slot.hasRoom(1e6));
    gates.get('b')?.();
    const change = await preparing;
    change.commit();
    await change.settle();
    assert.deepEqual(
      [...got],
      [
        ['a', 1],
        ['b', 4],
      ],
    );
    assert.deepEqual(events, ['start a', 'end a for its queue', 'start b']);
    await slot.shutdown(0);
  });

  test('what is more than can wait is dropped and counted', async () => {
    const { open, gates, held } = fakes();
    held.add('b');
    const slot = await open(config('a', '/q'));
    const preparing = slot.prepare(config('b', '/q'));
    while (!gates.has('b')) await new Promise((resolve) => setImmediate(resolve));
    for (let n = 0; n < 3000; n++) slot.export(makeExchange({}));
    const { dropped, waiting } = slot.stats();
    assert.equal(waiting, 20_480);
    assert.equal(dropped, 3000 * makeExchange({}).length - 20_480);
    gates.get('b')?.();
    await preparing;
    assert.equal(slot.stats().waiting, 20_480);
  });

  test('goes back to the old one where the new one cannot open it, or something else cannot', async () => {
    const { open, events, got } = fakes(new Set(['bad']));
    const slot = await open(config('a', '/q'));
    await assert.rejects(slot.prepare(config('bad', '/q')), /no bad/);
    slot.export(spans(1));
    const change = await slot.prepare(config('b', '/q'));
    slot.export(spans(1));
    await change.undo();
    slot.export(spans(1));
    assert.ok(slot.isAs(config('a', '/q')));
    assert.deepEqual(
      [...got],
      [
        ['a', 4],
        ['b', 2],
      ],
    );
    assert.equal(slot.stats().waiting, 3);
    assert.equal(events.filter((event) => event === 'start a').length, 3);
  });
});
