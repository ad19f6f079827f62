import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Config, PipelineConfig } from '../config/types.ts';
import type { CorrelatorStats } from '../correlate/correlator.ts';
import { createExporter, type ExporterDeps } from '../exporter/create.ts';
import type { ExporterStats } from '../exporter/exporter.ts';
import type { Processor, ProcessorStats } from '../processor/processor.ts';
import type { KernelRecord } from '../receiver/kernel-record.ts';
import type { SpanInput } from '../receiver/otlp/intake.ts';
import type { SpanOptions } from '../spans/build.ts';
import { createContextReader } from '../spans/context.ts';
import { type Change, LEAVE_MS, undoAll } from './change.ts';
import { createPressure } from './pressure.ts';
import { createPropagator } from './propagator.ts';
import { createRefusalWarning } from './refusal.ts';
import { createSpanSink, type SpanSink } from './sink.ts';
import { ExporterSlot } from './slot.ts';
import { arrangeStages, countsOf, type Stage } from './stages.ts';
import { createTracePipeline, type HopObserver, type TracePipeline } from './traces.ts';

/** At the end, connections whose spans are handed on between two looks at how busy the exporters are. */
const FLUSH_CONNECTIONS = 256;
const PAUSE_MS = 5;
/** Between two looks at what waits in processors. */
const ADVANCE_MS = 100;

