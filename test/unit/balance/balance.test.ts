import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Balance,
  type BalanceWindow,
  createBalance,
  MAX_LISTENERS,
  MAX_UPSTREAMS,
  WINDOW_NS,
} from '../../../src/balance/balance.ts';
import { describePinned, isCertain, MIN_REQUESTS } from '../../../src/balance/pinned.ts';
import type { Hop } from '../../../src/correlate/hop.ts';
import type { Side } from '../../../src/correlate/side.ts';
import { SIDE_FLAGS } from '../../../src/records.gen.ts';
import { makeClock, makeHttpMessage, makeProxy } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const MS = 1_000_000;
const PROXY = makeProxy({ serviceName: 'edge' });

interface Traffic {
  readonly connection: number;
  readonly upstreamPort: number;
  readonly requests: number;
  readonly pairing?: Hop['pairing'];
  /** HTTP/1 where 0. */
  readonly stream?: number;
  readonly atMs?: number;
  readonly establishedMs?: number;
  readonly listenPort?: number;
}

/** The hops of requests of one client's connection. */
function hopsOf(traffic: Traffic): Hop[] {
  const { connection, upstreamPort, pairing = 'buffer', stream = 1, atMs = 1000 } = traffic;
  const http = { request: makeHttpMessage({ stream }) };
  const established = { establishedNs: (traffic.establishedMs ?? 1) * MS };
  return Array.from({ length: traffic.requests }, (_, index) => {
    const carried = { ...established, exchange: index + 1, flags: SIDE_FLAGS.EXCHANGE };
    const down = { connection, localPort: traffic.listenPort ?? 8000, remotePort: 40_000 + connection };
    const downstream: Side = { ...downstreamRecord({ ...carried, ...down }), http };
    const up = { connection: connection + 0.5, remotePort: upstreamPort };
    const upstream: Side = { ...upstreamRecord({ ...carried, ...up }), http };
    return hopOf({ downstream, upstream, pairing, proxy: PROXY, clock: makeClock(atMs * MS) });
  });
}

function windowOf(...traffic: readonly Traffic[]): { balance: Balance; windows: BalanceWindow[] } {
  const windows: BalanceWindow[] = [];
  const balance = createBalance((window) => windows.push(structuredClone(window)));
  for (const each of traffic) for (const hop of hopsOf(each)) balance.add(hop);
  balance.flush();
  return { balance, windows };
}

const LIGHT: Traffic[] = [
  { connection: 2, upstreamPort: 9002, requests: 10 },
  { connection: 3, upstreamPort: 9003, requests: 10 },
];
const HEAVY: Traffic = { connection: 1, upstreamPort: 9001, requests: 500 };

describe('balance counts', () => {
  it('requests per listener, upstream and downstream connection', () => {
    const { balance, windows } = windowOf(HEAVY, ...LIGHT);
    const [listener] = balance.listeners();
    assert.ok(listener);
    assert.deepEqual(
      [listener.proxy, listener.port, listener.total, listener.window],
      ['edge', 8000, 520, 0],
    );
    assert.deepEqual(
      [...listener.upstreams.values()].map(({ name, total }) => [name, total]),
      [
        ['127.0.0.1:9001', 500],
        ['127.0.0.1:9002', 10],
        ['127.0.0.1:9003', 10],
      ],
    );
    assert.deepEqual(
      [...listener.connections].map(({ client, total }) => [client, total]),
      [
        ['127.0.0.1:40001', 500],
        ['127.0.0.1:40002', 10],
        ['127.0.0.1:40003', 10],
      ],
    );
    assert.equal(windows.length, 1);
    assert.equal(windows[0]?.listeners[0]?.window, 520);
  });

  it('halves that stand apart, each on its side', () => {
    const balance = createBalance();
    for (const hop of hopsOf({ ...HEAVY, requests: 3, pairing: 'none' })) {
      const { downstream, upstream, ...rest } = hop;
      if (downstream) balance.add({ ...rest, downstream });
      if (upstream) balance.add({ ...rest, upstream });
    }
    assert.deepEqual(
      balance.listeners().map(({ port, total, upstreams }) => [port, total, upstreams.size]),
      [
        [8000, 3, 0],
        [0, 3, 1],
      ],
    );
  });

  it('every request that one led to upstream, tries and copies among them', () => {
    const balance = createBalance();
    const [hop] = hopsOf({ ...HEAVY, requests: 1, pairing: 'content' });
    const [other] = hopsOf({ ...HEAVY, requests: 1, upstreamPort: 9002 });
    assert.ok(hop && other?.upstream);
    balance.add({ ...hop, tries: [other.upstream], mirrors: [other.upstream] });
    const [listener] = balance.listeners();
    assert.equal(listener?.total, 1);
    assert.deepEqual(
      [...(listener?.upstreams.values() ?? [])].map(({ name, total }) => [name, total]),
      [
        ['127.0.0.1:9002', 2],
        ['127.0.0.1:9001', 1],
      ],
    );
  });

  it('no connection that carried nothing, and no answer without a request', () => {
    const balance = createBalance();
    const [hop] = hopsOf({ ...HEAVY, requests: 1 });
    assert.ok(hop?.downstream && hop.upstream);
    balance.add(hopOf({ downstream: downstreamRecord(), proxy: PROXY }));
    balance.add({ ...hop, kind: 'connection' });
    balance.add({
      ...hop,
      downstream: { ...hop.downstream, http: {} },
      upstream: { ...hop.upstream, http: {} },
    });
    assert.deepEqual(
      balance.listeners().map(({ total, connections }) => [total, connections.size]),
      [[0, 0]],
    );
  });

  it('by the clock of the records: a window ends with the first that is late enough, and tells of its own', () => {
    const windows: number[] = [];
    const balance = createBalance(({ listeners }) => windows.push(listeners[0]?.window ?? 0));
    for (const hop of hopsOf({ ...HEAVY, requests: 7, atMs: 1000 })) balance.add(hop);
    balance.advance(1000 * MS + WINDOW_NS - 1);
    assert.deepEqual(windows, []);
    balance.advance(1000 * MS + WINDOW_NS);
    for (const hop of hopsOf({ ...HEAVY, requests: 2, atMs: 1000 + WINDOW_NS / MS })) balance.add(hop);
    balance.advance(1000 * MS + 2 * WINDOW_NS);
    balance.advance(1000 * MS + 9 * WINDOW_NS);
    assert.deepEqual(windows, [7, 2], 'nothing is told of windows without requests');
  });

  it('in bounded memory, and loses no request', () => {
    const balance = createBalance();
    let atMs = 1000;
    let sent = 0;
    for (let connection = 1; connection <= 60_000; connection++, sent++) {
      const upstreamPort = 1 + (connection % 3000);
      const [hop] = hopsOf({
        connection,
        upstreamPort,
        requests: 1,
        atMs,
        listenPort: 1 + (connection % 200),
      });
      if (hop) balance.add(hop);
      if (connection % 10_000 !== 0) continue;
      atMs += 11_000;
      balance.advance(atMs * MS);
    }
    const listeners = balance.listeners();
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    assert.ok(listeners.length <= MAX_LISTENERS + 1);
    assert.ok(sum(listeners.map(({ upstreams }) => upstreams.size)) <= MAX_UPSTREAMS + listeners.length);
    assert.ok(sum(listeners.map(({ connections }) => connections.size)) <= 16_384);
    assert.equal(sum(listeners.map(({ total }) => total)), sent);
    const upstreamSum = listeners.flatMap(({ upstreams }) =>
      [...upstreams.values()].map(({ total }) => total),
    );
    assert.equal(sum(upstreamSum), sent);
    const kept = listeners.flatMap(({ connections }) => [...connections].map(({ total }) => total));
    assert.equal(sum(kept) + sum(listeners.map(({ others }) => others.requests)), sent);
  });
});

