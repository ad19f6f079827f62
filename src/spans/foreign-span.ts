import type { HopSpan, HrTime } from './hop-span.ts';

/**
 * What stands around the spans of one library in one application: OTLP's ResourceSpans without its scope_spans and
 * ScopeSpans without its spans, as protobuf. Spans of one ScopeSpans share one object of this type by identity.
 */
export interface ForeignOrigin {
  readonly resource: Uint8Array;
  readonly scope: Uint8Array;
}

export type ForeignKind = 'UNSPECIFIED' | 'INTERNAL' | 'SERVER' | 'CLIENT' | 'PRODUCER' | 'CONSUMER';

/**
 * A span of somebody else on its way through. It stays the bytes that it came in, so that nothing of it can get lost;
 * beside them only what decides where it goes.
 */
export interface ForeignSpan {
  /** 32 lower-case hexadecimal digits, never all zero. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits, never all zero. */
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: ForeignKind;
  readonly start: HrTime;
  readonly end: HrTime;
  /** opentelemetry.proto.trace.v1.Span, known to be well-formed. */
  readonly bytes: Uint8Array;
  readonly origin: ForeignOrigin;
}

/** What goes through a pipeline: hopspan's own spans, and those of applications. */
export type PipelineSpan = HopSpan | ForeignSpan;

export function isForeign(span: PipelineSpan): span is ForeignSpan {
  return 'bytes' in span;
}

/** Bytes of the applications' spans among these. */
export function foreignBytes(spans: readonly PipelineSpan[]): number {
  let bytes = 0;
  for (const span of spans) if (isForeign(span)) bytes += span.bytes.length;
  return bytes;
}
