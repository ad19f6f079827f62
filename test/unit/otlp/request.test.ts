import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import protobuf from 'protobufjs';
import { RequestEncoder } from '../../../src/exporter/otlp/encode.ts';
import { toOtlpJson } from '../../../src/exporter/otlp-json.ts';
import { fromOtlpJson } from '../../../src/otlp/from-json.ts';
import { splitRequest } from '../../../src/otlp/request.ts';
import { otlpMessage, REQUEST } from '../../../src/otlp/schema.ts';
import { toOtlpJsonText } from '../../../src/otlp/to-json.ts';
import { Malformed } from '../../../src/otlp/wire.ts';
import type { PipelineSpan } from '../../../src/spans/foreign-span.ts';
import { makeForeign, requestBytes, WHOLE_REQUEST } from '../../harness/foreign-spans.ts';
import { makeExchange } from '../../harness/make-spans.ts';
import { createRandom } from '../../harness/random.ts';

const { Reader, Writer } = protobuf;

function encode(spans: readonly PipelineSpan[]): Uint8Array {
  const encoder = new RequestEncoder();
  for (const span of spans) encoder.add(span);
  return encoder.finish();
}

/** What a receiver of OTLP/JSON reads, in one order of keys. */
const parsed = (bytes: Uint8Array): unknown => JSON.parse(toOtlpJsonText(bytes, otlpMessage(REQUEST)));

describe('a span of somebody else stays whole', () => {
  test('from OTLP/JSON to protobuf and back, every field and type', () => {
    assert.deepEqual(parsed(requestBytes(WHOLE_REQUEST)), WHOLE_REQUEST);
  });

  test('through the otlp exporter, byte for byte', () => {
    const bytes = requestBytes(WHOLE_REQUEST);
    const { spans, rejected } = splitRequest(bytes);
    assert.equal(rejected, 0);
    assert.deepEqual(parsed(encode(spans)), WHOLE_REQUEST);
    assert.equal(encode(spans).length, bytes.length);
  });

  test('through the file exporter', () => {
    assert.deepEqual(JSON.parse(toOtlpJson(splitRequest(requestBytes(WHOLE_REQUEST)).spans)), WHOLE_REQUEST);
  });

  test('with fields that are not known here', () => {
    const unknown = (writer: protobuf.Writer): protobuf.Writer => writer.uint32((99 << 3) | 2).string('new');
    const raw = Buffer.from(splitRequest(requestBytes(WHOLE_REQUEST)).spans[0]?.bytes ?? []);
    const span = Buffer.concat([raw, unknown(Writer.create()).finish()]);
    const scope = unknown(Writer.create().uint32(18).bytes(span)).finish();
    const resource = unknown(Writer.create().uint32(18).bytes(scope)).finish();
    const sent = Buffer.from(encode(splitRequest(Writer.create().uint32(10).bytes(resource).finish()).spans));
    assert.ok(sent.includes(raw));
    assert.equal(sent.toString('latin1').split('new').length - 1, 3);
  });

  test("beside hopspan's own, each under its resource and scope", () => {
    const foreign = [1, 2].map((n) =>
      makeForeign({ traceId: `${n}`.repeat(32), spanId: `${n}`.repeat(16), fromUs: 0, toUs: 1 }),
    );
    const own = makeExchange();
    const mixed = [foreign[0], own[0], foreign[1], ...own.slice(1)] as PipelineSpan[];
    const request = parsed(encode(mixed)) as typeof WHOLE_REQUEST;
    const counts = request.resourceSpans.map(({ scopeSpans }) =>
      scopeSpans.map(({ scope, spans }) => [scope.name, spans.length]),
    );
    assert.deepEqual(counts, [[['http', 1]], [['hopspan', own.length]], [['http', 1]]]);
    const file = JSON.parse(toOtlpJson(mixed)) as typeof WHOLE_REQUEST;
    assert.equal(
      file.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)).length,
      mixed.length,
    );
  });
});

