import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConnectionCount, ListenerCount } from '../../../src/balance/balance.ts';
import { balanceTable, findingLines } from '../../../src/exporter/console/balance-table.ts';

const PLAIN = { width: 70, color: false };

function listenerOf(upstreams: readonly number[], connections: readonly number[]): ListenerCount {
  const listener: ListenerCount = {
    ...{ proxy: 'edge\x1b', port: 8000, window: 0, total: 0, upstreams: new Map(), connections: new Set() },
    others: { connections: 0, requests: 0 },
  };
  for (const [index, total] of upstreams.entries()) {
    const name = `10.0.0.${index + 1}:80`;
    listener.upstreams.set(name, { name, window: 0, total, lastNs: 0 });
    listener.total += total;
  }
  for (const [index, total] of connections.entries()) {
    const connection: ConnectionCount = {
      ...{ id: index, client: `10.1.0.${index + 1}:5000`, listener, window: 0, total },
      ...{ sinceNs: 0, relayed: 0, relayedTo: undefined },
    };
    listener.connections.add(connection);
  }
  return listener;
}

describe('the table of balance', () => {
  test('shows upstreams and connections, the busiest first, with their shares', () => {
    assert.deepEqual(balanceTable('balance', [listenerOf([10, 30], [40])], 'total', PLAIN), [
      'balance',
      'edge\\x1b  :8000   40 requests',
      '  → 10.0.0.2:80                       30  75 %  ███████████████',
      '  → 10.0.0.1:80                       10  25 %  █████',
      '  ← 10.1.0.1:5000                     40 100 %  ████████████████████',
    ]);
  });

  test('sums up all but the busiest eight', () => {
    const connections = Array.from({ length: 30 }, (_, index) => index + 1);
    const lines = balanceTable('balance', [listenerOf([465], connections)], 'total', PLAIN);
    assert.equal(lines.length, 2 + 1 + 8 + 1);
    assert.match(lines.at(-1) ?? '', /^ {4}22 more +253 +54 %/);
  });

  test('leaves out listeners with nothing to balance, and says nothing without others', () => {
    assert.deepEqual(balanceTable('balance', [listenerOf([10], [10])], 'total', PLAIN), []);
    assert.deepEqual(balanceTable('balance', [listenerOf([10, 10], [20])], 'window', PLAIN), []);
  });

  test('no line is longer than the terminal, but for what was found', () => {
    const lines = balanceTable('balance', [listenerOf([10, 30], [40])], 'total', { width: 30, color: false });
    assert.ok(lines.every((line) => line.length <= 30));
    const pinned = {
      ...{ proxy: 'edge\x1b', port: 8000, connection: 1, client: '10.1.0.1:5000', upstream: '10.0.0.1:80' },
      ...{ requests: 90, ofRequests: 100, upstreams: 2 },
    };
    const [line = ''] = findingLines([pinned], PLAIN);
    assert.match(line, /^! edge\\x1b: one HTTP\/2 connection, from 10\.1\.0\.1:5000, carries 90 %/);
    assert.match(line, /not requests$/);
  });
});
