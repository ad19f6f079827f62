import { type Names, namesOf, pickAttributes, resourceAttributes } from '../otlp/attributes.ts';
import { foreignName, foreignStatus, foreignTraceState } from '../otlp/span-fields.ts';
import { isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import { type Attributes, type AttributeValue, elapsedNs } from '../spans/hop-span.ts';

export type StatusCode = 'UNSET' | 'OK' | 'ERROR';

/** What processors look at, the same for hopspan's own spans and for applications'. */
export function nameOf(span: PipelineSpan): string {
  return isForeign(span) ? foreignName(span.bytes) : span.name;
}

export function statusOf(span: PipelineSpan): StatusCode {
  if (isForeign(span)) return foreignStatus(span.bytes).code;
  return span.error === undefined ? 'UNSET' : 'ERROR';
}

export function statusMessageOf(span: PipelineSpan): string {
  return isForeign(span) ? foreignStatus(span.bytes).message : (span.error ?? '');
}

/** The header `tracestate` of the span's context; empty where it has none. */
export function traceStateOf(span: PipelineSpan): string {
  return isForeign(span) ? foreignTraceState(span.bytes) : (span.traceState ?? '');
}

/** Nanoseconds. */
export function durationNs({ start, end }: PipelineSpan): number {
  return elapsedNs(start, end);
}

export type ReadAttribute = (span: PipelineSpan) => AttributeValue | undefined;

/** Reads one attribute of spans; lists and maps of applications' spans are JSON. */
export function spanAttribute(key: string): ReadAttribute {
  const names: Names = namesOf([key]);
  return (span) => own(isForeign(span) ? pickAttributes(span.bytes, names) : span.attributes, key);
}

/** Reads one attribute of spans' resources. */
export function resourceAttribute(key: string): ReadAttribute {
  return (span) => own(isForeign(span) ? resourceAttributes(span.origin) : span.resource.attributes, key);
}

/** Names come from the wire and from files: `constructor` is no attribute. */
function own(attributes: Attributes, key: string): AttributeValue | undefined {
  return Object.hasOwn(attributes, key) ? attributes[key] : undefined;
}
