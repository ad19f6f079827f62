import type { Exporter } from '../exporter/exporter.ts';
import type { Processor } from '../processor/processor.ts';
import type { PipelineSpan } from '../spans/foreign-span.ts';

/** One pipeline behind its receivers: the processors in their order, then every exporter. */
export interface SpanSink {
  export(spans: readonly PipelineSpan[]): void;
  /**
   * Whether every exporter that is not `hopeless` has room for so many more spans, those that wait in processors
   * counted; at least one has.
   */
  hasRoom(count: number): boolean;
  /** Whether a processor asks receivers to hold back. */
  refuses(): boolean;
  /** Gives on what has waited long enough in processors; to be called often. */
  advance(): void;
  /** Gives on a part of what waits in processors, or in those of them that leave; true when nothing waits any more. */
  flush(leaves?: (processor: Processor) => boolean): boolean;
  readonly processors: readonly Processor[];
}

export function createSpanSink(
  processors: readonly Processor[],
  exporters: readonly Exporter[],
  nowMs: () => number = () => performance.now(),
  hopeless: (exporter: Exporter) => boolean = () => false,
): SpanSink {
  /** From the processor of that index on. */
  function pass(spans: readonly PipelineSpan[], from: number): void {
    let rest = spans;
    for (const processor of processors.slice(from)) {
      if (rest.length === 0) return;
      rest = processor.process(rest, nowMs());
    }
    if (rest.length === 0) return;
    for (const exporter of exporters) exporter.export(rest);
  }

  return {
    processors,
    export: (spans) => pass(spans, 0),
    refuses: () => processors.some((processor) => processor.refuses?.(0)),
    hasRoom(count) {
      if (processors.some((processor) => processor.refuses?.(count))) return false;
      const reserved = processors.map((processor) => processor.reserves?.() ?? processor.held());
      const total = reserved.reduce((sum, spans) => sum + spans, count);
      const full = exporters.filter((exporter) => !exporter.hasRoom(total));
      return full.length === 0 || (full.length < exporters.length && full.every(hopeless));
    },
    advance() {
      for (const [index, processor] of processors.entries()) pass(processor.advance(nowMs()), index + 1);
    },
    flush(leaves = () => true) {
      for (const [index, processor] of processors.entries()) {
        if (!leaves(processor)) continue;
        pass(processor.flush(nowMs()), index + 1);
        if (processor.held() > 0) return false;
      }
      return true;
    },
  };
}
