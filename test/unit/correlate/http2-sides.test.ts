import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createHttp2Sides } from '../../../src/correlate/http2-sides.ts';
import type { Side } from '../../../src/correlate/side.ts';
import type { HttpMessageRecord } from '../../../src/receiver/kernel-record.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS } from '../../../src/records.gen.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord } from '../../harness/side-record.ts';

const { OVER, ANSWER_MESSAGE, RESET } = MESSAGE_FLAGS;
const { HTTP2, ENDED, EXCHANGE } = SIDE_FLAGS;

const request = (number: number, fields: Partial<HttpMessageRecord> = {}): HttpMessageRecord =>
  makeHttpMessage({ number, stream: 2 * number - 1, peer: 0, ...fields });
const answer = (number: number, fields: Partial<HttpMessageRecord> = {}): HttpMessageRecord =>
  request(number, { flags: OVER | ANSWER_MESSAGE, statusCode: 200, firstNs: 4000, lastNs: 5000, ...fields });

function open() {
  const sides: Side[] = [];
  const connection = createHttp2Sides((side) => sides.push(side));
  const taken = (): [number, boolean][] =>
    sides.splice(0).map(({ exchange, cut }) => [exchange, cut ?? false]);
  return { connection, sides, taken };
}

describe('streams of an HTTP/2 connection', () => {
  test('are given when they are over, in any order, with the times of their own messages', () => {
    const { connection, sides } = open();
    assert.equal(connection.onSide(downstreamRecord({ flags: HTTP2 })), true);
    connection.onMessage(answer(2, { bytes: 7 }));
    connection.onMessage(request(2, { bytes: 5 }));
    connection.onMessage(answer(1));
    connection.onMessage(request(1));
    assert.deepEqual(
      sides.map(({ exchange, flags, firstReadNs, lastWriteNs, bytesRead, bytesWritten }) => [
        ...[exchange, flags, firstReadNs, lastWriteNs, bytesRead, bytesWritten],
      ]),
      [
        [2, EXCHANGE, 2000, 5000, 5, 7],
        [1, EXCHANGE, 2000, 5000, 100, 100],
      ],
    );
  });

  test('wait for the connection itself', () => {
    const { connection, taken } = open();
    connection.onMessage(answer(1));
    connection.onMessage(request(1));
    assert.deepEqual(taken(), []);
    connection.onSide(downstreamRecord({ flags: HTTP2 }));
    assert.deepEqual(taken(), [[1, false]]);
  });

  test('that were reset are over, answered or not', () => {
    const { connection, taken } = open();
    connection.onSide(downstreamRecord({ flags: HTTP2 }));
    connection.onMessage(answer(1, { flags: ANSWER_MESSAGE }));
    connection.onMessage(request(1, { flags: OVER | RESET }));
    connection.onMessage(request(2, { flags: RESET }));
    assert.deepEqual(taken(), [
      [1, false],
      [2, false],
    ]);
  });

  test('that are open when the connection ends are cut, and carry its end', () => {
    const { connection, sides } = open();
    connection.onSide(downstreamRecord({ flags: HTTP2 }));
    connection.onMessage(request(1));
    connection.onSide(downstreamRecord({ flags: HTTP2 | ENDED, finReceivedNs: 9000 }));
    assert.deepEqual(
      sides.map(({ exchange, flags, cut, finReceivedNs }) => [exchange, flags, cut, finReceivedNs]),
      [
        [1, EXCHANGE | ENDED, true, 9000],
        [1, HTTP2 | ENDED, undefined, 9000],
      ],
    );
    assert.equal(connection.size(), 0);
  });

  test('what comes when it is HTTP/2 no more goes on in the same numbers', () => {
    const { connection, taken } = open();
    connection.onSide(downstreamRecord({ flags: HTTP2 }));
    connection.onMessage(request(3));
    assert.equal(connection.onSide(downstreamRecord({ flags: 0 })), true);
    assert.deepEqual(taken(), [[3, true]]);
    connection.onSide(downstreamRecord({ flags: EXCHANGE, exchange: 1 }));
    connection.onSide(downstreamRecord({ flags: EXCHANGE | ENDED, exchange: 2 }));
    assert.deepEqual(taken(), [
      [4, false],
      [5, false],
    ]);
    assert.equal(connection.size(), 0);
  });

  test('other connections pass', () => {
    const { connection, taken } = open();
    assert.equal(connection.onSide(downstreamRecord({ flags: EXCHANGE, exchange: 1 })), false);
    assert.deepEqual(taken(), []);
  });

  test('are bounded: the oldest is given up', () => {
    const { connection, taken } = open();
    connection.onSide(downstreamRecord({ flags: HTTP2 }));
    for (let number = 1; number <= 4097; number++) connection.onMessage(request(number));
    assert.deepEqual(taken(), [[1, false]]);
  });

  test('of a connection that never comes are forgotten', () => {
    const { connection } = open();
    connection.onMessage(request(1));
    connection.advance(61_000_000_000);
    assert.equal(connection.size(), 0);
  });
});
