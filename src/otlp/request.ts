import type { ForeignKind, ForeignOrigin, ForeignSpan } from '../spans/foreign-span.ts';
import type { HrTime } from '../spans/hop-span.ts';
import { otlpMessage, REQUEST } from './schema.ts';
import { Fields, validate } from './wire.ts';

/** ExportTraceServiceRequest.resource_spans, ResourceSpans.scope_spans, ScopeSpans.spans. */
const RESOURCE_SPANS_FIELD = 1;
const SCOPE_SPANS_FIELD = 2;
const SPANS_FIELD = 2;

const SPAN_FIELD = { traceId: 1, spanId: 2, parentSpanId: 4, kind: 6, start: 7, end: 8 } as const;
const KINDS: readonly ForeignKind[] = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const NS_PER_S = 1_000_000_000n;

export interface SplitRequest {
  readonly spans: readonly ForeignSpan[];
  /** Spans whose ids no backend would take. */
  readonly rejected: number;
}

/**
 * Takes an ExportTraceServiceRequest apart into its spans, which stay where they lie.
 * @throws Malformed for bytes that are no such message.
 */
export function splitRequest(bytes: Uint8Array): SplitRequest {
  validate(bytes, otlpMessage(REQUEST));
  const spans: ForeignSpan[] = [];
  let rejected = 0;
  const request = new Fields(bytes);
  while (request.next()) {
    if (request.number !== RESOURCE_SPANS_FIELD) continue;
    const resource = without(request, SCOPE_SPANS_FIELD);
    const inResource = new Fields(bytes, request.start, request.end);
    while (inResource.next()) {
      if (inResource.number !== SCOPE_SPANS_FIELD) continue;
      const origin: ForeignOrigin = { resource, scope: without(inResource, SPANS_FIELD) };
      const inScope = new Fields(bytes, inResource.start, inResource.end);
      while (inScope.next()) {
        if (inScope.number !== SPANS_FIELD) continue;
        const span = readSpan(inScope.value(), origin);
        if (span) spans.push(span);
        else rejected++;
      }
    }
  }
  return { spans, rejected };
}

/** The message on which `at` stands, less one of its fields. */
function without(at: Fields, number: number): Uint8Array {
  const kept: Uint8Array[] = [];
  const fields = new Fields(at.bytes, at.start, at.end);
  while (fields.next()) {
    if (fields.number !== number) kept.push(at.bytes.subarray(fields.tagAt, fields.end));
  }
  return Buffer.concat(kept);
}

function readSpan(bytes: Uint8Array, origin: ForeignOrigin): ForeignSpan | undefined {
  let traceId = '';
  let spanId = '';
  let parentSpanId = '';
  let kind: ForeignKind = 'UNSPECIFIED';
  let start: HrTime = [0, 0];
  let end: HrTime = [0, 0];
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.number === SPAN_FIELD.traceId) traceId = fields.hex();
    else if (fields.number === SPAN_FIELD.spanId) spanId = fields.hex();
    else if (fields.number === SPAN_FIELD.parentSpanId) parentSpanId = fields.hex();
    else if (fields.number === SPAN_FIELD.kind) kind = KINDS[Number(fields.varint())] ?? 'UNSPECIFIED';
    else if (fields.number === SPAN_FIELD.start) start = hrTime(fields.fixed64());
    else if (fields.number === SPAN_FIELD.end) end = hrTime(fields.fixed64());
  }
  const valid = isId(traceId, 32) && isId(spanId, 16) && (parentSpanId === '' || parentSpanId.length === 16);
  if (!valid) return undefined;
  /* Some senders write a root's parent as zeros. */
  const parent = isId(parentSpanId, 16) ? { parentSpanId } : {};
  return { traceId, spanId, ...parent, kind, start, end, bytes, origin };
}

function isId(hex: string, digits: number): boolean {
  return hex.length === digits && !/^0*$/.test(hex);
}

function hrTime(ns: bigint): HrTime {
  return [Number(ns / NS_PER_S), Number(ns % NS_PER_S)];
}

/**
 * The span under another parent, with one text attribute more; all else stays byte for byte.
 * @param parentSpanId 16 hexadecimal digits, in the place of as many
 * @param value short, and ASCII
 */
export function withParent(span: ForeignSpan, parentSpanId: string, key: string, value: string): ForeignSpan {
  const attribute = textAttribute(key, value);
  const { length } = span.bytes;
  const bytes = Buffer.allocUnsafe(length + attribute.length);
  bytes.set(span.bytes);
  bytes.set(attribute, length);
  const fields = new Fields(span.bytes);
  while (fields.next()) {
    if (fields.number === SPAN_FIELD.parentSpanId) bytes.write(parentSpanId, fields.start, 'hex');
  }
  return { ...span, parentSpanId, bytes };
}

/** Span.attributes with a KeyValue whose parts take less than 128 bytes each. */
function textAttribute(key: string, value: string): Buffer {
  const pair = key.length + value.length + 6;
  const head = Buffer.of((9 << 3) | 2, pair, (1 << 3) | 2, key.length);
  const middle = Buffer.of((2 << 3) | 2, value.length + 2, (1 << 3) | 2, value.length);
  return Buffer.concat([head, Buffer.from(key, 'latin1'), middle, Buffer.from(value, 'latin1')]);
}
