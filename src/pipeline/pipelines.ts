import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import type { Config, PipelineConfig } from '../config/types.ts';
import type { CorrelatorStats } from '../correlate/correlator.ts';
import { createExporter, type ExporterDeps } from '../exporter/create.ts';
import type { ExporterStats } from '../exporter/exporter.ts';
import { createProcessor } from '../processor/create.ts';
import type { ProcessorStats } from '../processor/processor.ts';
import type { KernelRecord } from '../receiver/kernel-record.ts';
import type { SpanInput } from '../receiver/otlp/intake.ts';
import { createContextReader } from '../spans/context.ts';
import { createPressure } from './pressure.ts';
import { createPropagator } from './propagator.ts';
import { createRefusalWarning } from './refusal.ts';
import { createSpanSink, type SpanSink } from './sink.ts';
import { createTracePipeline, type HopObserver, type TracePipeline } from './traces.ts';

/** At the end, connections whose spans are handed on between two looks at how busy the exporters are. */
const FLUSH_CONNECTIONS = 256;
const PAUSE_MS = 5;
/** Between two looks at what waits in processors. */
const ADVANCE_MS = 100;

/** What one configuration describes behind its receivers: the pipelines, and the exporters at their ends. */
export interface Pipelines {
  /** @throws HopspanError of the first exporter that cannot start. */
  start(): Promise<void>;
  /** Where the records of the receiver of that name go. */
  inputOf(receiver: string): (record: KernelRecord) => void;
  /** Where the spans of the receiver of that name go. */
  spanInputOf(receiver: string): SpanInput;
  /** An exporter is busy and getting on, or memory is short: whoever pushes records should pause. */
  busy(): boolean;
  /** Completes what can be completed; takes at most `timeoutMs` for sending. May be called twice. */
  shutdown(timeoutMs: number): Promise<void>;
  exporterStats(): ExporterStats[];
  correlatorStats(): Readonly<CorrelatorStats>[];
  processorStats(): ProcessorStats[];
}

export interface PipelineDeps extends ExporterDeps {
  /** Sees the hops of each receiver once, however many pipelines it feeds. */
  readonly hops?: HopObserver;
}

export function createPipelines(config: Config, deps: PipelineDeps): Pipelines {
  const exporters = new Map(
    config.exporters.map((exporter) => [exporter.name, createExporter(exporter, deps)]),
  );
  const pressure = createPressure([...exporters.values()]);
  const readContext = createContextReader(createPropagator(config.propagators));
  const sinks = new Map(config.pipelines.map((pipeline) => [pipeline, sinkOf(pipeline)]));
  const byReceiver = new Map<string, TracePipeline[]>();
  for (const receiver of config.receivers) {
    const options = {
      phaseFloorNs: receiver.phaseFloorNs,
      unsampled: receiver.unsampled,
      resourceAttributes: config.resourceAttributes,
      readContext,
    };
    const pipelines = sinksBehind(receiver.name).map((sink, index) =>
      createTracePipeline([sink], options, index === 0 ? deps.hops : undefined),
    );
    byReceiver.set(receiver.name, pipelines);
  }

  function sinkOf(pipeline: PipelineConfig): SpanSink {
    const processors = pipeline.processors.flatMap((name) =>
      config.processors.filter((processor) => processor.name === name).map(createProcessor),
    );
    const behind = pipeline.exporters.flatMap((name) => exporters.get(name) ?? []);
    return createSpanSink(processors, behind, undefined, pressure.hopeless);
  }

  function sinksBehind(receiver: string): SpanSink[] {
    return [...sinks].flatMap(([pipeline, sink]) => (pipeline.receivers.includes(receiver) ? [sink] : []));
  }

  const exportersBusy = pressure.busy;
  const busy = (): boolean => exportersBusy() || [...sinks.values()].some((sink) => sink.refuses());
  const tellOfRefusal = createRefusalWarning(deps.log);
  let timer: NodeJS.Timeout | undefined;

  return {
    async start() {
      for (const exporter of exporters.values()) await exporter.start();
      const processors = [...sinks.values()].flatMap((sink) => sink.processors);
      await Promise.all(processors.map((processor) => processor.start?.()));
      if (config.processors.length === 0) return;
      timer = setInterval(() => {
        for (const sink of sinks.values()) sink.advance();
        tellOfRefusal([...sinks.values()].some((sink) => sink.refuses()));
      }, ADVANCE_MS);
    },
    inputOf(receiver) {
      const pipelines = byReceiver.get(receiver) ?? [];
      return (record) => {
        for (const pipeline of pipelines) pipeline.push(record);
      };
    },
    spanInputOf(receiver) {
      const behind = sinksBehind(receiver);
      return {
        offer(spans) {
          if (exportersBusy() || !behind.every((sink) => sink.hasRoom(spans.length))) return false;
          for (const sink of behind) sink.export(spans);
          return true;
        },
      };
    },
    busy,
    async shutdown(timeoutMs) {
      clearInterval(timer);
      const deadline = performance.now() + timeoutMs;
      const leftMs = (): number => deadline - performance.now();
      for (const pipeline of [...byReceiver.values()].flat()) {
        while (!pipeline.flush(FLUSH_CONNECTIONS))
          while (exportersBusy() && leftMs() > 0) await setTimeoutAsync(PAUSE_MS);
      }
      for (const sink of sinks.values())
        while (!sink.flush()) while (exportersBusy() && leftMs() > 0) await setTimeoutAsync(PAUSE_MS);
      await Promise.all([...exporters.values()].map((exporter) => exporter.shutdown(Math.max(0, leftMs()))));
    },
    exporterStats: () => [...exporters.values()].map((exporter) => exporter.stats()),
    processorStats: () =>
      [...sinks].flatMap(([{ name: pipeline, processors: names }, { processors }]) =>
        processors.map(({ stats }, index) => ({ pipeline, name: names[index] ?? '', stats })),
      ),
    correlatorStats: () => [...byReceiver.values()].flat().map(({ stats }) => stats),
  };
}
