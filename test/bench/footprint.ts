/** hopspan's own CPU and memory at a steady load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Sink, startWatcher } from './hopspan.ts';
import type { Stage } from './load.ts';
import { round, say, sayAim } from './report.ts';
import { cpuNs, type Memory, memoryOf } from './tools.ts';

const RATES = [2_000, 10_000];
const IDLE_SECONDS = 2;
const WARM_UP_SECONDS = 4;
const SECONDS = 8;
const CPU_AIM = { what: 'CPU per exchange', limit: 25, unit: 'µs' };
const MEMORY_AIM = { what: 'resident memory at its peak', limit: 120, unit: 'MB' };

export async function benchFootprint(stage: Stage, sink: Sink): Promise<void> {
  say(
    `hopspan itself (started by bin/hopspan; each rate for ${SECONDS} s after ${WARM_UP_SECONDS} s that compile)`,
  );
  let us = Number.NaN;
  let most = 0;
  for (const rate of RATES) {
    const watcher = await startWatcher(stage.proxy.pid, sink);
    await watcher.settled();
    const idle = memoryOf(watcher.pid);
    const idleNs = cpuNs(watcher.pid);
    await sleep(IDLE_SECONDS * 1000);
    const idleShare = (cpuNs(watcher.pid) - idleNs) / (IDLE_SECONDS * 1e9);
    await stage.run({ seconds: WARM_UP_SECONDS, rate });
    const before = cpuNs(watcher.pid);
    const { requests, perSecond } = await stage.run({ seconds: SECONDS, rate });
    await watcher.settled();
    us = (cpuNs(watcher.pid) - before) / 1000 / requests;
    const memory = memoryOf(watcher.pid);
    const lost = await watcher.stop();
    most = Math.max(most, memory.VmHWM);
    say(
      `  ${round(perSecond)} exchanges/s: ${round(us)} µs CPU per exchange; idle ${(idleShare * 100).toFixed(1)} % of a processor; ` +
        `lost records: ${lost}`,
    );
    say(`    memory: idle ${sayMemory(idle)}; peak ${round(memory.VmHWM)} MB`);
  }
  sayAim(CPU_AIM, us);
  sayAim(MEMORY_AIM, most);
}

export function sayMemory({ VmRSS, RssAnon, RssFile }: Memory): string {
  return `${round(VmRSS)} MB (${round(RssAnon)} MB its own, ${round(RssFile)} MB of files and of the ring)`;
}
