/**
 * What hopspan is as a library: kernel records to spans, without a kernel. The command is in `bin/`.
 */
export { type Correlator, type CorrelatorStats, createCorrelator } from './correlate/correlator.ts';
export type { ExchangeKey, Hop, Pairing } from './correlate/hop.ts';
export { ERRORS, type ErrorCode, HopspanError } from './errors.ts';
export type { Exporter, ExporterStats } from './exporter/exporter.ts';
export { createTracePipeline, type TracePipeline } from './pipeline/traces.ts';
export type { KernelRecord } from './receiver/kernel-record.ts';
export { readRecording } from './recording/read.ts';
export { ATTRIBUTES, type AttributeName } from './spans/attributes.ts';
export { createSpanBuilder, type SpanOptions } from './spans/build.ts';
export type { HopSpan } from './spans/hop-span.ts';
