import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPropagator } from '../../../src/pipeline/propagator.ts';
import type { HttpMessageRecord } from '../../../src/receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS } from '../../../src/records.gen.ts';
import { createSpanBuilder } from '../../../src/spans/build.ts';
import { createContextReader } from '../../../src/spans/context.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

interface Options {
  readonly request?: Partial<HttpMessageRecord>;
  readonly answer?: Partial<HttpMessageRecord>;
  readonly propagators?: Parameters<typeof createPropagator>[0];
  readonly unsampled?: 'drop' | 'keep';
}

/** The spans of one HTTP exchange: the hop first, then the upstream span. */
function spansOf({
  request = {},
  answer = {},
  propagators = ['tracecontext'],
  unsampled = 'drop',
}: Options): HopSpan[] {
  const http = {
    request: makeHttpMessage(request),
    answer: makeHttpMessage({
      ...{ flags: MESSAGE_FLAGS.OVER | MESSAGE_FLAGS.ANSWER_MESSAGE, method: '', path: '', authority: '' },
      ...{ statusCode: 200, headers: {} },
      ...answer,
    }),
  };
  const times = { firstReadNs: 200, lastReadNs: 210, firstWriteNs: 220, lastWriteNs: 230 };
  const side = { flags: SIDE_FLAGS.EXCHANGE, exchange: 1, ...times };
  const build = createSpanBuilder({
    ...{ phaseFloorNs: 1e9, resourceAttributes: {}, unsampled },
    readContext: createContextReader(createPropagator(propagators)),
  });
  return build(
    hopOf({ downstream: { ...downstreamRecord(side), http }, upstream: { ...upstreamRecord(side), http } }),
  );
}

describe('names and attributes', () => {
  test('of a query string, where it was asked for', () => {
    const [hop, upstream] = spansOf({ request: { path: '/a', query: 'b=1', authority: 'a.test' } });
    assert.equal(hop?.attributes['url.query'], 'b=1');
    assert.equal(hop?.attributes['url.path'], '/a');
    assert.equal(upstream?.attributes['url.full'], 'http://a.test/a?b=1');
  });

  test('of a request as the semantic conventions have them', () => {
    const [hop, upstream] = spansOf({
      request: {
        method: 'GET',
        path: '/users/1',
        authority: 'api.test:8443',
        headers: { 'user-agent': 'curl/8' },
      },
    });
    assert.equal(hop?.name, 'GET');
    assert.equal(upstream?.name, 'GET');
    const common = {
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'server.address': 'api.test',
      'server.port': 8443,
      'user_agent.original': 'curl/8',
    };
    for (const [name, value] of Object.entries(common)) {
      assert.equal(hop?.attributes[name], value, name);
      assert.equal(upstream?.attributes[name], value, name);
    }
    assert.equal(hop?.attributes['url.path'], '/users/1');
    assert.equal(hop?.attributes['url.scheme'], 'http');
    assert.equal(upstream?.attributes['url.full'], 'http://api.test:8443/users/1');
  });

  test('a method that is not well known does not become a name', () => {
    const [hop] = spansOf({ request: { method: 'PROPFIND' } });
    assert.equal(hop?.name, 'HTTP');
    assert.equal(hop?.attributes['http.request.method'], '_OTHER');
    assert.equal(hop?.attributes['http.request.method_original'], 'PROPFIND');
  });

  const failures: [number, string | undefined, string | undefined][] = [
    [200, undefined, undefined],
    [304, undefined, undefined],
    [404, undefined, '404'],
    [499, undefined, '499'],
    [500, '500', '500'],
    [503, '503', '503'],
  ];
  for (const [statusCode, hopError, upstreamError] of failures) {
    test(`status ${statusCode}`, () => {
      const [hop, upstream] = spansOf({ answer: { statusCode } });
      assert.equal(hop?.attributes['error.type'], hopError);
      assert.equal(hop?.error, hopError === undefined ? undefined : '');
      assert.equal(upstream?.attributes['error.type'], upstreamError);
      assert.equal(upstream?.error, upstreamError === undefined ? undefined : '');
    });
  }
});

describe('the caller', () => {
  test('by traceparent, with its state', () => {
    const [hop, upstream] = spansOf({
      request: { headers: { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'a=1,b=2' } },
    });
    assert.equal(hop?.traceId, TRACE);
    assert.equal(hop?.parentSpanId, SPAN);
    assert.equal(hop?.traceState, 'a=1,b=2');
    assert.equal(upstream?.traceId, TRACE);
    assert.equal(upstream?.parentSpanId, hop?.spanId);
  });

  test('by B3 in both forms, and by Jaeger, where asked for', () => {
    const b3 = { b3: `${TRACE}-${SPAN}-1` };
    const multi = { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' };
    const jaeger = { 'uber-trace-id': `${TRACE}:${SPAN}:0:1` };
    for (const [propagator, headers] of [
      ['b3', b3],
      ['b3multi', multi],
      ['jaeger', jaeger],
    ] as const) {
      const [hop] = spansOf({ request: { headers }, propagators: [propagator] });
      assert.equal(hop?.traceId, TRACE, propagator);
      assert.equal(hop?.parentSpanId, SPAN, propagator);
      assert.equal(spansOf({ request: { headers } })[0]?.parentSpanId, undefined, `${propagator} unasked`);
    }
  });

  test('one that samples nothing is respected', () => {
    assert.deepEqual(spansOf({ request: { headers: { traceparent: `00-${TRACE}-${SPAN}-00` } } }), []);
  });

  test('one that samples nothing is kept where that is asked for, as it is', () => {
    const unsampled = { headers: { traceparent: `00-${TRACE}-${SPAN}-00` } };
    const [hop, upstream] = spansOf({ request: unsampled, unsampled: 'keep' });
    assert.equal(hop?.traceId, TRACE);
    assert.equal(hop?.traceFlags, 0);
    assert.equal(upstream?.traceFlags, 0);
    assert.equal(spansOf({ request: {}, unsampled: 'keep' })[0]?.traceFlags, 1);
  });

  test('one that is none is none', () => {
    for (const traceparent of [
      '',
      'x',
      `00-${'0'.repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
    ]) {
      const [hop] = spansOf({ request: { headers: { traceparent } } });
      assert.equal(hop?.parentSpanId, undefined, traceparent);
      assert.notEqual(hop?.traceId, TRACE);
    }
  });
});