/** What a configuration describes behind its receivers: the pipelines, and the exporters at their ends. */
export interface Pipelines {
  /** Puts the first configuration in force. @throws HopspanError of the first exporter that cannot start. */
  start(): Promise<void>;
  /**
   * Opens what another configuration has and what runs lacks; until `commit` all works on as before. What is configured as
   * before stays as it is, with its state. One change at a time.
   * @throws HopspanError of the first exporter that cannot start; nothing has changed then.
   */
  prepare(next: Config): Promise<Change>;
  /** Completes what a receiver that has stopped can complete, and forgets it. */
  endReceiver(receiver: string): Promise<void>;
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

/** One pipeline behind its receivers. */
interface Chain {
  readonly pipeline: PipelineConfig;
  readonly stages: readonly Stage[];
  readonly sink: SpanSink;
}

/** A chain that was replaced, and what of it is in no other one. */
interface Leaving {
  readonly sink: SpanSink;
  readonly leaves: (processor: Processor) => boolean;
}

/** The middle of a receiver of records: what is known of its connections. */
interface Source {
  readonly pipeline: TracePipeline;
  options: unknown;
}

export function createPipelines(config: Config, deps: PipelineDeps): Pipelines {
  const slots = new Map<string, ExporterSlot>();
  const sources = new Map<string, Source>();
  const leaving = new Set<Leaving>();
  let chains: readonly Chain[] = [];
  const pressure = createPressure(() => slots.values());
  const exportersBusy = pressure.busy;
  const refuses = (): boolean => chains.some(({ sink }) => sink.refuses());
  const tellOfRefusal = createRefusalWarning(deps.log);
  let timer: NodeJS.Timeout | undefined;

  function advance(): void {
    for (const { sink } of chains) sink.advance();
    tellOfRefusal(refuses());
  }

  function sinksBehind(receiver: string): SpanSink[] {
    return chains.flatMap(({ pipeline, sink }) => (pipeline.receivers.includes(receiver) ? [sink] : []));
  }

  function arrangeChain(next: Config, pipeline: PipelineConfig, exporters: ExporterSlots): Chain {
    const before = chains.find((chain) => chain.pipeline.name === pipeline.name);
    const configs = pipeline.processors.flatMap((name) =>
      next.processors.filter((processor) => processor.name === name),
    );
    const stages = arrangeStages(before?.stages ?? [], configs);
    const behind = pipeline.exporters.flatMap((name) => exporters.get(name) ?? []);
    const processors = stages.map(({ processor }) => processor);
    return { pipeline, stages, sink: createSpanSink(processors, behind, undefined, pressure.hopeless) };
  }

  /** Where the spans of hops go, of what is not a receiver yet nowhere. */
  function createSource(receiver: string): TracePipeline {
    const sink = {
      export(spans: Parameters<SpanSink['export']>[0]) {
        for (const each of sinksBehind(receiver)) each.export(spans);
      },
    };
    return createTracePipeline([sink], { phaseFloorNs: 0, resourceAttributes: {} }, deps.hops);
  }

  async function prepare(next: Config): Promise<Change> {
    const changes: Change[] = [];
    const undo = (): Promise<void> => undoAll(changes, deps.log);
    try {
      const exporters = await prepareExporters(next, changes);
      changes.push(await prepareChains(next, exporters));
      changes.push(prepareSources(next));
      return {
        commit() {
          for (const change of changes) change.commit();
          timer ??= setInterval(advance, ADVANCE_MS);
        },
        undo,
        async settle() {
          /* From the front: what processors hand on goes to exporters that are about to end, too. */
          for (const change of changes.toReversed()) await change.settle();
        },
      };
    } catch (error) {
      await undo();
      throw error;
    }
  }

  async function prepareExporters(next: Config, changes: Change[]): Promise<ExporterSlots> {
    const all: ExporterSlots = new Map();
    for (const exporter of next.exporters) {
      let slot = slots.get(exporter.name);
      if (!slot) {
        slot = new ExporterSlot(exporter, (each) => createExporter(each, deps), deps.log);
        changes.push(added(exporter.name, slot));
        await slot.start();
      } else if (!slot.isAs(exporter)) changes.push(await slot.prepare(exporter));
      all.set(exporter.name, slot);
    }
    for (const [name, slot] of slots) if (!all.has(name)) changes.push(removed(name, slot));
    return all;
  }

  function added(name: string, slot: ExporterSlot): Change {
    return {
      commit: () => void slots.set(name, slot),
      undo: () => slot.shutdown(0),
      settle: async () => {},
    };
  }

  function removed(name: string, slot: ExporterSlot): Change {
    return {
      commit: () => {},
      undo: async () => {},
      async settle() {
        await slot.shutdown(LEAVE_MS);
        slots.delete(name);
      },
    };
  }

  async function prepareChains(next: Config, exporters: ExporterSlots): Promise<Change> {
    const before = chains;
    const arranged = next.pipelines.map((pipeline) => arrangeChain(next, pipeline, exporters));
    const known = new Set(before.flatMap(({ stages }) => stages));
    const stages = arranged.flatMap((chain) => chain.stages);
    await Promise.all(
      stages.filter((stage) => !known.has(stage)).map(({ processor }) => processor.start?.()),
    );
    const kept = new Set(stages.map(({ processor }) => processor));
    const left = before.map(({ sink }) => ({ sink, leaves: (each: Processor) => !kept.has(each) }));
    return {
      commit() {
        chains = arranged;
        for (const each of left) leaving.add(each);
        carryCounts(before, arranged);
      },
      undo: async () => {},
      async settle() {
        const deadline = performance.now() + LEAVE_MS;
        for (const each of left) {
          await drain(() => each.sink.flush(each.leaves), deadline);
          leaving.delete(each);
        }
        carryCounts(before, arranged);
      },
    };
  }

  function prepareSources(next: Config): Change {
    const readContext = createContextReader(createPropagator(next.propagators));
    const { propagators, resourceAttributes } = next;
    const fresh: string[] = [];
    for (const { name } of next.receivers) {
      if (sources.has(name)) continue;
      fresh.push(name);
      sources.set(name, { pipeline: createSource(name), options: undefined });
    }
    return {
      commit() {
        for (const { name, phaseFloorNs, unsampled } of next.receivers) {
          const source = sources.get(name);
          const options = { phaseFloorNs, unsampled, resourceAttributes, propagators };
          if (!source || isDeepStrictEqual(source.options, options)) continue;
          source.options = options;
          const spans: SpanOptions = { phaseFloorNs, unsampled, resourceAttributes, readContext };
          source.pipeline.configure(spans);
        }
      },
      async undo() {
        for (const name of fresh) sources.delete(name);
      },
      settle: async () => {},
    };
  }

  /** Flushes to the end, as fast as the exporters follow; after the deadline (of performance.now()) faster than that. */
  async function drain(flush: () => boolean, deadlineMs: number): Promise<void> {
    while (!flush())
      while (exportersBusy() && performance.now() < deadlineMs) await setTimeoutAsync(PAUSE_MS);
  }

  const drainSource = ({ pipeline }: Source, deadlineMs: number): Promise<void> =>
    drain(() => pipeline.flush(FLUSH_CONNECTIONS), deadlineMs);

  return {
    async start() {
      const change = await prepare(config);
      change.commit();
    },
    prepare,
    async endReceiver(receiver) {
      const source = sources.get(receiver);
      if (source) await drainSource(source, performance.now() + LEAVE_MS);
      sources.delete(receiver);
    },
    inputOf: (receiver) => (record) => sources.get(receiver)?.pipeline.push(record),
    spanInputOf: (receiver) => ({
      offer(spans) {
        const behind = sinksBehind(receiver);
        if (behind.length === 0 || exportersBusy()) return false;
        if (!behind.every((sink) => sink.hasRoom(spans.length))) return false;
        for (const sink of behind) sink.export(spans);
        return true;
      },
    }),
    busy: () => exportersBusy() || refuses(),
    async shutdown(timeoutMs) {
      clearInterval(timer);
      const deadline = performance.now() + timeoutMs;
      for (const source of sources.values()) await drainSource(source, deadline);
      const sinks: Pick<Leaving, 'sink'>[] = [...leaving, ...chains];
      for (const { sink } of sinks) await drain(() => sink.flush(), deadline);
      const leftMs = Math.max(0, deadline - performance.now());
      await Promise.all([...slots.values()].map((slot) => slot.shutdown(leftMs)));
    },
    exporterStats: () => [...slots.values()].map((slot) => slot.stats()),
    processorStats: () =>
      chains.flatMap(({ pipeline, stages }) =>
        stages.map((stage) => ({ pipeline: pipeline.name, name: stage.config.name, stats: countsOf(stage) })),
      ),
    correlatorStats: () => [...sources.values()].map(({ pipeline }) => pipeline.stats),
  };
}

type ExporterSlots = Map<string, ExporterSlot>;

/** What was counted in a place stays counted there. */
function carryCounts(before: readonly Chain[], after: readonly Chain[]): void {
  for (const { pipeline, stages } of after) {
    const earlier = before.find((chain) => chain.pipeline.name === pipeline.name)?.stages ?? [];
    for (const stage of stages) {
      const old = earlier.find(({ config }) => config.name === stage.config.name);
      if (old && old !== stage) stage.past = countsOf(old);
    }
  }
}
