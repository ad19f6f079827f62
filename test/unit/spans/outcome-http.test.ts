import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Hop } from '../../../src/correlate/hop.ts';
import type { Side } from '../../../src/correlate/side.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS } from '../../../src/records.gen.ts';
import { createSpanBuilder } from '../../../src/spans/build.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { outcomeOf } from '../../../src/spans/outcome.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const { OVER, ANSWER_MESSAGE } = MESSAGE_FLAGS;
const { EXCHANGE, ENDED } = SIDE_FLAGS;
const ECONNRESET = 104;

function http(statusCode: number | undefined, ns: number) {
  const flags = OVER | ANSWER_MESSAGE;
  const answer = { flags, method: '', statusCode: statusCode ?? 0, firstNs: ns, lastNs: ns };
  return {
    request: makeHttpMessage({ firstNs: 200, lastNs: 200 }),
    ...(statusCode === undefined ? {} : { answer: makeHttpMessage(answer) }),
  };
}
const down = (statusCode: number | undefined, fields: Partial<Side> = {}): Side => ({
  ...downstreamRecord({ flags: EXCHANGE, exchange: 2, firstReadNs: 200, lastReadNs: 200 }),
  ...(statusCode === undefined ? {} : { firstWriteNs: 400, lastWriteNs: 400 }),
  ...{ http: http(statusCode, 400), ...fields },
});
const up = (statusCode: number | undefined, fields: Partial<Side> = {}): Side => ({
  ...upstreamRecord({ flags: EXCHANGE, exchange: 2, firstWriteNs: 210, lastWriteNs: 210 }),
  ...(statusCode === undefined ? {} : { firstReadNs: 390, lastReadNs: 390 }),
  ...{ http: http(statusCode, 390), ...fields },
});
const content = (parts: Partial<Hop>): Hop =>
  hopOf({ pairing: 'content', setUp: false, end: false, ...parts });

describe('an answer that the proxy made', () => {
  const ended = { flags: EXCHANGE | ENDED };
  const cases: [string, Partial<Hop>, string][] = [
    ['by itself', { downstream: down(404), pairing: 'none', ownAnswer: true }, 'no_upstream'],
    [
      'after the upstream had reset',
      { downstream: down(503), upstream: up(undefined, { ...ended, error: ECONNRESET, closedNs: 300 }) },
      'upstream_reset',
    ],
    [
      'after the upstream had closed',
      { downstream: down(502), upstream: up(undefined, { ...ended, finReceivedNs: 300 }) },
      'upstream_closed_early',
    ],
    [
      'because it would not wait any longer',
      { downstream: down(504), upstream: up(undefined, { ...ended, finSentNs: 399 }) },
      'proxy_reset',
    ],
    [
      'before the upstream had answered',
      { downstream: down(504), upstream: up(200, { http: http(200, 500) }) },
      'proxy_reset',
    ],
    ['out of the upstream’s', { downstream: down(503), upstream: up(503) }, 'ok'],
  ];
  for (const [what, parts, outcome] of cases) {
    test(what, () => assert.equal(outcomeOf(content(parts)), outcome));
  }
});

describe('a whole answer', () => {
  const finThenReset = { flags: EXCHANGE | ENDED, finReceivedNs: 300, error: ECONNRESET, closedNs: 500 };
  test('that came after the client had closed, and was reset', () => {
    const hop = content({ downstream: down(200, finThenReset), upstream: up(200), end: true });
    assert.equal(outcomeOf(hop), 'client_aborted');
  });

  test('that a client which had closed one way only has taken', () => {
    const hop = content({
      downstream: down(200, { ...finThenReset, error: 0 }),
      upstream: up(200),
      end: true,
    });
    assert.equal(outcomeOf(hop), 'ok');
  });
});

describe('spans', () => {
  const spansOf = (parts: Partial<Hop>): HopSpan[] =>
    createSpanBuilder({ phaseFloorNs: 1e9, resourceAttributes: {} })(content(parts));
  const clients = (parts: Partial<Hop>) => spansOf(parts).filter(({ kind }) => kind === 'CLIENT');

  test('of an own answer have the status of an HTTP server span', () => {
    const errors = [404, 503].map((status) => {
      const [hop] = spansOf({ downstream: down(status), pairing: 'none', ownAnswer: true });
      return [hop?.attributes['hopspan.outcome'], hop?.attributes['error.type'], hop?.error];
    });
    assert.deepEqual(errors, [
      ['no_upstream', undefined, undefined],
      ['no_upstream', '503', ''],
    ]);
  });

  test('of tries are counted from the second on, within the hop', () => {
    const tries = [
      up(503, { connection: 7 }),
      up(undefined, { connection: 8, flags: EXCHANGE | ENDED, finReceivedNs: 900 }),
    ];
    const spans = spansOf({ downstream: down(200), upstream: up(200), tries });
    const [hop] = spans;
    assert.equal(hop?.attributes['hopspan.attempts'], 3);
    assert.deepEqual(
      spans
        .slice(1)
        .map(({ attributes, parentSpanId, end }) => [
          attributes['http.request.resend_count'],
          attributes['hopspan.outcome'],
          attributes['error.type'],
          parentSpanId === hop?.spanId && end[1] <= (hop?.end[1] ?? 0),
        ]),
      [
        [undefined, 'ok', '503', true],
        [1, 'upstream_closed_early', 'upstream_closed_early', true],
        [2, 'ok', undefined, true],
      ],
    );
    assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length);
  });

  test('of mirrored copies are marked', () => {
    const mirrors = [up(200, { connection: 7 })];
    assert.deepEqual(
      clients({ downstream: down(200), upstream: up(200), mirrors }).map(
        ({ attributes }) => attributes['hopspan.mirrored'],
      ),
      [true, undefined],
    );
  });

  test('of requests over a pooled connection are linked to its own', () => {
    const [of] = clients({ downstream: down(200), upstream: up(200) });
    const connection = { ...up(undefined), exchange: 0, flags: 0, finSentNs: 900 };
    const spans = createSpanBuilder({ phaseFloorNs: 0, resourceAttributes: {} })(
      hopOf({ kind: 'connection', upstream: connection, pairing: 'none', end: true }),
    );
    assert.deepEqual(
      spans.map(({ name, kind, links, start, end }) => [name, kind, links, end[1] - start[1]]),
      [
        ['tcp connection :9000', 'CLIENT', [], 780],
        ['connect', 'INTERNAL', [], 10],
      ],
    );
    assert.deepEqual(of?.links, [{ traceId: spans[0]?.traceId, spanId: spans[0]?.spanId, attributes: {} }]);
    const first = up(200, { exchange: 1 });
    assert.deepEqual(clients({ downstream: down(200), upstream: first })[0]?.links, []);
  });

  test('of what is not parsed are marked', () => {
    for (const mark of [{ unparsed: true }, { flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.BROKEN }]) {
      const [hop, upstream] = spansOf({ downstream: down(200, mark), upstream: up(200) });
      assert.equal(hop?.attributes['hopspan.unparsed'], true);
      assert.equal(upstream?.attributes['hopspan.unparsed'], undefined);
    }
  });
});