describe('a connection that pins the requests', () => {
  it('is named, with its share and its upstream, once', () => {
    const { balance, windows } = windowOf(HEAVY, ...LIGHT);
    for (const hop of [HEAVY, ...LIGHT].flatMap((each) => hopsOf({ ...each, atMs: 20_000 })))
      balance.add(hop);
    balance.flush();
    const [pinned, ...others] = balance.findings();
    assert.deepEqual(others, []);
    assert.deepEqual(windows[0]?.found, [pinned]);
    assert.deepEqual(pinned, {
      ...{ proxy: 'edge', port: 8000, connection: 1, client: '127.0.0.1:40001', upstream: '127.0.0.1:9001' },
      ...{ requests: 500, ofRequests: 520, upstreams: 3 },
    });
    assert.equal(
      describePinned(pinned),
      'one HTTP/2 connection, from 127.0.0.1:40001, carries 96 % of the requests to :8000, and all of them go to 127.0.0.1:9001, one of 3 upstreams: the proxy balances connections, not requests',
    );
  });

  const innocent: Record<string, readonly Traffic[]> = {
    'a proxy that speaks HTTP itself, though one client sends nearly all': [HEAVY, ...LIGHT].map((each) => ({
      ...each,
      pairing: 'content',
    })),
    'requests that stand apart': [HEAVY, ...LIGHT].map((each) => ({ ...each, pairing: 'none' })),
    'a single upstream': [HEAVY, ...LIGHT].map((each) => ({ ...each, upstreamPort: 9001 })),
    'few requests': [{ ...HEAVY, requests: MIN_REQUESTS - 30 }, ...LIGHT],
    'HTTP/1, whose connections carry one request at a time': [HEAVY, ...LIGHT].map((each) => ({
      ...each,
      stream: 0,
    })),
    'connections that share the requests': [
      { ...HEAVY, requests: 300 },
      { connection: 2, upstreamPort: 9002, requests: 150 },
    ],
    'upstreams that were in use only before the connection began, a rollout': [
      ...LIGHT,
      { ...HEAVY, establishedMs: 5000, atMs: 6000 },
    ],
  };
  it('is only suspected while it is alone: nobody knows of other upstreams', () => {
    const elsewhere = { connection: 2, upstreamPort: 9002, requests: 10, listenPort: 8001 };
    const [suspect, ...others] = windowOf(HEAVY, elsewhere).balance.findings();
    assert.deepEqual(others, []);
    assert.ok(suspect && !isCertain(suspect));
    assert.equal(
      describePinned(suspect),
      'all 500 requests to :8000 come over one HTTP/2 connection, from 127.0.0.1:40001, and so go to 127.0.0.1:9001 alone: the proxy balances connections, not requests, and other upstreams, if there are any, get none',
    );
  });

  for (const [name, traffic] of Object.entries(innocent)) {
    it(`is not seen in ${name}`, () => {
      assert.deepEqual(windowOf(...traffic).balance.findings(), []);
    });
  }
});
