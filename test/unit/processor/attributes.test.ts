import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { spanAttributes } from '../../../src/otlp/attributes.ts';
import { splitRequest } from '../../../src/otlp/request.ts';
import { otlpMessage, SPAN } from '../../../src/otlp/schema.ts';
import { toOtlpJsonText } from '../../../src/otlp/to-json.ts';
import { type AttributeAction, createAttributes } from '../../../src/processor/attributes.ts';
import { isForeign, type PipelineSpan } from '../../../src/spans/foreign-span.ts';
import type { Attributes } from '../../../src/spans/hop-span.ts';
import { makeForeign, requestBytes, WHOLE_REQUEST } from '../../harness/foreign-spans.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const BEFORE: Attributes = { user: 'ann', size: 5, flag: true };
const [HOP] = makeExchange();
const OWN = { ...HOP, attributes: BEFORE } as PipelineSpan;
const APP = makeForeign({
  ...{ traceId: '5b8efff798038103d269b633813fc60c', spanId: 'f000000000000001' },
  ...{ fromUs: 0, toUs: 900, attributes: BEFORE },
});
const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function run(actions: readonly AttributeAction[], span: PipelineSpan): PipelineSpan {
  const [out] = createAttributes({ actions }).process([span], 0);
  assert.ok(out);
  return out;
}

function attributesOf(span: PipelineSpan): Attributes {
  return isForeign(span) ? spanAttributes(span.bytes) : span.attributes;
}

const set = (
  action: 'insert' | 'update' | 'upsert',
  key: string,
  value: string | number | boolean,
): AttributeAction => ({
  ...{ action, key, from: { value } },
});

const CASES: readonly (readonly [string, readonly AttributeAction[], Attributes])[] = [
  ['insert of what is not there', [set('insert', 'env', 'prod')], { ...BEFORE, env: 'prod' }],
  ['insert of what is there', [set('insert', 'user', 'bob')], BEFORE],
  ['update of what is there', [set('update', 'user', 'bob')], { ...BEFORE, user: 'bob' }],
  ['update of what is not there', [set('update', 'env', 'prod')], BEFORE],
  ['upsert', [set('upsert', 'user', -7), set('upsert', 'env', 0.5)], { ...BEFORE, user: -7, env: 0.5 }],
  [
    'upsert from another attribute',
    [
      { action: 'upsert', key: 'copy', from: { attribute: 'flag' } },
      { action: 'upsert', key: 'none', from: { attribute: 'nobody' } },
    ],
    { ...BEFORE, copy: true },
  ],
  [
    'delete by name',
    [
      { action: 'delete', key: 'user' },
      { action: 'delete', key: 'nobody' },
    ],
    { size: 5, flag: true },
  ],
  ['delete by pattern', [{ action: 'delete', pattern: '^(us|si)' }], { flag: true }],
  [
    'hash',
    [
      { action: 'hash', key: 'user' },
      { action: 'hash', pattern: '^size$' },
      { action: 'hash', key: 'nobody' },
    ],
    { user: sha256('ann'), size: sha256(Buffer.of(5, 0, 0, 0, 0, 0, 0, 0)), flag: true },
  ],
  [
    'one after the other',
    [
      set('insert', 'a', 'x'),
      { action: 'upsert', key: 'b', from: { attribute: 'a' } },
      { action: 'delete', key: 'a' },
    ],
    { ...BEFORE, b: 'x' },
  ],
  [
    'delete, then insert again',
    [{ action: 'delete', key: 'user' }, set('insert', 'user', 'bob')],
    { ...BEFORE, user: 'bob' },
  ],
];

describe('attributes, of hops and of applications alike', () => {
  for (const [name, actions, after] of CASES) {
    test(name, () => {
      for (const span of [OWN, APP]) {
        const before = JSON.stringify(attributesOf(span));
        const out = run(actions, span);
        assert.deepEqual(attributesOf(out), after);
        assert.equal(JSON.stringify(attributesOf(span)), before, 'what came in is not touched');
        if (after === BEFORE) assert.equal(out, span, 'the very same');
        assert.deepEqual({ ...out, attributes: 0, bytes: 0 }, { ...span, attributes: 0, bytes: 0 });
      }
    });
  }

  test('everything else of an application’s span survives, types of values and unknown fields too', () => {
    const [whole] = splitRequest(requestBytes(WHOLE_REQUEST)).spans;
    assert.ok(whole);
    const unknown = Buffer.from([0xf2, 0x3f, 2, 7, 7]); // field 1022
    const span = { ...whole, bytes: Buffer.concat([unknown, whole.bytes, unknown]) };
    const actions: AttributeAction[] = [
      { action: 'upsert', key: 'text', from: { attribute: 'map' } },
      { action: 'delete', key: 'yes' },
      set('insert', 'new', 'x'),
    ];
    const out = run(actions, span);
    assert.ok(isForeign(out));
    const json = (bytes: Uint8Array) => JSON.parse(toOtlpJsonText(bytes, otlpMessage(SPAN)));
    const [before, after] = [json(span.bytes), json(out.bytes)];
    const map = before.attributes.find(({ key }: { key: string }) => key === 'map').value;
    const expected = before.attributes
      .filter(({ key }: { key: string }) => key !== 'yes')
      .map((pair: { key: string }) => (pair.key === 'text' ? { key: 'text', value: map } : pair));
    assert.deepEqual(after, {
      ...before,
      attributes: [...expected, { key: 'new', value: { stringValue: 'x' } }],
    });
    assert.equal(Buffer.from(out.bytes).indexOf(unknown), 0);
    assert.notEqual(Buffer.from(out.bytes).indexOf(unknown, 5), -1);
  });

  test('of a name that comes twice one is left', () => {
    const twice = { ...APP, bytes: Buffer.concat([APP.bytes, APP.bytes]) };
    const out = run([set('update', 'user', 'bob')], twice);
    assert.ok(isForeign(out));
    assert.equal(Buffer.from(out.bytes).toString('latin1').split('user').length, 2);
    const gone = run([{ action: 'delete', key: 'user' }], twice);
    assert.ok(isForeign(gone) && !Buffer.from(gone.bytes).includes('user'));
  });

  test('counts what it changed', () => {
    const processor = createAttributes({ actions: [{ action: 'delete', key: 'user' }] });
    processor.process([OWN, APP, ...makeExchange()], 0);
    assert.deepEqual(processor.stats, { changedSpans: 2 });
  });
});
