import type { Config, EbpfReceiverConfig } from '../config/types.ts';
import { createExporter, type ExporterDeps } from '../exporter/create.ts';
import type { Exporter, ExporterStats } from '../exporter/exporter.ts';
import { createEbpfReceiver, type EbpfReceiver } from '../receiver/ebpf.ts';
import type { KernelRecord } from '../receiver/kernel-record.ts';
import type { Logger } from '../telemetry/log.ts';
import { createPressure } from './pressure.ts';
import { createTracePipeline, type TracePipeline } from './traces.ts';

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
  const exporters = new Map(
    config.exporters.map((exporter) => [exporter.name, createExporter(exporter, deps)]),
  );
  const pipelinesOf = new Map<EbpfReceiverConfig, TracePipeline[]>();
  for (const receiver of config.receivers) {
    const pipelines = config.pipelines
      .filter((pipeline) => pipeline.receivers.includes(receiver.name))
      .map((pipeline) =>
        createTracePipeline(
          pipeline.exporters.flatMap((name): Exporter[] => {
            const exporter = exporters.get(name);
            return exporter ? [exporter] : [];
          }),
          { phaseFloorNs: receiver.phaseFloorNs, resourceAttributes: config.resourceAttributes },
        ),
      );
    pipelinesOf.set(receiver, pipelines);
  }
  const busy = createPressure([...exporters.values()]);
  const receivers = [...pipelinesOf].map(([receiver, pipelines]) => {
    const push = (record: KernelRecord): void => {
      for (const pipeline of pipelines) pipeline.push(record);
    };
    return createEbpfReceiver(receiver, push, busy);
  });

  return {
    receivers,
    async start() {
      for (const exporter of exporters.values()) await exporter.start();
      for (const receiver of receivers) receiver.start();
    },
    async shutdown(timeoutMs) {
      const startedMs = performance.now();
      await Promise.all(receivers.map((receiver) => receiver.stop(timeoutMs / 2)));
      for (const pipelines of pipelinesOf.values()) for (const pipeline of pipelines) pipeline.flush();
      await Promise.all(
        [...exporters.values()].map((exporter) =>
          exporter.shutdown(timeoutMs - (performance.now() - startedMs)),
        ),
      );
    },
    exporterStats: () => [...exporters.values()].map((exporter) => exporter.stats()),
  };
}
