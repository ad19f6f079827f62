/**
 * CPU of the exporters per span: `node test/bench/exporter.ts [batches]`. Batches are 64 exchanges of 8 spans
 * (20 attributes on the hop, 1 or 2 on each phase). The OTLP sink is another process and only counts.
 */
import { fork } from 'node:child_process';
import { unlinkSync } from 'node:fs';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { Exporter } from '../../src/exporter/exporter.ts';
import { createFileExporter } from '../../src/exporter/file/file-exporter.ts';
import { RequestEncoder } from '../../src/exporter/otlp/encode.ts';
import { DEFAULT_OTLP_OPTIONS } from '../../src/exporter/otlp/options.ts';
import { createOtlpExporter } from '../../src/exporter/otlp/otlp-exporter.ts';
import { toOtlpJson } from '../../src/exporter/otlp-json.ts';
import type { HopSpan } from '../../src/spans/hop-span.ts';
import { makeExchange, makeResource } from '../harness/make-spans.ts';
import { toReadableSpan } from '../harness/readable-span.ts';

const SPANS = 512;
const ROUNDS = 5;
const log = { info: () => {}, warn: (message: string) => console.error(message) };

/** Answers every gRPC request with an empty message; decoding is not what is measured. */
function runSink(): void {
  const server = createServer().on('stream', (stream) => {
    stream.resume();
    stream.on('error', () => {});
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.alloc(5));
    });
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit());
}

function makeBatches(count: number): HopSpan[][] {
  const resource = makeResource('edge');
  return Array.from({ length: count }, (_, b) =>
    Array.from({ length: SPANS / 8 }, (_unused, n) =>
      makeExchange({ resource, traceNumber: b * 64 + n }),
    ).flat(),
  );
}

async function measure(what: string, spans: number, run: () => void | Promise<void>): Promise<void> {
  const perSpan: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    perSpan.push((user + system) / spans);
  }
  // The first round compiles.
  const [best = 0] = perSpan.slice(1).sort((a, b) => a - b);
  const list = perSpan.map((us) => us.toFixed(2)).join(' ');
  console.log(`${what.padEnd(34)} ${best.toFixed(2).padStart(6)} µs CPU per span   (rounds: ${list})`);
}

/** Hands everything over at the speed at which it leaves, so that nothing is dropped; sleeps cost no CPU. */
async function push(exporter: Exporter, batches: readonly HopSpan[][]): Promise<void> {
  for (const batch of batches) {
    exporter.export(batch);
    while (exporter.stats().waiting > 20 * SPANS) await sleep(5);
  }
  while (exporter.stats().waiting > 0) await sleep(5);
}

async function main(): Promise<void> {
  const batches = makeBatches(Math.min(Number(process.argv[2] ?? 100), 1000));
  const spans = batches.length * SPANS;
  const sink = fork(import.meta.filename, ['--sink']);
  const port = await new Promise<unknown>((resolve) => sink.once('message', resolve));

  let bytes = 0;
  await measure('adapter (ReadableSpan)', spans, () => {
    for (const batch of batches) bytes += batch.map(toReadableSpan).length;
  });
  bytes = 0;
  await measure('OTLP protobuf, official serialiser', spans, () => {
    for (const batch of batches) {
      bytes += ProtobufTraceSerializer.serializeRequest(batch.map(toReadableSpan))?.length ?? 0;
    }
  });
  bytes = 0;
  await measure('OTLP protobuf, ours', spans, () => {
    const encoder = new RequestEncoder();
    for (const batch of batches) {
      for (const span of batch) encoder.add(span);
      bytes += encoder.finish().length;
    }
  });
  console.log(`  ${Math.round(bytes / ROUNDS / spans)} bytes per span`);
  for (const compression of ['none', 'gzip'] as const) {
    const options = { ...DEFAULT_OTLP_OPTIONS, endpoint: `http://127.0.0.1:${port}`, compression };
    const exporter = createOtlpExporter('otlp', options, { log });
    await exporter.start();
    await measure(`OTLP/gRPC to another process, ${compression}`, spans, () => push(exporter, batches));
    await exporter.shutdown(5000);
    if (exporter.stats().dropped > 0) throw new Error('the bench dropped spans');
  }
  bytes = 0;
  await measure('OTLP/JSON text', spans, () => {
    for (const batch of batches) bytes += toOtlpJson(batch).length;
  });
  console.log(`  ${Math.round(bytes / ROUNDS / spans)} bytes per span`);
  const path = join(tmpdir(), `hopspan-bench-${process.pid}.jsonl`);
  const file = createFileExporter('file', { path }, { log });
  await file.start();
  await measure('file', spans, () => push(file, batches));
  await file.shutdown(5000);
  unlinkSync(path);
  sink.disconnect();
}

if (process.argv[2] === '--sink') runSink();
else await main();
