/** Requests per second through a saturated Envoy, with and without hopspan, in interleaved runs. */
import { type Sink, startWatcher } from './hopspan.ts';
import type { LoadResult, Stage } from './load.ts';
import { median, round, say, sayAim, sayTable } from './report.ts';
import { cpuNs, type Memory, memoryOf } from './tools.ts';

const PAIRS = 6;
const SECONDS = 2.5;
/**
 * hopspan needs about as much CPU per exchange as Envoy does for a small one, and client, backend and collector need some,
 * too. So Envoy gets a part of its processor: what saturates it leaves room on the other one, and the figure tells what
 * hopspan costs Envoy rather than what two processors can hold.
 */
const SHARE = 4;
const AIM = 3;

interface Watched extends LoadResult {
  /** hopspan's CPU time in the run, and its memory after it. */
  readonly hopspanNs: number;
  readonly memory: Memory;
  readonly lostRecords: number;
}

/** @param aim the loss of throughput, in percent, that is aimed at */
export async function benchThroughput(stage: Stage, sink: Sink, aim = AIM, count = PAIRS): Promise<void> {
  say(
    `Throughput (Envoy saturated with a ${SHARE}th of a processor; ${count} interleaved pairs of ${SECONDS} s)`,
  );
  const pairs: { without: LoadResult; watched: Watched }[] = [];
  await stage.withShare(SHARE, async () => {
    await stage.run({ seconds: 1, rate: 0 });
    for (let n = 0; n < count; n++) {
      // Which comes first alternates, so that a machine that drifts favours neither.
      const before = n % 2 ? undefined : await stage.run({ seconds: SECONDS, rate: 0 });
      const watched = await runWatched(stage, sink);
      pairs.push({ watched, without: before ?? (await stage.run({ seconds: SECONDS, rate: 0 })) });
    }
  });
  const without = pairs.map((pair) => pair.without);
  const watched = pairs.map((pair) => pair.watched);
  const middle = (runs: readonly LoadResult[], of: (run: LoadResult) => number): string =>
    round(median(runs.map(of)));
  sayTable([
    ['', 'requests/s', 'Envoy µs/request', 'p50 µs', 'p99 µs'],
    ...(
      [
        ['without', without],
        ['with', watched],
      ] as const
    ).map(([name, runs]) => [
      name,
      middle(runs, ({ perSecond }) => perSecond),
      middle(runs, ({ proxyUs }) => proxyUs),
      middle(runs, ({ p50Us }) => p50Us),
      middle(runs, ({ p99Us }) => p99Us),
    ]),
  ]);
  const ratios = pairs.map(({ watched: a, without: b }) => a.perSecond / b.perSecond);
  const cpu = pairs.map(({ watched: a, without: b }) => a.proxyUs / b.proxyUs);
  /* Where others use the machine, the proxy's own time says more than what it got done in a while. */
  say(`  with / without, Envoy's CPU time per request: ${sayRatios(cpu)}`);
  const own = watched.map(({ hopspanNs, requests }) => hopspanNs / 1000 / requests);
  say(`  hopspan's own CPU time: ${round(median(own))} µs per request`);
  say(
    `  with / without, requests per second: ${sayRatios(ratios)}; ` +
      `lost records: ${watched.reduce((sum, { lostRecords }) => sum + lostRecords, 0)}`,
  );
  sayAim({ what: 'loss of throughput', limit: aim, unit: '%' }, (1 - median(ratios)) * 100);
}

const sayRatios = (all: readonly number[]): string =>
  `median ${median(all).toFixed(3)}, from ${Math.min(...all).toFixed(3)} to ${Math.max(...all).toFixed(3)}`;

/** A saturated Envoy with a processor of its own: more than hopspan can follow on the other one. */
export async function benchSaturation(stage: Stage, sink: Sink): Promise<Memory> {
  say(
    'Saturation (Envoy with a whole processor; client, backend, hopspan and collector share the other one)',
  );
  const without = await stage.run({ seconds: SECONDS, rate: 0 });
  const watched = await runWatched(stage, sink);
  const told = watched.requests - watched.lostRecords / 2;
  say(`  requests/s: ${round(without.perSecond)} without, ${round(watched.perSecond)} with`);
  say(
    `  hopspan: ${round(watched.hopspanNs / 1000 / told)} µs CPU per exchange told, ${watched.lostRecords} of ${2 * watched.requests} records lost (counted and said)`,
  );
  return watched.memory;
}

async function runWatched(stage: Stage, sink: Sink): Promise<Watched> {
  const watcher = await startWatcher(stage.proxy.pid, sink);
  await stage.run({ seconds: 1, rate: 2000 }); // compiles
  const before = cpuNs(watcher.pid);
  const result = await stage.run({ seconds: SECONDS, rate: 0 });
  // What waits in the ring belongs to this run; 1 s is many times what it takes.
  await watcher.settled();
  const hopspanNs = cpuNs(watcher.pid) - before;
  const memory = memoryOf(watcher.pid);
  const lostRecords = await watcher.stop();
  return { ...result, hopspanNs, memory, lostRecords };
}
