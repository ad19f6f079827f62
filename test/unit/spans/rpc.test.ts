import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HttpMessageRecord } from '../../../src/receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS } from '../../../src/records.gen.ts';
import { createSpanBuilder } from '../../../src/spans/build.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const { OVER, ANSWER_MESSAGE } = MESSAGE_FLAGS;

/** The spans of one gRPC call with this status in the trailers: the hop, then the upstream span. */
function spansOf(
  grpcStatus: string | undefined,
  statusCode = 200,
  answer: Partial<HttpMessageRecord> = {},
): HopSpan[] {
  const http = {
    request: makeHttpMessage({
      ...{ method: 'POST', path: '/shop.Cart/Add', stream: 1, version: '2' },
      headers: { 'content-type': 'application/grpc+proto' },
    }),
    answer: makeHttpMessage({
      ...{ flags: OVER | ANSWER_MESSAGE, stream: 1, version: '2', method: '', path: '', authority: '' },
      ...{ statusCode, headers: grpcStatus === undefined ? {} : { 'grpc-status': grpcStatus } },
      ...answer,
    }),
  };
  const times = { firstReadNs: 200, lastReadNs: 210, firstWriteNs: 220, lastWriteNs: 230 };
  const side = { flags: SIDE_FLAGS.EXCHANGE, exchange: 1, ...times };
  const build = createSpanBuilder({ phaseFloorNs: 1e9, resourceAttributes: {} });
  return build(
    hopOf({ downstream: { ...downstreamRecord(side), http }, upstream: { ...upstreamRecord(side), http } }),
  );
}

describe('a gRPC call', () => {
  test('says how many messages it has, and when the first of the answer was there', () => {
    const [hop, upstream] = spansOf('0', 200, { messages: 3, firstMessageNs: 500 });
    const told = (span: HopSpan | undefined): unknown[] => [
      span?.attributes['hopspan.grpc.request.messages'],
      span?.attributes['hopspan.grpc.response.messages'],
      span?.attributes['hopspan.first_message.duration'],
    ];
    assert.deepEqual(told(hop), [0, 3, 300e-9]); // since it was read
    assert.deepEqual(told(upstream), [0, 3, 280e-9]); // since it was written
  });

  test('says nothing of messages that were not counted, nor when there was none', () => {
    const flags = OVER | ANSWER_MESSAGE | MESSAGE_FLAGS.UNCOUNTED;
    const [uncounted] = spansOf('0', 200, { flags, messages: 1, firstMessageNs: 500 });
    assert.equal(uncounted?.attributes['hopspan.grpc.response.messages'], undefined);
    const [none] = spansOf('0');
    assert.equal(none?.attributes['hopspan.grpc.response.messages'], 0);
    for (const span of [uncounted, none]) {
      assert.equal(span?.attributes['hopspan.first_message.duration'], undefined);
    }
  });

  test('has the name, method and status that the semantic conventions say', () => {
    for (const span of spansOf('0')) {
      assert.equal(span.name, 'shop.Cart/Add');
      assert.equal(span.error, undefined);
      const { attributes } = span;
      assert.deepEqual(
        Object.fromEntries(
          Object.entries(attributes).filter(([name]) => /^(rpc|http|url|error)\./.test(name)),
        ),
        { 'rpc.system.name': 'grpc', 'rpc.method': 'shop.Cart/Add', 'rpc.status_code': 'OK' },
      );
      assert.equal(attributes['network.protocol.version'], '2');
    }
  });

  test('is an error of the server with some statuses, of the client with all but OK', () => {
    const errors = ['5', '14'].map((status) =>
      spansOf(status).map(({ error, attributes }) => [error, attributes['error.type']]),
    );
    assert.deepEqual(errors, [
      [
        [undefined, undefined],
        ['', 'NOT_FOUND'],
      ],
      [
        ['', 'UNAVAILABLE'],
        ['', 'UNAVAILABLE'],
      ],
    ]);
  });

  test('that HTTP refused says so', () => {
    const [hop, upstream] = spansOf(undefined, 503);
    assert.equal(hop?.attributes['http.response.status_code'], 503);
    assert.equal(hop?.attributes['error.type'], '503');
    assert.equal(upstream?.attributes['rpc.status_code'], undefined);
  });

  test('with a status that is none, or new', () => {
    assert.equal(spansOf('x')[0]?.attributes['rpc.status_code'], undefined);
    assert.equal(spansOf('99')[0]?.attributes['rpc.status_code'], '99');
  });
});
