import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConditionError, parseCondition } from '../../../src/processor/condition.ts';
import { createFilter } from '../../../src/processor/filter.ts';
import { makeForeign } from '../../harness/foreign-spans.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const SPANS = makeExchange({ error: 'the client left' });
const [HOP] = SPANS;
const APP = makeForeign({
  ...{ traceId: '5b8efff798038103d269b633813fc60c', spanId: 'f000000000000001', kind: 3 },
  ...{ fromUs: 0, toUs: 900, attributes: { size: 5, flag: true, path: '/healthz', __proto__x: 'a' } },
  resource: { 'service.name': 'backend' },
});

/** Of the hop, and of the application's span. */
const TRUE_FOR: Record<string, readonly [boolean, boolean]> = {
  'name == "tcp proxy :8000"': [true, false],
  'span.name == "GET /orders"': [false, true],
  'name != "GET /orders"': [true, false],
  'kind == SPAN_KIND_SERVER': [true, false],
  'kind == 3': [false, true],
  'status.code == STATUS_CODE_ERROR': [true, false],
  'status.message == "the client left"': [true, false],
  'attributes["hopspan.outcome"] == "ok"': [true, false],
  'span.attributes["size"] >= 5': [false, true],
  'attributes["size"] > 5': [false, false],
  'attributes["size"] < 5.5': [false, true],
  'attributes["size"] == "5"': [false, false],
  'attributes["size"] != "5"': [true, true],
  'attributes["flag"] == true': [false, true],
  'attributes["path"] < 5': [false, false],
  'attributes["path"] == nil': [true, false],
  'attributes["path"] != nil': [false, true],
  'attributes["constructor"] != nil': [false, false],
  'attributes["__proto__"] != nil': [false, false],
  'resource.attributes["service.name"] == "backend"': [false, true],
  'IsMatch(attributes["path"], "^/health")': [false, true],
  'IsMatch(attributes["size"], "^5$")': [false, true],
  'not IsMatch(name, "tcp")': [false, true],
  'kind == 2 and name == "x" or kind == 3': [false, true],
  'kind == 2 and (name == "x" or status.code == 2)': [true, false],
  'not (kind == 2 or kind == 3)': [false, false],
  'not not true': [true, true],
  false: [false, false],
  'end_time_unix_nano - start_time_unix_nano > 1000000': [true, false],
  '(end_time_unix_nano - start_time_unix_nano) <= 900000': [false, true],
  '((end_time_unix_nano - start_time_unix_nano) <= 900000) and true': [false, true],
  'name == "a \\"quoted\\" \\\\ one"': [false, false],
  'parent_span_id.string == ""': [true, true],
  'trace_id.string == "5b8efff798038103d269b633813fc60c"': [false, true],
  'trace_state == ""': [true, true],
};

/** Where each goes wrong, and what is expected there. */
const WRONG: Record<string, readonly [number, RegExp]> = {
  '': [0, /^a path such as name/],
  name: [4, /^==, !=/],
  'name = "a"': [5, /^a path/],
  'name == ': [7, /^a path/],
  'nam == "a"': [0, /^one of the paths name, kind/],
  'attributes.size == 5': [0, /^one of the paths/],
  'attributes == nil': [11, /^a key such as/],
  'attributes[size] == 5': [11, /^a key in double quotes/],
  'attributes["a" == 5': [15, /^"\]"/],
  'name == "a" && kind == 2': [12, /^a path/],
  'name == "a" kind == 2': [12, /^and, or, or the end/],
  '(name == "a"': [12, /^"\)"/],
  'IsMatch(name, name)': [14, /^a regular expression/],
  'IsMatch(name, "(?=a)")': [14, /^a regular expression/],
  'IsMatch(name, "a"': [17, /^"\)"/],
  'IsString(name)': [0, /^the function IsMatch/],
  'name == "a\\q"': [8, /^a text with the escapes/],
  'name == "a': [8, /^a path/],
  'end_time_unix_nano > 5': [0, /^one of the paths/],
  'kind == SPAN_KIND_SERVR': [8, /^one of the paths/],
  "name == 'a'": [8, /^a path/],
  [`${'('.repeat(40)}true`]: [33, /^fewer levels/],
  [`${'not '.repeat(40)}true`]: [132, /^fewer levels/],
  [`name == "${'a'.repeat(5000)}"`]: [4096, /^a shorter condition/],
};

describe('conditions', () => {
  for (const [text, expected] of Object.entries(TRUE_FOR)) {
    test(text, () => {
      const condition = parseCondition(text);
      assert.ok(HOP);
      assert.deepEqual([condition(HOP), condition(APP)], expected);
    });
  }

  for (const [text, [at, expected]] of Object.entries(WRONG)) {
    test(`refused: ${text.slice(0, 60)}`, () => {
      assert.throws(
        () => parseCondition(text),
        (error) => error instanceof ConditionError && error.at === at && expected.test(error.message),
      );
    });
  }

  test('a pattern that would run away on a hostile value does not', () => {
    const condition = parseCondition('IsMatch(attributes["path"], "(a+)+$")');
    const path = `${'a'.repeat(50_000)}b`;
    assert.equal(
      condition(makeForeign({ ...APP, kind: 2, fromUs: 0, toUs: 1, attributes: { path } })),
      false,
    );
  });
});

test('filter drops what one of its conditions is true for, and counts it', () => {
  const filter = createFilter({
    conditions: ['name == "read wait"', 'kind == SPAN_KIND_PRODUCER', 'kind == 3'],
  });
  const out = filter.process([...SPANS, APP], 0);
  assert.deepEqual(
    out.map(({ kind }) => kind),
    ['SERVER', 'INTERNAL', 'INTERNAL', 'INTERNAL', 'INTERNAL', 'INTERNAL'],
  );
  assert.deepEqual(filter.stats, { droppedSpans: 3 });
  assert.equal(filter.held(), 0);
});
