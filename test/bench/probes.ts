/** What each probe costs per run, and what all of them cost per exchange. */
import { join } from 'node:path';
import { emptyRunNs, type Runs, runsBetween, runsOf, withStatistics } from './bpf-stats.ts';
import type { Stage } from './load.ts';
import { round, say, sayAim, sayTable } from './report.ts';
import { OTHER_CPU, ROOT, startPinned } from './tools.ts';

const SECONDS = 3;
const AIM = { what: 'mean of all probe runs', limit: 250, unit: 'ns' };

export async function benchProbes(stage: Stage): Promise<void> {
  say('Probes (kernel.bpf_stats_enabled; Envoy saturated)');
  await withStatistics(() => measure(stage));
}

async function measure(stage: Stage): Promise<void> {
  const bypass = { seconds: SECONDS, rate: 0, bypass: true };
  const emptyNs = await emptyRunNs(() => stage.run({ ...bypass, seconds: 1 }));
  const attached = await startPinned(OTHER_CPU, process.execPath, [
    join(ROOT, 'test/bench/attach.ts'),
    String(stage.proxy.pid),
  ]);
  await attached.line(/attached/);
  const start = runsOf(attached.pid);
  const relayed = await stage.run({ seconds: SECONDS, rate: 0 });
  const middle = runsOf(attached.pid);
  const direct = await stage.run(bypass);
  const end = runsOf(attached.pid);
  await attached.stop();

  const through = runsBetween(start, middle);
  const past = runsBetween(middle, end);
  const rows = [['program', 'runs/exchange', 'mean ns', 'sockets of others', 'watched sockets']];
  const all: Runs[] = [];
  const watched: Runs[] = [];
  for (const [name, runs] of through) {
    if (runs.count < relayed.requests / 100) continue; // per connection or process
    const other = past.get(name) ?? { count: 0, ns: 0 };
    const share = relayed.requests / direct.requests;
    const own = { count: runs.count - other.count * share, ns: runs.ns - other.ns * share };
    all.push(runs);
    watched.push(own);
    rows.push([name, (runs.count / relayed.requests).toFixed(1), ...[runs, other, own].map(mean)]);
  }
  sayTable(rows);
  const own = sum(watched);
  const perExchange = own.ns / relayed.requests;
  const net = perExchange - (own.count / relayed.requests) * emptyNs;
  say('  Load past Envoy tells what sockets of others (client, backend) cost; the rest is the watched ones.');
  say(`  A program that does nothing has ${round(emptyNs)} ns by the same statistics: that much is theirs.`);
  say(
    `  Watched sockets, per exchange: ${(own.count / relayed.requests).toFixed(1)} runs, ${round(perExchange)} ns; ` +
      `${round(net)} ns without the statistics.`,
  );
  const { count, ns } = sum(all);
  sayAim(AIM, ns / count);
}

function sum(all: readonly Runs[]): Runs {
  return all.reduce((total, { count, ns }) => ({ count: total.count + count, ns: total.ns + ns }));
}

function mean({ count, ns }: Runs): string {
  return count > 0 ? round(ns / count) : '-';
}
