import { fromOtlpJson } from '../../src/otlp/from-json.ts';
import { splitRequest } from '../../src/otlp/request.ts';
import { otlpMessage, REQUEST } from '../../src/otlp/schema.ts';
import type { ForeignSpan } from '../../src/spans/foreign-span.ts';
import type { Attributes, AttributeValue, HrTime } from '../../src/spans/hop-span.ts';
import { at } from './make-spans.ts';

/** An ExportTraceServiceRequest, of OTLP/JSON. */
export function requestBytes(request: unknown): Uint8Array {
  return fromOtlpJson(request, otlpMessage(REQUEST));
}

export function nanos([seconds, ns]: HrTime): string {
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(ns));
}

function keyValues(attributes: Attributes): object[] {
  const value = (of: AttributeValue): object => {
    if (typeof of === 'boolean') return { boolValue: of };
    return typeof of === 'number' ? { intValue: String(of) } : { stringValue: String(of) };
  };
  return Object.entries(attributes).map(([key, of]) => ({ key, value: value(of) }));
}

export interface ForeignOptions {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  /** OTLP's number; 2, SERVER, where not given. */
  readonly kind?: number;
  readonly fromUs: number;
  readonly toUs: number;
  readonly attributes?: Attributes;
  readonly resource?: Attributes;
}

/** An application's span as it comes out of the receiver. */
export function makeForeign(options: ForeignOptions): ForeignSpan {
  const { traceId, spanId, parentSpanId, kind = 2, fromUs, toUs, attributes = {} } = options;
  const span = {
    ...{ traceId, spanId, parentSpanId, kind, name: 'GET /orders' },
    startTimeUnixNano: nanos(at(fromUs)),
    endTimeUnixNano: nanos(at(toUs)),
    attributes: keyValues(attributes),
  };
  const resource = { attributes: keyValues(options.resource ?? { 'service.name': 'backend' }) };
  const request = { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'http' }, spans: [span] }] }] };
  const [made] = splitRequest(requestBytes(request)).spans;
  if (!made) throw new Error('the span was not taken');
  return made;
}

/** A request with every field that OTLP has, and every type of value. */
export const WHOLE_REQUEST = {
  resourceSpans: [
    {
      resource: {
        attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }],
        droppedAttributesCount: 3,
        entityRefs: [
          { schemaUrl: 'https://e', type: 'service', idKeys: ['service.name'], descriptionKeys: ['a', 'b'] },
        ],
      },
      scopeSpans: [
        {
          scope: {
            name: 'library',
            version: '1.2',
            attributes: [{ key: 'scope', value: { boolValue: false } }],
            droppedAttributesCount: 1,
          },
          spans: [
            {
              traceId: '5b8efff798038103d269b633813fc60c',
              spanId: 'eee19b7ec3c1b174',
              traceState: 'vendor=1,other=x',
              parentSpanId: 'eee19b7ec3c1b173',
              flags: 769,
              name: 'everything 漢',
              kind: 5,
              startTimeUnixNano: '1767323045000000001',
              endTimeUnixNano: '18446744073709551615',
              attributes: [
                { key: 'text', value: { stringValue: '' } },
                { key: 'yes', value: { boolValue: true } },
                { key: 'least', value: { intValue: '-9223372036854775808' } },
                { key: 'half', value: { doubleValue: -0.5 } },
                { key: 'nan', value: { doubleValue: 'NaN' } },
                {
                  key: 'list',
                  value: { arrayValue: { values: [{ intValue: '1' }, { stringValue: 'b' }, {}] } },
                },
                {
                  key: 'map',
                  value: { kvlistValue: { values: [{ key: 'k', value: { bytesValue: 'AQL/' } }] } },
                },
                { key: 'bytes', value: { bytesValue: 'AAEC' } },
                { key: 'empty', value: {} },
              ],
              droppedAttributesCount: 4_294_967_295,
              events: [
                {
                  timeUnixNano: '1767323045000000002',
                  name: 'exception',
                  attributes: [{ key: 'exception.type', value: { stringValue: 'E' } }],
                  droppedAttributesCount: 7,
                },
              ],
              droppedEventsCount: 8,
              links: [
                {
                  traceId: '5b8efff798038103d269b633813fc60d',
                  spanId: 'eee19b7ec3c1b175',
                  traceState: 'a=b',
                  attributes: [{ key: 'l', value: { intValue: '1' } }],
                  droppedAttributesCount: 9,
                  flags: 256,
                },
              ],
              droppedLinksCount: 10,
              status: { message: 'broken', code: 2 },
            },
          ],
          schemaUrl: 'https://opentelemetry.io/schemas/1.37.0',
        },
      ],
      schemaUrl: 'https://opentelemetry.io/schemas/1.36.0',
    },
  ],
};
