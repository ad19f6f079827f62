import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { RequestEncoder } from '../../../src/exporter/otlp/encode.ts';
import type { AttributeValue, HopSpan } from '../../../src/spans/hop-span.ts';
import { makeExchange, makeResource } from '../../harness/make-spans.ts';
import { createRandom } from '../../harness/random.ts';
import { toReadableSpan } from '../../harness/readable-span.ts';

const encoder = new RequestEncoder();

function encodeRequest(spans: readonly HopSpan[]): Uint8Array {
  for (const span of spans) encoder.add(span);
  return encoder.finish();
}

/** The official serialiser decides what is right. */
function assertSameBytes(spans: readonly HopSpan[]): void {
  const official = ProtobufTraceSerializer.serializeRequest(spans.map(toReadableSpan));
  assert.ok(official);
  assert.equal(Buffer.from(encodeRequest(spans)).toString('hex'), Buffer.from(official).toString('hex'));
}

function withAttribute(value: AttributeValue): HopSpan[] {
  return makeExchange({ attributes: { value, 'ünïcode 漢': value } });
}

describe('the same bytes as the official serialiser', () => {
  test('for exchanges of several processes, mixed', () => {
    const resources = [makeResource('edge'), makeResource('edge2')] as const;
    const spans = Array.from({ length: 64 }, (_, traceNumber) =>
      makeExchange({ resource: resources[traceNumber % 3 === 0 ? 0 : 1], traceNumber }),
    );
    assertSameBytes(spans.flat());
    assertSameBytes(spans.reverse().flat());
  });

  test('for every field', () => {
    const [hop, phase] = makeExchange({ parentSpanId: 'abcdefabcdefabcd', error: 'no' }) as [
      HopSpan,
      HopSpan,
    ];
    const link = { traceId: 'f'.repeat(32), spanId: '0123456789abcdef', attributes: { why: 'pool' } };
    const event = { name: 'carrier lost', time: hop.end, attributes: { n: 1 } };
    assertSameBytes([
      { ...hop, links: [link, { ...link, attributes: {} }], events: [event, event], traceState: 'a=1,b=2' },
      { ...phase, error: '', attributes: {}, name: '', traceFlags: 0 },
    ]);
  });

  for (const value of [
    0,
    -0,
    1,
    127,
    128,
    16_384,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    2 ** 62,
    -1,
    -(2 ** 31) - 1,
    2 ** 63,
    1e300,
    0.1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    true,
    false,
    '',
    'x'.repeat(47),
    'x'.repeat(48),
    'x'.repeat(127),
    'x'.repeat(128),
    'x'.repeat(20_000),
    'ü'.repeat(30),
    '\u{1f600}漢字\0',
    [],
    ['a', '', 'ü', 'x'.repeat(200)],
  ] as const) {
    test(`for ${JSON.stringify(value).slice(0, 30)} (${typeof value})`, () =>
      assertSameBytes(withAttribute(value)));
  }

  test('for times from the epoch to the year 2554', () => {
    const [hop] = makeExchange() as [HopSpan];
    const times: [number, number][] = [
      [0, 0],
      [4, 294_967_295],
      [4, 294_967_296],
      [65_535, 999_999_999],
      [65_536, 0],
      [2 ** 31, 1],
      [18_446_744_073, 709_551_615],
    ];
    const random = createRandom(3);
    for (let n = 0; n < 2000; n++) times.push([Math.floor(random() * 2 ** 33), Math.floor(random() * 1e9)]);
    assertSameBytes(times.map((time) => ({ ...hop, start: time, end: time })));
  });

  test('for a request larger than the buffer', () => {
    const big = 'y'.repeat(100_000);
    assertSameBytes(
      Array.from({ length: 12 }, (_, traceNumber) =>
        makeExchange({ traceNumber, attributes: { big } }),
      ).flat(),
    );
    assertSameBytes(makeExchange({ resource: { attributes: { big: 'z'.repeat(600_000) } } }));
  });

  test('for more names of attributes than are kept', () => {
    for (let n = 0; n < 5; n++) {
      const attributes = Object.fromEntries(Array.from({ length: 1500 }, (_, m) => [`name ${n} ${m}`, m]));
      assertSameBytes(makeExchange({ attributes }));
    }
  });

  test('for nothing', () => assert.equal(encodeRequest([]).length, 0));
});
