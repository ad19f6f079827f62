import type { Config } from '../config/types.ts';
import type { ExporterDeps } from '../exporter/create.ts';
import type { ExporterStats } from '../exporter/exporter.ts';
import { createEbpfReceiver, type EbpfReceiver } from '../receiver/ebpf.ts';
import type { Logger } from '../telemetry/log.ts';
import { createPipelines } from './pipelines.ts';

export interface ServiceDeps extends ExporterDeps {
  readonly log: Logger;
}

/** Everything that one configuration describes, from the probes to the exporters. */
export interface Service {
  /** From the end backwards, so that no span finds a closed door. @throws HopspanError */
  start(): Promise<void>;
  /** From the front, so that everything complete gets out; takes at most `timeoutMs` for sending. May be called twice. */
  shutdown(timeoutMs: number): Promise<void>;
  readonly receivers: readonly EbpfReceiver[];
  exporterStats(): ExporterStats[];
}

export function createService(config: Config, deps: ServiceDeps): Service {
  const pipelines = createPipelines(config, deps);
  const receivers = config.receivers.map((receiver) =>
    createEbpfReceiver(receiver, pipelines.inputOf(receiver.name), pipelines.busy),
  );

  return {
    receivers,
    async start() {
      await pipelines.start();
      for (const receiver of receivers) receiver.start();
    },
    async shutdown(timeoutMs) {
      const startedMs = performance.now();
      await Promise.all(receivers.map((receiver) => receiver.stop(timeoutMs / 2)));
      await pipelines.shutdown(timeoutMs - (performance.now() - startedMs));
    },
    exporterStats: () => pipelines.exporterStats(),
  };
}