describe('what is no request', () => {
  const bytes = requestBytes(WHOLE_REQUEST);

  test('cut anywhere, it is malformed or a shorter request', () => {
    for (let length = 0; length < bytes.length; length++) tryBytes(bytes.subarray(0, length));
  });

  test('changed anywhere, it is malformed or one that others read, too', () => {
    const random = createRandom(11);
    for (let round = 0; round < 3000; round++) {
      const changed = Buffer.from(bytes);
      for (let count = 0; count < 1 + random() * 3; count++)
        changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256);
      tryBytes(changed);
    }
  });

  test('random bytes', () => {
    const random = createRandom(12);
    for (let round = 0; round < 3000; round++)
      tryBytes(
        Buffer.from(Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256))),
      );
  });

  test('values within values without end', () => {
    let value = Buffer.alloc(0);
    for (let depth = 0; depth < 5000; depth++) {
      const list = Writer.create().uint32(10).bytes(value).finish();
      value = Buffer.from(Writer.create().uint32(42).bytes(list).finish());
    }
    const attribute = Writer.create().uint32(18).bytes(value).finish();
    const resource = Writer.create().uint32(10).bytes(attribute).finish();
    const inResource = Writer.create().uint32(10).bytes(resource).finish();
    assert.throws(() => splitRequest(Writer.create().uint32(10).bytes(inResource).finish()), Malformed);
    let json: unknown = {};
    for (let depth = 0; depth < 500; depth++) json = { arrayValue: { values: [json] } };
    const deep = { resourceSpans: [{ resource: { attributes: [{ key: 'a', value: json }] } }] };
    assert.throws(() => requestBytes(deep), Malformed);
  });

  test('a text that is not UTF-8, which others refuse', () => {
    const at = Buffer.from(bytes).indexOf('everything');
    const changed = Buffer.from(bytes);
    changed[at] = 0xff;
    assert.throws(() => splitRequest(changed), Malformed);
  });

  test('JSON of another shape', () => {
    const spanWith = (fields: object): unknown => ({
      resourceSpans: [
        { scopeSpans: [{ spans: [{ traceId: '11'.repeat(16), spanId: '22'.repeat(8), ...fields }] }] },
      ],
    });
    const bad: unknown[] = [
      ...[[], 5, 'x', null, { resourceSpans: {} }, { resourceSpans: [5] }],
      ...[
        { name: 5 },
        { kind: 'SERVER' },
        { kind: 1.5 },
        { startTimeUnixNano: '-1' },
        { flags: 2 ** 32 },
      ].map(spanWith),
      ...[
        { startTimeUnixNano: '18446744073709551616' },
        { traceId: 'xyz' },
        { attributes: [{ value: { boolValue: 1 } }] },
      ].map(spanWith),
      ...[{ doubleValue: 'much' }, { intValue: '9223372036854775808' }, { bytesValue: '?' }].map((value) =>
        spanWith({ attributes: [{ key: 'k', value }] }),
      ),
    ];
    for (const request of bad)
      assert.throws(() => fromOtlpJson(request, otlpMessage(REQUEST)), Malformed, JSON.stringify(request));
    const unknown = spanWith({ later: { version: 1 }, name: 'n' });
    assert.equal(splitRequest(requestBytes(unknown)).spans.length, 1, 'keys that are not known are let be');
  });
});

describe('spans with ids that no backend takes', () => {
  const request = (spans: object[]): Uint8Array =>
    requestBytes({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
  const good = { traceId: '11'.repeat(16), spanId: '22'.repeat(8) };
  test('are left out, and counted', () => {
    const { spans, rejected } = splitRequest(
      request([
        good,
        { ...good, traceId: '' },
        { ...good, traceId: '00'.repeat(16) },
        { ...good, spanId: '22' },
        { ...good, spanId: '00'.repeat(8) },
        { ...good, parentSpanId: '3333' },
        {},
      ]),
    );
    assert.deepEqual([spans.length, rejected], [1, 6]);
  });
  test("a root's parent may be zeros", () => {
    const [root] = splitRequest(request([{ ...good, parentSpanId: '00'.repeat(8) }])).spans;
    assert.equal(root?.parentSpanId, undefined);
  });
});

/** Malformed, or all of it can be passed on, and protobufjs, which is not ours, reads that. */
function tryBytes(bytes: Uint8Array): void {
  try {
    const { spans } = splitRequest(bytes);
    const sent = encode(spans);
    JSON.parse(toOtlpJson(spans));
    const reader = Reader.create(sent);
    while (reader.pos < reader.len) reader.skipType(reader.uint32() & 7);
    assert.equal(splitRequest(sent).spans.length, spans.length);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
}
