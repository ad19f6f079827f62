/** hopspan as users start it, by bin/hopspan, sending over OTLP/gRPC to a process that answers unread. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { cpuNs, OTHER_CPU, ROOT, startPinned } from './tools.ts';

/** hopspan takes less than this part of a processor when it has nothing to do. */
const QUIET_SHARE = 0.05;
const SETTLE_STEP_MS = 250;
const SETTLE_STEPS = 40;

export interface Sink {
  readonly port: number;
  stop(): Promise<unknown>;
}

export async function startSink(): Promise<Sink> {
  const child = await startPinned(OTHER_CPU, process.execPath, [join(ROOT, 'test/bench/sink.ts')]);
  const port = Number((await child.line(/^port \d+/)).split(' ')[1]);
  return { port, stop: () => child.stop() };
}

export interface Watcher {
  readonly pid: number;
  /** Resolves when it has worked off what it had to do, or after 10 s. */
  settled(): Promise<void>;
  /** Resolves with the number of records that it says it lost. */
  stop(): Promise<number>;
}

/** Starts hopspan on the processor that is not the proxy's, and waits until it is attached. */
export async function startWatcher(target: number, sink: Sink): Promise<Watcher> {
  let remove = (): void => {};
  const folder = temporaryFolder((hook) => {
    remove = hook;
  });
  const config = join(folder, 'hopspan.yaml');
  writeFileSync(
    config,
    [
      `receivers: { ebpf: { targets: [{ pid: ${target} }] } }`,
      `exporters: { otlp: { endpoint: "http://127.0.0.1:${sink.port}" } }`,
      'service: { pipelines: { traces: { receivers: [ebpf], exporters: [otlp] } } }',
    ].join('\n'),
  );
  const child = await startPinned(OTHER_CPU, join(ROOT, 'bin/hopspan'), ['run', '--config', config]);
  await child.line(/ready/);
  return {
    pid: child.pid,
    async settled() {
      for (let step = 0; step < SETTLE_STEPS; step++) {
        const before = cpuNs(child.pid);
        await sleep(SETTLE_STEP_MS);
        if (cpuNs(child.pid) - before < QUIET_SHARE * SETTLE_STEP_MS * 1e6) return;
      }
    },
    async stop() {
      const exit = await child.stop('SIGTERM', 10_000);
      remove();
      if (exit.code !== 0)
        throw new Error(`hopspan ended with ${exit.code ?? exit.signal}: ${child.stderr()}`);
      const lost = /(?:ringFull|tableFull|undrained)=(\d+)/g;
      return [...child.stderr().matchAll(lost)].reduce((sum, [, count]) => sum + Number(count), 0);
    },
  };
}
