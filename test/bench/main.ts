/**
 * What hopspan costs, on this machine, now: `make bench`, or only HTTP with the argument `http`. About five minutes; as root. docs/overhead.md says what the
 * figures mean. A missed aim does not fail it, a lack of something that it needs does.
 */
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { benchFootprint, sayMemory } from './footprint.ts';
import { type Sink, startSink } from './hopspan.ts';
import { benchHttp } from './http.ts';
import { CONNECTIONS, openStage } from './load.ts';
import { benchPath } from './path.ts';
import { benchProbes } from './probes.ts';
import { say } from './report.ts';
import { benchSaturation, benchThroughput } from './throughput.ts';

async function main(): Promise<void> {
  // An end by a signal runs the exit handlers, too: children are killed, the sysctl is put back.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const [cpu] = cpus();
  const memory = /^MemTotal:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1];
  say(
    `${new Date().toISOString()}  Linux ${release()}, ${cpus().length} × ${cpu?.model.trim()}, ${(Number(memory) / 1e6).toFixed(0)} GB`,
  );
  say(
    `load average ${loadavg()
      .map((load) => load.toFixed(2))
      .join(' ')}; Envoy tcp_proxy, 1 worker, ${CONNECTIONS} connections, 100 bytes there, 200 back\n`,
  );
  const sink = await startSink();
  try {
    if (!process.argv.includes('http')) await benchRelay(sink);
    await benchHttp(sink);
  } finally {
    await sink.stop();
  }
}

/** Opaque bytes through Envoy's tcp_proxy. */
async function benchRelay(sink: Sink): Promise<void> {
  const stage = await openStage();
  try {
    await benchProbes(stage);
    say();
    await benchThroughput(stage, sink);
    say();
    await benchFootprint(stage, sink);
    say();
    const peak = await benchSaturation(stage, sink);
    say(`  memory after it: ${sayMemory(peak)}; peak ${peak.VmHWM.toFixed(0)} MB\n`);
    await benchPath(stage);
  } finally {
    await stage.stop();
  }
}

await main();
