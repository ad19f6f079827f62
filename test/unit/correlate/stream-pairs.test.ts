import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Side } from '../../../src/correlate/side.ts';
import { createStreamPairs } from '../../../src/correlate/stream-pairs.ts';
import { makeHttpMessage } from '../../harness/kernel-records.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

function open() {
  const told: string[] = [];
  const pairs = createStreamPairs({
    pair: (d, u) => told.push(`${d.connection}+${u.connection} ${d.exchange}`),
    apart: (side, contradiction) =>
      told.push(`${side.connection} ${side.exchange}${contradiction ? ' other' : ''}`),
  });
  return { pairs, told };
}

const http = (path: string): Pick<Side, 'http'> => ({
  http: { request: makeHttpMessage({ path, stream: 1 }) },
});
const down = (exchange: number, path = '/'): Side => ({
  ...downstreamRecord({ exchange, peer: 2 }),
  ...http(path),
});
const up = (exchange: number, path = '/'): Side => ({
  ...upstreamRecord({ exchange, peer: 1 }),
  ...http(path),
});

describe('streams of a relayed connection', () => {
  test('are pairs by their number, in any order', () => {
    const { pairs, told } = open();
    for (const side of [down(2), up(1), down(1), up(2)]) pairs.add(side);
    assert.deepEqual(told, ['1+2 1', '1+2 2']);
    assert.equal(pairs.size(), 0);
  });

  test('are none where the request is another', () => {
    const { pairs, told } = open();
    pairs.add(down(1, '/a'));
    pairs.add(up(1, '/b'));
    assert.deepEqual(told, ['1 1 other', '2 1 other']);
  });

  test('are given apart when the other side does not come', () => {
    const { pairs, told } = open();
    pairs.advance(1);
    pairs.add(down(1));
    pairs.advance(4_000_000_000);
    assert.deepEqual(told, []);
    pairs.advance(6_000_000_000);
    pairs.add(up(7));
    pairs.flush();
    assert.deepEqual(told, ['1 1', '2 7']);
  });
});
