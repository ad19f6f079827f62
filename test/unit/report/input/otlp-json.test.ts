import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toOtlpJson } from '../../../../src/exporter/otlp-json.ts';
import { readRequest } from '../../../../src/report/input/otlp-json.ts';
import { at, makeExchange } from '../../../harness/make-spans.ts';

const IDS = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8) };
const TIMES = { startTimeUnixNano: '1767323045000000001', endTimeUnixNano: '1767323045000000009' };
const request = (...spans: unknown[]): string =>
  JSON.stringify({ resourceSpans: [{ resource: {}, scopeSpans: [{ spans }] }] });

describe('OTLP/JSON for the report', () => {
  test('what the file exporter writes comes back whole', () => {
    const spans = makeExchange({
      error: 'the upstream reset',
      attributes: { 'hopspan.headers.added': ['a', 'b'] },
    });
    const [hop, ...rest] = spans;
    assert.ok(hop);
    const event = { name: 'link down', time: at(5), attributes: { 'network.interface.name': 'eth0' } };
    const sent = [{ ...hop, events: [event] }, ...rest];
    const read = readRequest(toOtlpJson(sent));
    assert.equal(read?.broken, 0);
    assert.deepEqual(
      read?.spans.map(({ parentSpanId, ...span }) => (parentSpanId ? { ...span, parentSpanId } : span)),
      sent,
    );
  });

  test('no request: no JSON, another shape, or too deep', () => {
    for (const line of ['', '{', 'null', '[]', '7', '{}', '{"resourceSpans":{}}', '{"logs":[]}'])
      assert.equal(readRequest(line), undefined, line);
    const deep = `{"k":${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}}`;
    const line = request({ ...IDS, ...TIMES, attributes: [{ key: 'k', value: '@' }] }).replace('"@"', deep);
    const read = readRequest(line);
    assert.ok(read === undefined || read.spans.length === 1);
  });

  test('broken spans are counted, and others beside them are read', () => {
    const good = { ...IDS, ...TIMES, name: 'good' };
    const bad = [
      ...[null, 7, 'x', [], {}, { ...good, traceId: '0'.repeat(32) }, { ...good, traceId: 'zz'.repeat(16) }],
      ...[
        { ...good, spanId: 'ab' },
        { ...good, startTimeUnixNano: '-1' },
        { ...good, endTimeUnixNano: {} },
      ],
    ];
    const read = readRequest(request(...bad, good));
    assert.deepEqual([read?.broken, read?.spans.map(({ name }) => name)], [bad.length, ['good']]);
  });

  test('odd values are text, and never an error', () => {
    const attributes = [
      ...[
        { key: 'a', value: { intValue: 'x' } },
        { key: 'b', value: { arrayValue: { values: [{ boolValue: true }] } } },
      ],
      ...[
        { key: 'c', value: { kvlistValue: { values: [] } } },
        { key: 'd' },
        7,
        { key: 5 },
        { key: '__proto__', value: { stringValue: 'x' } },
      ],
    ];
    const span = { ...IDS, ...TIMES, attributes, events: [7, { name: 'no time' }], status: 'odd', kind: 'x' };
    const [read] = readRequest(request(span))?.spans ?? [];
    assert.deepEqual(read?.attributes.b, ['true']);
    assert.deepEqual(
      [read?.attributes.d, read?.kind, read?.events, read?.error],
      ['', 'INTERNAL', [], undefined],
    );
  });
});
