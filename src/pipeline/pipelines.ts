import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import type { Config } from '../config/types.ts';
import type { CorrelatorStats } from '../correlate/correlator.ts';
import { createExporter, type ExporterDeps } from '../exporter/create.ts';
import type { Exporter, ExporterStats } from '../exporter/exporter.ts';
import type { KernelRecord } from '../receiver/kernel-record.ts';
import { createContextReader } from '../spans/context.ts';
import { createPressure } from './pressure.ts';
import { createPropagator } from './propagator.ts';
import { createTracePipeline, type TracePipeline } from './traces.ts';

/** At the end, connections whose spans are handed on between two looks at how busy the exporters are. */
const FLUSH_CONNECTIONS = 256;
const PAUSE_MS = 5;

/** What one configuration describes behind its receivers: the pipelines, and the exporters at their ends. */
export interface Pipelines {
  /** @throws HopspanError of the first exporter that cannot start. */
  start(): Promise<void>;
  /** Where the records of the receiver of that name go. */
  inputOf(receiver: string): (record: KernelRecord) => void;
  /** An exporter is busy and getting on: whoever pushes records should pause. */
  busy(): boolean;
  /** Completes what can be completed; takes at most `timeoutMs` for sending. May be called twice. */
  shutdown(timeoutMs: number): Promise<void>;
  exporterStats(): ExporterStats[];
  correlatorStats(): Readonly<CorrelatorStats>[];
}

export function createPipelines(config: Config, deps: ExporterDeps): Pipelines {
  const exporters = new Map(
    config.exporters.map((exporter) => [exporter.name, createExporter(exporter, deps)]),
  );
  const readContext = createContextReader(createPropagator(config.propagators));
  const byReceiver = new Map<string, TracePipeline[]>();
  for (const receiver of config.receivers) {
    const pipelines = config.pipelines
      .filter((pipeline) => pipeline.receivers.includes(receiver.name))
      .map((pipeline) =>
        createTracePipeline(
          pipeline.exporters.flatMap((name): Exporter[] => {
            const exporter = exporters.get(name);
            return exporter ? [exporter] : [];
          }),
          {
            phaseFloorNs: receiver.phaseFloorNs,
            resourceAttributes: config.resourceAttributes,
            readContext,
          },
        ),
      );
    byReceiver.set(receiver.name, pipelines);
  }

  const busy = createPressure([...exporters.values()]);

  return {
    async start() {
      for (const exporter of exporters.values()) await exporter.start();
    },
    inputOf(receiver) {
      const pipelines = byReceiver.get(receiver) ?? [];
      return (record) => {
        for (const pipeline of pipelines) pipeline.push(record);
      };
    },
    busy,
    async shutdown(timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      const leftMs = (): number => deadline - performance.now();
      for (const pipeline of [...byReceiver.values()].flat()) {
        while (!pipeline.flush(FLUSH_CONNECTIONS))
          while (busy() && leftMs() > 0) await setTimeoutAsync(PAUSE_MS);
      }
      await Promise.all([...exporters.values()].map((exporter) => exporter.shutdown(Math.max(0, leftMs()))));
    },
    exporterStats: () => [...exporters.values()].map((exporter) => exporter.stats()),
    correlatorStats: () => [...byReceiver.values()].flat().map(({ stats }) => stats),
  };
}
