/** How long a record takes from the ring to the bytes of an OTLP request, stage by stage. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { type Drained, MAX_RECORDS } from './attach.ts';
import type { Stage } from './load.ts';
import { round, say, sayTable } from './report.ts';
import type { StageTimes } from './stages.ts';
import { OTHER_CPU, ROOT, startPinned } from './tools.ts';

const RATE = 8_000;

/** What bin/hopspan tells V8. */
function v8Flags(): string[] {
  const flags = /^v8='(.*)'$/m.exec(readFileSync(join(ROOT, 'bin/hopspan'), 'utf8'))?.[1];
  if (flags === undefined) throw new Error('bin/hopspan has no line with the flags for V8');
  return flags.split(' ');
}

export async function benchPath(stage: Stage): Promise<void> {
  say('From record to span (CPU time; records of real traffic)');
  let remove = (): void => {};
  const folder = temporaryFolder((hook) => {
    remove = hook;
  });
  const file = join(folder, 'records');
  const attached = await startPinned(OTHER_CPU, process.execPath, [
    ...v8Flags(),
    join(ROOT, 'test/bench/attach.ts'),
    String(stage.proxy.pid),
    file,
  ]);
  await attached.line(/attached/);
  const requests = MAX_RECORDS / 2 - 1000; // two records each, and some for connections that end
  await stage.run({ seconds: 20, rate: RATE, requests });
  await attached.stop();
  const drained = JSON.parse(attached.stdout().split('\n')[1] ?? '') as Drained;
  const output = execFileSync('taskset', [
    ...['-c', String(OTHER_CPU), process.execPath, ...v8Flags()],
    ...[join(ROOT, 'test/bench/stages.ts'), file],
  ]);
  remove();
  const times = JSON.parse(output.toString()) as StageTimes;
  const perHop = times.records / times.hops;
  say(
    `  drained: ${round(1e9 / drained.nsPerRecord / 1e6)} million records per second (${round(drained.nsPerRecord)} ns each, decoded)`,
  );
  const names = {
    decode: 'decode',
    correlate: 'correlate',
    spans: 'spans',
    encode: 'encode (OTLP protobuf)',
  };
  const rows = Object.entries(times.ns).map(([stageName, ns]) => [
    names[stageName as keyof typeof names],
    round(ns),
    round((ns * perHop) / 1000),
  ]);
  const all = Object.values(times.ns).reduce((sum, ns) => sum + ns, 0);
  sayTable([
    ['stage', 'ns/record', 'µs/exchange'],
    ...rows,
    ['all', round(all), round((all * perHop) / 1000)],
  ]);
  say(
    `  ${(times.spans / times.hops).toFixed(1)} spans per exchange, ${round(times.bytes / times.spans)} bytes each; ` +
      'what is missing to the CPU per exchange above is sending (gRPC, TCP).',
  );
}
