import { withTraceState } from '../otlp/span-fields.ts';
import { isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import type { Processor } from './processor.ts';
import { randomnessOf, thresholdOf, withThreshold } from './randomness.ts';
import { traceStateOf } from './span-fields.ts';

export interface ProbabilisticSamplerOptions {
  /** From 0 to 100. */
  readonly percent: number;
  /** Hexadecimal digits of the threshold, from 1 to 14. */
  readonly precision: number;
}

/** Since the start. */
export type ProbabilisticSamplerStats = { droppedSpans: number };

/**
 * Keeps a percentage of all traces, by the randomness of their ids: whoever samples by OpenTelemetry's rules takes the
 * same ones, or, with another percentage, a part of them. Nothing is held. The tracestate of what is kept says how much
 * that was, so that backends can count what was not.
 */
export function createProbabilisticSampler(options: ProbabilisticSamplerOptions): Processor {
  const stats: ProbabilisticSamplerStats = { droppedSpans: 0 };
  const threshold = thresholdOf(options.percent / 100, options.precision);
  return {
    stats,
    process(spans) {
      const kept: PipelineSpan[] = [];
      for (const span of spans) {
        const state = traceStateOf(span);
        if (threshold !== undefined && randomnessOf(span.traceId, state) >= threshold)
          kept.push(marked(span, state, threshold));
      }
      stats.droppedSpans += spans.length - kept.length;
      return kept;
    },
    advance: () => [],
    flush: () => [],
    held: () => 0,
  };
}

function marked(span: PipelineSpan, before: string, threshold: string): PipelineSpan {
  const traceState = withThreshold(before, threshold);
  if (traceState === before) return span;
  if (isForeign(span)) return { ...span, bytes: withTraceState(span.bytes, traceState) };
  return { ...span, traceState };
}
