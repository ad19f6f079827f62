import type { Attributes, AttributeValue, HopSpan, HrTime, SpanKind } from '../../src/spans/hop-span.ts';

/** One span as a backend would read it, ids in hexadecimal, times in nanoseconds since the epoch. */
export interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly flags: number;
  readonly name: string;
  /** As the specification spells it, without `SPAN_KIND_`. */
  readonly kind: 'UNSPECIFIED' | 'INTERNAL' | 'SERVER' | 'CLIENT' | 'PRODUCER' | 'CONSUMER';
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attributes;
  /** The resource's attributes. */
  readonly resource: Attributes;
  /** `service.name` of the resource. */
  readonly service: string;
  readonly scope: { readonly name: string; readonly version: string };
  readonly events: readonly {
    readonly name: string;
    readonly timeNs: bigint;
    readonly attributes: Attributes;
  }[];
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: Attributes;
  }[];
  readonly status: { readonly code: 'UNSET' | 'OK' | 'ERROR'; readonly message: string };
}

interface RawValue {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string;
  doubleValue?: number;
  arrayValue?: { values?: RawValue[] };
}

interface RawKeyValue {
  key: string;
  value?: RawValue;
}

interface RawSpan {
  traceId: Buffer;
  spanId: Buffer;
  parentSpanId?: Buffer;
  traceState?: string;
  flags?: number;
  name: string;
  kind?: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes?: RawKeyValue[];
  events?: { name: string; timeUnixNano: string; attributes?: RawKeyValue[] }[];
  links?: { traceId: Buffer; spanId: Buffer; attributes?: RawKeyValue[] }[];
  status?: { code?: number; message?: string };
}

/** What proto-loader makes of an ExportTraceServiceRequest (camel case, 64-bit integers as strings). */
export interface RawRequest {
  resourceSpans?: {
    resource?: { attributes?: RawKeyValue[] };
    scopeSpans?: { scope?: { name?: string; version?: string }; spans?: RawSpan[] }[];
  }[];
}

const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'] as const;
const CODES = ['UNSET', 'OK', 'ERROR'] as const;

function readValue(value: RawValue | undefined): AttributeValue {
  if (value?.stringValue !== undefined) return value.stringValue;
  if (value?.boolValue !== undefined) return value.boolValue;
  if (value?.intValue !== undefined) return Number(value.intValue);
  if (value?.doubleValue !== undefined) return value.doubleValue;
  if (value?.arrayValue !== undefined)
    return (value.arrayValue.values ?? []).map((v) => String(readValue(v)));
  return '';
}

function readAttributes(list: RawKeyValue[] | undefined): Attributes {
  return Object.fromEntries((list ?? []).map(({ key, value }) => [key, readValue(value)]));
}

function hex(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : Buffer.from(bytes).toString('hex');
}

/** The request's spans, one flat object each. */
export function flattenRequest(request: RawRequest): OtlpSpan[] {
  const flat: OtlpSpan[] = [];
  for (const { resource: rawResource, scopeSpans } of request.resourceSpans ?? []) {
    const resource = readAttributes(rawResource?.attributes);
    for (const { scope, spans } of scopeSpans ?? []) {
      for (const span of spans ?? []) {
        flat.push({
          traceId: hex(span.traceId),
          spanId: hex(span.spanId),
          parentSpanId: hex(span.parentSpanId),
          traceState: span.traceState ?? '',
          flags: span.flags ?? 0,
          name: span.name,
          kind: KINDS[span.kind ?? 0] ?? 'UNSPECIFIED',
          startNs: BigInt(span.startTimeUnixNano),
          endNs: BigInt(span.endTimeUnixNano),
          attributes: readAttributes(span.attributes),
          resource,
          service: String(resource['service.name'] ?? ''),
          scope: { name: scope?.name ?? '', version: scope?.version ?? '' },
          events: (span.events ?? []).map((event) => ({
            name: event.name,
            timeNs: BigInt(event.timeUnixNano),
            attributes: readAttributes(event.attributes),
          })),
          links: (span.links ?? []).map((link) => ({
            traceId: hex(link.traceId),
            spanId: hex(link.spanId),
            attributes: readAttributes(link.attributes),
          })),
          status: { code: CODES[span.status?.code ?? 0] ?? 'UNSET', message: span.status?.message ?? '' },
        });
      }
    }
  }
  return flat;
}

const HOP_KIND: Readonly<Record<OtlpSpan['kind'], SpanKind>> = {
  UNSPECIFIED: 'INTERNAL',
  INTERNAL: 'INTERNAL',
  SERVER: 'SERVER',
  CLIENT: 'CLIENT',
  PRODUCER: 'CLIENT',
  CONSUMER: 'SERVER',
};

function hrTime(ns: bigint): HrTime {
  return [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];
}

/** An application's spans in the shape of hopspan's own, so that the console can show both side by side. */
export function asHopSpans(spans: readonly OtlpSpan[]): HopSpan[] {
  const resources = new Map<string, { attributes: Attributes }>();
  return spans.map((span) => {
    const key = JSON.stringify(span.resource);
    const resource = resources.get(key) ?? { attributes: span.resource };
    resources.set(key, resource);
    return {
      traceId: span.traceId,
      spanId: span.spanId,
      ...(span.parentSpanId === '' ? {} : { parentSpanId: span.parentSpanId }),
      ...(span.traceState === '' ? {} : { traceState: span.traceState }),
      traceFlags: span.flags & 0xff,
      name: span.name,
      kind: HOP_KIND[span.kind],
      start: hrTime(span.startNs),
      end: hrTime(span.endNs),
      attributes: span.attributes,
      events: span.events.map(({ name, timeNs, attributes }) => ({ name, time: hrTime(timeNs), attributes })),
      links: span.links,
      ...(span.status.code === 'ERROR' ? { error: span.status.message } : {}),
      resource,
    };
  });
}
