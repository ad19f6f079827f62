import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MESSAGE_FLAGS, SIDE_FLAGS } from '../../../src/records.gen.ts';
import { createSpanBuilder } from '../../../src/spans/build.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const { OVER, ANSWER_MESSAGE } = MESSAGE_FLAGS;

/** The spans of one gRPC call with this status in the trailers: the hop, then the upstream span. */
function spansOf(grpcStatus: string | undefined, statusCode = 200): HopSpan[] {
  const http = {
    request: makeHttpMessage({
      ...{ method: 'POST', path: '/shop.Cart/Add', stream: 1, version: '2' },
      headers: { 'content-type': 'application/grpc+proto' },
    }),
    answer: makeHttpMessage({
      ...{ flags: OVER | ANSWER_MESSAGE, stream: 1, version: '2', method: '', path: '', authority: '' },
      ...{ statusCode, headers: grpcStatus === undefined ? {} : { 'grpc-status': grpcStatus } },
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
