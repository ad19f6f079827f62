/**
 * The probes without the product behind them: `node attach.ts PID [FILE]` attaches them to one process until SIGTERM.
 * Without FILE it drains the ring unread. With FILE the records wait in the ring; in the end they are drained and
 * decoded against the clock, and their bytes are written to FILE.
 */
import { writeFileSync } from 'node:fs';
import { loadProbes, type Probes } from '../../src/receiver/probes.ts';
import { listeningPorts } from '../../src/receiver/processes.ts';
import { readSideRecord, SIDE_RECORD } from '../../src/records.gen.ts';

/** With their headers they fit in the ring. */
export const MAX_RECORDS = 54_000;
const RING_BYTES = 1 << 24;
const MAX_CONNECTIONS = 16_384;
const DRAIN_INTERVAL_MS = 20;
/** Drained first, so that the rest meets compiled code. */
const WARM_UP_RECORDS = 20_000;

/** CPU nanoseconds to take a record from the ring and decode it. */
export interface Drained {
  readonly records: number;
  readonly nsPerRecord: number;
}

function main(pid: number, file: string | undefined): void {
  const probes = loadProbes({
    maxConnections: MAX_CONNECTIONS,
    ringBufferBytes: RING_BYTES,
    maxHeadBytes: 8192,
  });
  for (const port of listeningPorts(pid)) probes.addListenPort(port);
  probes.addProcess(pid, 0);
  const drain = (): void => void probes.ring.drain(() => {}, Number.POSITIVE_INFINITY);
  // Keeps the process alive in both cases.
  const timer = setInterval(file === undefined ? drain : () => {}, DRAIN_INTERVAL_MS);
  process.once('SIGTERM', () => {
    clearInterval(timer);
    probes.detach();
    if (file !== undefined) process.stdout.write(`${JSON.stringify(drainTo(file, probes))}\n`);
    probes.close();
  });
  process.stdout.write('attached\n');
}

function drainTo(file: string, { ring }: Probes): Drained {
  const { memory } = ring;
  const offsets: number[] = [];
  let readBytes = 0;
  const read = (offset: number, length: number): void => {
    if (length !== SIDE_RECORD.size) return; // a process that began or ended
    readBytes += readSideRecord(memory, offset).bytesRead;
    offsets.push(offset);
  };
  ring.drain(read, WARM_UP_RECORDS);
  const before = process.cpuUsage();
  const records = ring.drain(read, Number.POSITIVE_INFINITY);
  const { user, system } = process.cpuUsage(before);
  if (readBytes === 0) throw new Error('the records are empty');
  // Nothing is attached any more, so the bytes lie where they were read.
  writeFileSync(file, Buffer.concat(offsets.map((at) => memory.u8.subarray(at, at + SIDE_RECORD.size))));
  return { records, nsPerRecord: ((user + system) * 1000) / records };
}

if (import.meta.main) main(Number(process.argv[2]), process.argv[3]);
