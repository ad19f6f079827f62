import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, test } from 'node:test';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import protobuf from 'protobufjs';
import { toOtlpJson } from '../../../src/exporter/otlp-json.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeExchange, makeResource } from '../../harness/make-spans.ts';
import { toReadableSpan } from '../../harness/readable-span.ts';

const PROTO_ROOT = resolve(import.meta.dirname, '../../../proto');

function requestType(): protobuf.Type {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => resolve(PROTO_ROOT, target);
  root.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto');
  return root.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest');
}

/** OTLP/JSON's hexadecimal ids as the bytes that the message holds. */
function withBinaryIds(json: string): { [key: string]: unknown } {
  return JSON.parse(json, (key, value) =>
    /^(trace|span|parentSpan)Id$/.test(key) ? Buffer.from(value, 'hex') : value,
  );
}

function everything(): HopSpan[] {
  const exchange = makeExchange({ parentSpanId: 'abcdefabcdefabcd', error: 'broken "here"\n' });
  const [hop, phase] = exchange as [HopSpan, HopSpan];
  const other = makeExchange({ resource: makeResource('edge2'), traceNumber: 1 });
  return [
    {
      ...hop,
      traceState: 'vendor=1',
      attributes: {
        ...hop.attributes,
        negative: -5,
        large: 2 ** 53 - 1,
        'no double': 2 ** 60,
        half: 0.5,
        huge: 1e300,
        'not a number': Number.NaN,
        infinite: Number.NEGATIVE_INFINITY,
        list: ['a', 'ü', ''],
        none: [],
        'ünïcode\u0000\u2028': '\u{1f600} "quoted" \\ \u0007',
      },
      events: [{ name: 'e', time: [hop.start[0], 7], attributes: { n: 1 } }],
      links: [{ traceId: 'f'.repeat(32), spanId: 'e'.repeat(16), attributes: { l: 'x' } }],
    },
    { ...phase, attributes: {}, error: '' },
    ...other,
  ];
}

describe('OTLP/JSON', () => {
  test('says the same as the official protobuf serialiser, field by field', () => {
    const type = requestType();
    const spans = everything();
    const plain = { longs: String, bytes: String, enums: String, defaults: true } as const;
    const official = ProtobufTraceSerializer.serializeRequest(spans.map(toReadableSpan));
    assert.ok(official);
    const ours = type.encode(type.fromObject(withBinaryIds(toOtlpJson(spans)))).finish();
    assert.deepEqual(type.toObject(type.decode(ours), plain), type.toObject(type.decode(official), plain));
  });

  test('ids are hexadecimal, 64-bit integers strings, enums numbers; one line', () => {
    const [hop] = makeExchange({ parentSpanId: 'abcdefabcdefabcd', error: 'no answer' }) as [HopSpan];
    const line = toOtlpJson([{ ...hop, attributes: { port: 8000, rtt: 0.5, bad: Number.NaN } }]);
    assert.doesNotMatch(line, /\n/);
    const { resourceSpans } = JSON.parse(line);
    assert.equal(resourceSpans.length, 1);
    assert.deepEqual(resourceSpans[0].resource.attributes[0], {
      key: 'service.name',
      value: { stringValue: 'edge' },
    });
    assert.deepEqual(resourceSpans[0].scopeSpans, [
      {
        scope: { name: 'hopspan', version: '0.1.0' },
        spans: [
          {
            traceId: '00000000000000000000000000000001',
            spanId: '0000000000000001',
            parentSpanId: 'abcdefabcdefabcd',
            flags: 0x301,
            name: 'tcp proxy :8000',
            kind: 2,
            startTimeUnixNano: '1767323045000000000',
            endTimeUnixNano: '1767323045012410000',
            attributes: [
              { key: 'port', value: { intValue: '8000' } },
              { key: 'rtt', value: { doubleValue: 0.5 } },
              { key: 'bad', value: { doubleValue: 'NaN' } },
            ],
            status: { message: 'no answer', code: 2 },
          },
        ],
      },
    ]);
  });

  test('one resourceSpans per resource', () => {
    const edge = makeResource('edge');
    const spans = [
      ...makeExchange({ resource: edge }),
      ...makeExchange({ resource: makeResource('edge2'), traceNumber: 1 }),
      ...makeExchange({ resource: edge, traceNumber: 2 }),
    ];
    const { resourceSpans } = JSON.parse(toOtlpJson(spans));
    assert.deepEqual(
      resourceSpans.map((entry: { scopeSpans: { spans: unknown[] }[] }) => entry.scopeSpans[0]?.spans.length),
      [16, 8],
    );
  });
});

describe('the SDK view of a span', () => {
  test('shares resource and scope between spans of one process', () => {
    const spans = makeExchange().map(toReadableSpan);
    assert.equal(new Set(spans.map((span) => span.resource)).size, 1);
    assert.equal(new Set(spans.map((span) => span.instrumentationScope)).size, 1);
    assert.equal(spans[0]?.resource.attributes['service.name'], 'edge');
  });

  test('has a duration, also across a second', () => {
    const [hop] = makeExchange() as [HopSpan];
    assert.deepEqual(toReadableSpan(hop).duration, [0, 12_410_000]);
    assert.deepEqual(toReadableSpan({ ...hop, start: [5, 999_999_999], end: [7, 1] }).duration, [1, 2]);
  });
});
