/**
 * From the ring's bytes to an OTLP request, stage by stage: `node stages.ts FILE` with what attach.ts kept. Every stage
 * is timed together with those before it, so that it meets objects as young as in the product; the differences are
 * its own. Prints one line of JSON.
 */
import { readFileSync } from 'node:fs';
import { createCorrelator } from '../../src/correlate/correlator.ts';
import type { Hop } from '../../src/correlate/hop.ts';
import { RequestEncoder } from '../../src/exporter/otlp/encode.ts';
import type { RingMemory } from '../../src/native/ring.ts';
import { type KernelRecord, RECEIVER_KIND } from '../../src/receiver/kernel-record.ts';
import { KIND, readSideRecord, SIDE_RECORD, type SideRecord } from '../../src/records.gen.ts';
import { createSpanBuilder } from '../../src/spans/build.ts';
import { median } from './report.ts';

const ROUNDS = 9;
/** The first rounds compile. */
const COLD_ROUNDS = 3;
/** As the receiver does. */
const RECORDS_PER_TURN = 512;
const SPANS_PER_BATCH = 512;

/** `ns`: CPU nanoseconds per record, of each stage alone, garbage collection and compilation included. */
export interface StageTimes {
  readonly records: number;
  readonly hops: number;
  readonly spans: number;
  readonly bytes: number;
  readonly ns: Readonly<Record<Stage, number>>;
}

const STAGES = ['decode', 'correlate', 'spans', 'encode'] as const;
export type Stage = (typeof STAGES)[number];

function main(file: string): void {
  const { buffer, byteOffset, byteLength } = readFileSync(file);
  const raw = buffer.slice(byteOffset, byteOffset + byteLength);
  const memory = { u8: new Uint8Array(raw), u16: new Uint16Array(raw), u32: new Uint32Array(raw) };
  const totals = { records: Math.floor(byteLength / SIDE_RECORD.size), hops: 0, spans: 0, bytes: 0 };
  const through = STAGES.map((stage) => {
    const rounds = Array.from({ length: ROUNDS }, () => {
      totals.hops = totals.spans = totals.bytes = 0;
      const before = process.cpuUsage();
      passThrough(memory, stage, totals);
      const { user, system } = process.cpuUsage(before);
      return (user + system) * 1000;
    });
    return median(rounds.slice(COLD_ROUNDS)) / totals.records;
  });
  const ns = Object.fromEntries(
    STAGES.map((stage, n) => [stage, (through[n] ?? 0) - (through[n - 1] ?? 0)]),
  ) as Record<Stage, number>;
  process.stdout.write(`${JSON.stringify({ ...totals, ns } satisfies StageTimes)}\n`);
}

function passThrough(
  memory: RingMemory,
  last: Stage,
  totals: { readonly records: number; hops: number; spans: number; bytes: number },
): void {
  const reach = STAGES.indexOf(last);
  const toSpans = createSpanBuilder({ phaseFloorNs: 0, resourceAttributes: {} });
  const encoder = new RequestEncoder();
  const onHop = (hop: Hop): void => {
    totals.hops++;
    if (reach < 2) return;
    const spans = toSpans(hop);
    totals.spans += spans.length;
    if (reach < 3) return;
    for (const span of spans) encoder.add(span);
    if (encoder.count >= SPANS_PER_BATCH) totals.bytes += encoder.finish().length;
  };
  const correlator = createCorrelator(onHop);
  const push = (record: KernelRecord): void => {
    if (reach > 0) correlator.push(record);
  };
  push({ kind: RECEIVER_KIND.HOST, hostName: 'bench', hostId: '', seed: '0123456789abcdef'.repeat(2) });
  let lastNs = 0;
  for (let n = 0; n < totals.records; n++) {
    const at = n * SIDE_RECORD.size;
    if (memory.u32[at >> 2] !== KIND.SIDE) throw new Error(`record ${n} is not the side of an exchange`);
    const record: SideRecord = readSideRecord(memory, at);
    lastNs = Math.max(lastNs, record.lastReadNs, record.lastWriteNs);
    push(record);
    if (n % RECORDS_PER_TURN === 0)
      push({ kind: RECEIVER_KIND.CLOCK, monotonicNs: lastNs, wallSeconds: 1_700_000_000, wallNanos: 0 });
  }
}

if (import.meta.main) main(process.argv[2] ?? '');
