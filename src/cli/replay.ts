import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import type { Config } from '../config/types.ts';
import { createPipelines, type Pipelines } from '../pipeline/pipelines.ts';
import { readRecording } from '../recording/read.ts';
import type { Logger } from '../telemetry/log.ts';
import { type ConfigurationOptions, readConfiguration } from './configuration.ts';
import { logDroppedSpans } from './run-log.ts';
import { untilSignalled } from './signals.ts';

/** Takes the place of the receivers; a name that no configuration can give one. */
const SOURCE = 'recording';
/** Records between two looks at the exporters. */
const BURST = 256;
const PAUSE_MS = 5;

/** `hopspan replay`: a recording through the same pipelines, without a kernel. @throws HopspanError */
export async function replay(file: string, options: Pick<ConfigurationOptions, 'config'>): Promise<void> {
  const { config, log } = readConfiguration(options);
  const pipelines = createPipelines(fromRecording(config), { log, stdout: process.stdout });
  try {
    await pipelines.start();
    await pushAll(file, pipelines, log);
  } finally {
    await pipelines.shutdown(config.shutdownTimeoutMs);
    logDroppedSpans(pipelines.exporterStats(), log);
  }
}

/** Every pipeline gets the recording, once, in the place of its receivers; the first receiver's settings count. */
function fromRecording(config: Config): Config {
  return {
    ...config,
    receivers: config.receivers.slice(0, 1).map((receiver) => ({ ...receiver, name: SOURCE })),
    pipelines: config.pipelines.map((pipeline) => ({ ...pipeline, receivers: [SOURCE] })),
  };
}

async function pushAll(file: string, pipelines: Pipelines, log: Logger): Promise<void> {
  const push = pipelines.inputOf(SOURCE);
  let told = false;
  void untilSignalled().then(() => {
    told = true;
  });
  const records = readRecording(file, ({ dropped }) => {
    if (dropped > 0)
      log.warn({ dropped }, 'some records are missing in the recording: the disk was too slow');
  });
  let count = 0;
  for await (const record of records) {
    push(record);
    if (told) return;
    if (++count % BURST === 0) while (pipelines.busy() && !told) await setTimeoutAsync(PAUSE_MS);
  }
}
