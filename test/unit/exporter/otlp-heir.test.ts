import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { OtlpExporterConfig } from '../../../src/config/types.ts';
import { createExporter } from '../../../src/exporter/create.ts';
import { DEFAULT_OTLP_OPTIONS } from '../../../src/exporter/otlp/options.ts';
import { ExporterSlot } from '../../../src/pipeline/slot.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { makeExchange, makeResource } from '../../harness/make-spans.ts';
import { type OtlpSink, startOtlpSink } from '../../harness/otlp-sink.ts';
import { freePort } from '../../harness/ports.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const resource = makeResource('edge');
const exchanges = (first: number, count: number): HopSpan[] =>
  Array.from({ length: count }, (_, n) =>
    makeExchange({ resource, traceNumber: first + n, firstSpanNumber: 8 * (first + n) }),
  ).flat();
const idsOf = (spans: readonly { readonly spanId: string }[]): string[] =>
  spans.map(({ spanId }) => spanId).toSorted();

const config = (endpoint: string, parts: Partial<OtlpExporterConfig> = {}): OtlpExporterConfig => ({
  ...{ ...DEFAULT_OTLP_OPTIONS, type: 'otlp', name: 'otlp', endpoint, ...parts },
});

async function open(first: OtlpExporterConfig) {
  const log = createLogLines();
  const create = (each: Parameters<typeof createExporter>[0]) =>
    createExporter(each, { log, stdout: process.stdout });
  const slot = new ExporterSlot(first, create, log);
  await slot.start();
  const replace = async (next: OtlpExporterConfig): Promise<void> => {
    const change = await slot.prepare(next);
    change.commit();
    await change.settle();
  };
  return { slot, log, replace };
}

async function sinks(t: { after(stop: () => Promise<void>): void }): Promise<[OtlpSink, OtlpSink]> {
  const both: [OtlpSink, OtlpSink] = [await startOtlpSink(), await startOtlpSink()];
  for (const sink of both) t.after(() => sink.stop());
  return both;
}

describe('OTLP exporters in one place', () => {
  test('what an endpoint that is down did not take goes to the next one', async (t) => {
    const [sink] = await sinks(t);
    const { slot, replace } = await open(config(`http://127.0.0.1:${await freePort()}`));
    const spans = exchanges(0, 300);
    slot.export(spans);
    await replace(config(sink.endpoint));
    await sink.waitForSpans(spans.length);
    await slot.shutdown(5000);
    assert.deepEqual(idsOf(sink.received()), idsOf(spans));
    const { accepted, exported, dropped, waiting } = slot.stats();
    assert.deepEqual([accepted, exported, dropped, waiting], [spans.length, spans.length, 0, 0]);
  });

  test('what is under way is waited for, and arrives once', async (t) => {
    const [one, two] = await sinks(t);
    const { slot, replace } = await open(config(one.endpoint));
    const spans = exchanges(0, 400);
    one.hang();
    slot.export(spans);
    const replaced = replace(config(two.endpoint));
    await two.waitForSpans(1);
    one.resume();
    await replaced;
    await slot.shutdown(5000);
    assert.deepEqual(idsOf([...one.received(), ...two.received()]), idsOf(spans));
    assert.equal(slot.stats().exported, spans.length);
  });

  test('over HTTP what was encoded for gRPC is sent as it is', async (t) => {
    const sink = await startOtlpSink({ protocol: 'http/protobuf' });
    t.after(() => sink.stop());
    const { slot, replace } = await open(config(`http://127.0.0.1:${await freePort()}`));
    const spans = exchanges(0, 100);
    slot.export(spans);
    await replace(config(`${sink.endpoint}/v1/traces`, { protocol: 'http/protobuf' }));
    await sink.waitForSpans(spans.length);
    await slot.shutdown(5000);
    assert.deepEqual(idsOf(sink.received()), idsOf(spans));
  });
});

describe('queues on disk', () => {
  const disk = { directory: temporaryFolder(after), maxBytes: 2 ** 30 };

  test('the next one sends what the one before left there', async (t) => {
    const [sink] = await sinks(t);
    const { slot, replace } = await open(config(`http://127.0.0.1:${await freePort()}`, { disk }));
    const spans = exchanges(0, 500);
    slot.export(spans);
    const replaced = replace(config(sink.endpoint, { disk }));
    const late = exchanges(1000, 10);
    slot.export(late);
    await replaced;
    await sink.waitForSpans(spans.length + late.length);
    await slot.shutdown(5000);
    assert.deepEqual(idsOf(sink.received()), idsOf([...spans, ...late]));
    const { accepted, exported, dropped } = slot.stats();
    assert.deepEqual([accepted, exported, dropped], [spans.length + late.length, accepted, 0]);
  });

  test('turned off and on again: all arrives once', async (t) => {
    const [one, two] = await sinks(t);
    const { slot, log, replace } = await open(config(one.endpoint, { disk }));
    const spans: HopSpan[] = [];
    for (let round = 0; round < 12; round++) {
      const some = exchanges(100 * round, 100);
      spans.push(...some);
      slot.export(some);
      await replace(config(round % 2 ? one.endpoint : two.endpoint, round % 3 ? { disk } : {}));
    }
    await slot.shutdown(5000);
    assert.deepEqual(idsOf([...one.received(), ...two.received()]), idsOf(spans));
    assert.equal(slot.stats().exported, spans.length);
    assert.deepEqual(
      log.lines.filter((line) => line.startsWith('warn')),
      [],
    );
  });
});

test('the values of headers reach no log, even where the endpoint cites them', async (t) => {
  const { createServer } = await import('node:http');
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(401).end(`no access for ${request.headers.authorization}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const headers = { authorization: 'Bearer s3cret-token-1234' };
  const { slot, log } = await open(
    config(`http://127.0.0.1:${port}/v1/traces`, { protocol: 'http/protobuf', headers }),
  );
  slot.export(exchanges(0, 1));
  await slot.shutdown(5000);
  server.closeAllConnections();
  assert.ok(log.lines.length > 0);
  assert.doesNotMatch(log.lines.join('\n'), /s3cret/);
});
