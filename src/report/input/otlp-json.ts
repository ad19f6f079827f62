import type {
  Attributes,
  AttributeValue,
  HopResource,
  HopSpan,
  HopSpanEvent,
  HrTime,
  SpanKind,
} from '../../spans/hop-span.ts';

// OTLP/JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), read leniently: a span that is not
// what the protocol has there is left out, and what stands beside it counts.

/** Span.SpanKind, as far as the report tells them apart. */
const KINDS: readonly SpanKind[] = ['INTERNAL', 'INTERNAL', 'SERVER', 'CLIENT', 'CLIENT', 'SERVER'];
const STATUS_ERROR = 2;
const TRACE_ID = /^(?!0+$)[0-9a-f]{32}$/i;
const SPAN_ID = /^(?!0+$)[0-9a-f]{16}$/i;
const NONE: readonly never[] = [];

export interface ReadRequest {
  readonly spans: readonly HopSpan[];
  /** Spans without ids or times that can be. */
  readonly broken: number;
}

type Fields = Readonly<Record<string, unknown>>;

/** The spans of one line of OTLP/JSON; undefined for what is no ExportTraceServiceRequest. */
export function readRequest(line: string): ReadRequest | undefined {
  try {
    return requestOf(JSON.parse(line));
  } catch (error) {
    /* No JSON, or values within each other so deep that they end the stack. */
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function requestOf(request: unknown): ReadRequest | undefined {
  if (!isFields(request) || !Array.isArray(request.resourceSpans)) return undefined;
  const spans: HopSpan[] = [];
  let broken = 0;
  for (const ofResource of listOf(request.resourceSpans)) {
    const resource: HopResource = {
      attributes: isFields(ofResource.resource) ? attributesOf(ofResource.resource.attributes) : {},
    };
    for (const ofScope of listOf(ofResource.scopeSpans)) {
      if (!Array.isArray(ofScope.spans)) continue;
      for (const each of ofScope.spans) {
        const span = isFields(each) ? spanOf(each, resource) : undefined;
        if (span) spans.push(span);
        else broken++;
      }
    }
  }
  return { spans, broken };
}

function spanOf(raw: Fields, resource: HopResource): HopSpan | undefined {
  const { traceId, spanId, parentSpanId, name } = raw;
  if (typeof traceId !== 'string' || !TRACE_ID.test(traceId)) return undefined;
  if (typeof spanId !== 'string' || !SPAN_ID.test(spanId)) return undefined;
  const [start, end] = [timeOf(raw.startTimeUnixNano), timeOf(raw.endTimeUnixNano)];
  if (!start || !end) return undefined;
  const status = isFields(raw.status) ? raw.status : {};
  const kind = KINDS[Number(raw.kind ?? 0)] ?? 'INTERNAL';
  return {
    ...{ traceId: traceId.toLowerCase(), spanId: spanId.toLowerCase(), traceFlags: 1, kind, resource },
    ...(typeof parentSpanId === 'string' && parentSpanId !== ''
      ? { parentSpanId: parentSpanId.toLowerCase() }
      : {}),
    ...{ name: typeof name === 'string' ? name : '', start, end },
    attributes: attributesOf(raw.attributes),
    events: raw.events === undefined ? NONE : listOf(raw.events).flatMap((event) => eventOf(event) ?? []),
    links: NONE,
    ...(status.code === STATUS_ERROR
      ? { error: typeof status.message === 'string' ? status.message : '' }
      : {}),
  };
}

function eventOf({ name, timeUnixNano, attributes }: Fields): HopSpanEvent | undefined {
  const time = timeOf(timeUnixNano);
  return time && typeof name === 'string' ? { name, time, attributes: attributesOf(attributes) } : undefined;
}

/** Nanoseconds since the epoch in decimal digits; as a number they have lost some already. */
function timeOf(value: unknown): HrTime | undefined {
  const digits = typeof value === 'number' && Number.isInteger(value) ? String(value) : value;
  if (typeof digits !== 'string' || !/^\d{1,20}$/.test(digits)) return undefined;
  return [Number(digits.slice(0, -9)), Number(digits.slice(-9))];
}

function attributesOf(list: unknown): Attributes {
  if (!Array.isArray(list) || list.length === 0) return {};
  const found: [string, AttributeValue][] = [];
  for (const pair of list) {
    if (isFields(pair) && typeof pair.key === 'string') found.push([pair.key, attributeValue(pair.value)]);
  }
  return Object.fromEntries(found);
}

function attributeValue(value: unknown): AttributeValue {
  if (!isFields(value)) return '';
  const { stringValue, boolValue, intValue, doubleValue, arrayValue } = value;
  if (typeof stringValue === 'string') return stringValue;
  if (typeof boolValue === 'boolean') return boolValue;
  if (intValue !== undefined) return Number(intValue);
  if (doubleValue !== undefined) return Number(doubleValue);
  if (isFields(arrayValue)) return listOf(arrayValue.values).map((item) => String(attributeValue(item)));
  return JSON.stringify(value);
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);
