import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resourceAttributes } from '../../../src/otlp/attributes.ts';
import { splitRequest } from '../../../src/otlp/request.ts';
import { otlpMessage, RESOURCE_SPANS, SCOPE_SPANS, SPAN } from '../../../src/otlp/schema.ts';
import { toOtlpJsonText } from '../../../src/otlp/to-json.ts';
import { createRedaction, type RedactionOptions } from '../../../src/processor/redaction.ts';
import { type ForeignSpan, isForeign } from '../../../src/spans/foreign-span.ts';
import type { Attributes, HopSpan } from '../../../src/spans/hop-span.ts';
import { requestBytes, WHOLE_REQUEST } from '../../harness/foreign-spans.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const CARD = '4111111111111111';
const OPTIONS: RedactionOptions = {
  allowAllKeys: true,
  allowedKeys: [],
  ignoredKeys: [],
  blockedKeyPatterns: [],
  blockedValues: ['4[0-9]{12}(?:[0-9]{3})?'],
  allowedValues: [],
  redactAllTypes: false,
};

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
const NESTED = {
  key: 'nested',
  value: {
    kvlistValue: {
      values: [
        { key: 'list', value: { arrayValue: { values: [{ stringValue: `x${CARD}y` }, { intValue: '1' }] } } },
      ],
    },
  },
};

function app(attributes: readonly object[]): ForeignSpan {
  const span = {
    ...{ traceId: '5b8efff798038103d269b633813fc60c', spanId: 'eee19b7ec3c1b174', name: 'pay' },
    ...{
      attributes,
      events: [{ name: 'e', attributes }],
      links: [{ traceId: 'ff', spanId: 'ee', attributes }],
    },
  };
  const resource = { attributes: [...attributes, text('service.name', 'shop')] };
  const scope = { name: 'library', attributes };
  const request = { resourceSpans: [{ resource, scopeSpans: [{ scope, spans: [span] }] }] };
  const [made] = splitRequest(requestBytes(request)).spans;
  assert.ok(made);
  return made;
}

function json({ bytes, origin }: ForeignSpan): string {
  return [
    toOtlpJsonText(bytes, otlpMessage(SPAN)),
    toOtlpJsonText(origin.resource, otlpMessage(RESOURCE_SPANS)),
    toOtlpJsonText(origin.scope, otlpMessage(SCOPE_SPANS)),
  ].join('\n');
}

function redact(options: Partial<RedactionOptions>, span: ForeignSpan): ForeignSpan {
  const [out] = createRedaction({ ...OPTIONS, ...options }).process([span], 0);
  assert.ok(out && isForeign(out));
  return out;
}

function redactHop(options: Partial<RedactionOptions>, attributes: Attributes): Attributes {
  const span = { ...makeExchange()[0], attributes } as HopSpan;
  const [out] = createRedaction({ ...OPTIONS, ...options }).process([span], 0);
  assert.ok(out && !isForeign(out));
  return out.attributes;
}

describe("redaction of applications' spans", () => {
  test('masks what matches, everywhere where attributes stand', () => {
    const before = app([text('a', `card ${CARD}, ${CARD}`), NESTED, text('b', 'fine')]);
    const after = json(redact({}, before));
    assert.ok(!after.includes(CARD));
    assert.equal(after, json(before).replaceAll(CARD, '****'));
  });

  test('leaves alone, byte for byte, what has nothing to hide', () => {
    const [whole] = splitRequest(requestBytes(WHOLE_REQUEST)).spans;
    assert.ok(whole);
    assert.equal(redact({}, whole), whole);
  });

  test('spans of one origin keep one origin', () => {
    const span = app([text('a', CARD)]);
    const out = createRedaction(OPTIONS).process([span, { ...span, spanId: 'f000000000000001' }], 0);
    assert.ok(out[0] && out[1] && isForeign(out[0]) && isForeign(out[1]));
    assert.equal(out[0].origin, out[1].origin);
    assert.notEqual(out[0].origin, span.origin);
  });

  test('removes keys that are not allowed, and masks values of blocked ones', () => {
    const before = app([text('keep', 'a'), text('my_token', 'secret'), text('other', 'b')]);
    const after = json(
      redact(
        { allowAllKeys: false, allowedKeys: ['keep', 'my_token'], blockedKeyPatterns: ['token'] },
        before,
      ),
    );
    assert.ok(after.includes('"keep"') && after.includes('****'));
    assert.ok(!after.includes('other') && !after.includes('secret') && !after.includes('service.name'));
  });

  test('numbers only where all types are asked for', () => {
    const before = app([{ key: 'n', value: { intValue: CARD } }]);
    assert.ok(json(redact({}, before)).includes(CARD));
    assert.ok(!json(redact({ redactAllTypes: true }, before)).includes(CARD));
  });

  test('a value that comes twice hides nothing', () => {
    const pair = (value: Buffer) => Buffer.concat([Buffer.of(10, 1, 0x61), value, value]);
    const list = Buffer.from([18, 22, 42, 20, 10, 18, 10, 16, ...Buffer.from(CARD)]);
    const attribute = pair(list);
    const span = app([]);
    const bytes = Buffer.concat([span.bytes, Buffer.of(74, attribute.length), attribute]);
    const out = redact({}, { ...span, bytes });
    assert.ok(bytes.includes(CARD) && !Buffer.from(out.bytes).includes(CARD));
  });

  test('patterns take linear time on hostile values', () => {
    const out = redact({ blockedValues: ['(a+)+$'] }, app([text('a', `${'a'.repeat(50_000)}b`)]));
    assert.ok(json(out).includes('aab'));
  });
});

describe('redaction of hops', () => {
  test('texts, lists, and the same rules for keys', () => {
    const attributes = { a: `x ${CARD}`, list: [CARD, 'fine'], n: 5, key_token: 'k' };
    assert.deepEqual(redactHop({ blockedKeyPatterns: ['token'] }, attributes), {
      ...{ a: 'x ****', list: ['****', 'fine'], n: 5, key_token: '****' },
    });
    assert.deepEqual(redactHop({ allowAllKeys: false, ignoredKeys: ['a'], allowedKeys: ['n'] }, attributes), {
      ...{ a: `x ${CARD}`, n: 5 },
    });
    assert.deepEqual(redactHop({ allowedValues: ['^x'] }, attributes), {
      ...attributes,
      list: ['****', 'fine'],
    });
    assert.deepEqual(redactHop({ redactAllTypes: true, blockedValues: ['^5$'] }, { n: 5, m: 55 }), {
      n: '****',
      m: 55,
    });
  });

  test('resources too, one for all spans of a process', () => {
    const spans = makeExchange();
    const redaction = createRedaction({ ...OPTIONS, blockedValues: ['^host-a$'] });
    const out = redaction.process(spans, 0) as HopSpan[];
    assert.equal(out.length, spans.length);
    assert.equal(new Set(out.map(({ resource }) => resource)).size, 1);
    assert.equal(out[0]?.resource.attributes['host.name'], '****');
    assert.deepEqual(redaction.stats, { changedSpans: 0 });
  });

  test('what has nothing to hide is the very same', () => {
    const spans = makeExchange();
    const out = createRedaction(OPTIONS).process(spans, 0);
    for (const [index, span] of out.entries()) assert.equal(span, spans[index]);
  });
});

test('an origin without attributes stays as it is', () => {
  const span = app([]);
  assert.deepEqual(resourceAttributes(redact({}, span).origin), { 'service.name': 'shop' });
});
