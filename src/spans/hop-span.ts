/** Attribute values that hopspan sets; a subset of OpenTelemetry's. */
export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Wall-clock time as [seconds, nanoseconds] since the Unix epoch, as OpenTelemetry's HrTime. */
export type HrTime = [number, number];

/** Nanoseconds from `from` to `to`; exact below 104 days. */
export function elapsedNs(from: HrTime, to: HrTime): number {
  return (to[0] - from[0]) * 1e9 + (to[1] - from[1]);
}

export type SpanKind = 'SERVER' | 'CLIENT' | 'INTERNAL';

/** One watched process; every span of one proxy process shares one object of this type by identity. */
export interface HopResource {
  readonly attributes: Attributes;
}

export interface HopSpanEvent {
  readonly name: string;
  readonly time: HrTime;
  readonly attributes: Attributes;
}

export interface HopSpanLink {
  /** 32 lower-case hexadecimal digits, never all zero. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits, never all zero. */
  readonly spanId: string;
  readonly attributes: Attributes;
}

/**
 * A finished span as plain data: what `spans/` makes, processors change and exporters send.
 * `docs/spans.md` is the contract for names and attributes.
 */
export interface HopSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly traceState?: string;
  /** W3C trace flags; bit 0 is "sampled". */
  readonly traceFlags: number;
  readonly name: string;
  readonly kind: SpanKind;
  readonly start: HrTime;
  /** Never before `start`. */
  readonly end: HrTime;
  readonly attributes: Attributes;
  readonly events: readonly HopSpanEvent[];
  readonly links: readonly HopSpanLink[];
  /** Set when the hop failed; the message says how, in one sentence. */
  readonly error?: string | undefined;
  readonly resource: HopResource;
}

/** Instrumentation scope of every span that hopspan makes. */
export const SCOPE_NAME = 'hopspan';
