import { otlpMessage, RESOURCE_SPANS, SCOPE_SPANS, SPAN } from '../otlp/schema.ts';
import { toOtlpJsonText } from '../otlp/to-json.ts';
import { type ForeignOrigin, type ForeignSpan, isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import type {
  Attributes,
  AttributeValue,
  HopResource,
  HopSpan,
  HrTime,
  SpanKind,
} from '../spans/hop-span.ts';
import { INSTRUMENTATION_SCOPE } from './scope.ts';

// OTLP/JSON is proto3's JSON mapping with ids in hexadecimal, enums as numbers and 64-bit integers as strings
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). The official JsonTraceSerializer writes
// intValue as a JSON number and NaN as null, so we write it ourselves; fields with default values are left out.

const KINDS: Readonly<Record<SpanKind, number>> = { INTERNAL: 1, SERVER: 2, CLIENT: 3 };
const STATUS_ERROR = 2;
// Span.flags: bit 8 says that bit 9, "the parent is in another process", is known.
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;
const INT64_LIMIT = 2 ** 63;

const SCOPE = JSON.stringify({ name: INSTRUMENTATION_SCOPE.name, version: INSTRUMENTATION_SCOPE.version });

function nanos([seconds, ns]: HrTime): string {
  return `"${seconds}${String(ns).padStart(9, '0')}"`;
}

function numberValue(value: number): string {
  if (Number.isSafeInteger(value)) return `{"intValue":"${value}"}`;
  if (Number.isInteger(value) && value >= -INT64_LIMIT && value < INT64_LIMIT) {
    return `{"intValue":"${BigInt(value)}"}`;
  }
  return Number.isFinite(value) ? `{"doubleValue":${value}}` : `{"doubleValue":"${value}"}`;
}

function anyValue(value: AttributeValue): string {
  if (typeof value === 'string') return `{"stringValue":${JSON.stringify(value)}}`;
  if (typeof value === 'number') return numberValue(value);
  if (typeof value === 'boolean') return `{"boolValue":${value}}`;
  return `{"arrayValue":{"values":[${value.map(anyValue).join(',')}]}}`;
}

/** `,"attributes":[…]`, or nothing when there are none. */
function attributesField(attributes: Attributes): string {
  let list = '';
  for (const [key, value] of Object.entries(attributes)) {
    list += `${list === '' ? '' : ','}{"key":${JSON.stringify(key)},"value":${anyValue(value)}}`;
  }
  return list === '' ? '' : `,"attributes":[${list}]`;
}

function eventJson(event: HopSpan['events'][number]): string {
  const { time, name, attributes } = event;
  return `{"timeUnixNano":${nanos(time)},"name":${JSON.stringify(name)}${attributesField(attributes)}}`;
}

function linkJson(link: HopSpan['links'][number]): string {
  return `{"traceId":"${link.traceId}","spanId":"${link.spanId}"${attributesField(link.attributes)},"flags":${HAS_IS_REMOTE}}`;
}

function spanJson(span: HopSpan): string {
  let json = `{"traceId":"${span.traceId}","spanId":"${span.spanId}"`;
  if (span.traceState !== undefined) json += `,"traceState":${JSON.stringify(span.traceState)}`;
  let flags = (span.traceFlags & 0xff) | HAS_IS_REMOTE;
  if (span.parentSpanId !== undefined) {
    json += `,"parentSpanId":"${span.parentSpanId}"`;
    if (span.kind === 'SERVER') flags |= IS_REMOTE;
  }
  json += `,"flags":${flags},"name":${JSON.stringify(span.name)},"kind":${KINDS[span.kind]}`;
  json += `,"startTimeUnixNano":${nanos(span.start)},"endTimeUnixNano":${nanos(span.end)}`;
  json += attributesField(span.attributes);
  if (span.events.length > 0) json += `,"events":[${span.events.map(eventJson).join(',')}]`;
  if (span.links.length > 0) json += `,"links":[${span.links.map(linkJson).join(',')}]`;
  const message = span.error === '' ? '' : `"message":${JSON.stringify(span.error)},`;
  if (span.error === undefined) json += ',"status":{}';
  else json += `,"status":{${message}"code":${STATUS_ERROR}}`;
  return `${json}}`;
}

/** One ExportTraceServiceRequest as one line of OTLP/JSON, without the line's end. */
export function toOtlpJson(spans: readonly PipelineSpan[]): string {
  const own = new Map<HopResource, string[]>();
  const foreign = new Map<ForeignOrigin, string[]>();
  for (const span of spans) {
    if (isForeign(span)) listIn(foreign, span.origin).push(foreignJson(span));
    else listIn(own, span.resource).push(spanJson(span));
  }
  const resourceSpans = Array.from(own, ([resource, list]) => {
    const attributes = attributesField(resource.attributes).slice(1);
    return `{"resource":{${attributes}},"scopeSpans":[{"scope":${SCOPE},"spans":[${list.join(',')}]}]}`;
  });
  for (const [origin, list] of foreign) {
    const scope = toOtlpJsonText(origin.scope, otlpMessage(SCOPE_SPANS));
    const resource = toOtlpJsonText(origin.resource, otlpMessage(RESOURCE_SPANS));
    const inScope = withMember(scope, `"spans":[${list.join(',')}]`);
    resourceSpans.push(withMember(resource, `"scopeSpans":[${inScope}]`));
  }
  return `{"resourceSpans":[${resourceSpans.join(',')}]}`;
}

function listIn<K>(lists: Map<K, string[]>, key: K): string[] {
  const known = lists.get(key);
  if (known) return known;
  const list: string[] = [];
  lists.set(key, list);
  return list;
}

function foreignJson({ bytes }: ForeignSpan): string {
  return toOtlpJsonText(bytes, otlpMessage(SPAN));
}

/** A JSON object with one member more. */
function withMember(object: string, member: string): string {
  return object === '{}' ? `{${member}}` : `${object.slice(0, -1)},${member}}`;
}
