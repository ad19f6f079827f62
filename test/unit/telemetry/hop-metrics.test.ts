import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Hop } from '../../../src/correlate/hop.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS } from '../../../src/records.gen.ts';
import {
  createHopMetrics,
  type HopMetrics,
  MAX_LISTENERS,
  MAX_PATHS,
} from '../../../src/telemetry/hop-metrics.ts';
import type { Labels } from '../../../src/telemetry/metric-family.ts';
import { MAX_REQUEST_SERIES } from '../../../src/telemetry/request-series.ts';
import { makeHttpMessage, makeProxy } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const proxy = makeProxy({ serviceName: 'edge' });
const { OVER } = MESSAGE_FLAGS;
const CARRIED = { flags: SIDE_FLAGS.EXCHANGE, exchange: 1 };

/** All series of a metric as `labels → value`; of histograms `[count, sum in ns]`. */
function seriesOf(metrics: HopMetrics, name: string): [Labels, unknown][] {
  const family = metrics.families().find((one) => one.name === name);
  if (!family) return [];
  return family.kind === 'counter'
    ? family.points.map(({ labels, value }) => [labels, value])
    : family.points.map(({ labels, value }) => [labels, [value.count, value.sumNs]]);
}

const httpOf = (method: string, statusCode: number, headers: Record<string, string> = {}, path = '/x') => ({
  request: makeHttpMessage({ method, path, authority: 'a.example', version: '1.1', flags: OVER, headers }),
  answer: makeHttpMessage({ statusCode, flags: OVER, headers }),
});

/** Read at 200, written upstream at 300, answered at 1300, written downstream at 1400. */
function exchange(overrides: Partial<Hop> = {}, http?: ReturnType<typeof httpOf>): Hop {
  return hopOf({
    proxy,
    setUp: false,
    downstream: {
      ...downstreamRecord({ ...CARRIED, arrivedNs: 150, firstReadNs: 200, lastReadNs: 200 }),
      ...{ firstWriteNs: 1400, lastWriteNs: 1400, bytesRead: 10, bytesWritten: 20 },
      ...(http ? { http } : {}),
    },
    upstream: {
      ...upstreamRecord({ ...CARRIED, firstWriteNs: 300, lastWriteNs: 300, arrivedNs: 1200 }),
      ...{ firstReadNs: 1300, lastReadNs: 1300, bytesRead: 21, bytesWritten: 11 },
      ...(http ? { http } : {}),
    },
    ...overrides,
  });
}

const PATH = { proxy: 'edge', listener: 8000, upstream: '127.0.0.1:9000' };

describe('metrics of hops', () => {
  it('durations of hop, upstream and phases, by listener, upstream and outcome', () => {
    const metrics = createHopMetrics();
    metrics.add(exchange());
    metrics.add(exchange());
    assert.deepEqual(seriesOf(metrics, 'hopspan.hop.duration'), [
      [{ ...PATH, outcome: 'ok' }, [2, 2 * 1250]],
    ]);
    assert.deepEqual(seriesOf(metrics, 'hopspan.upstream.duration'), [
      [{ ...PATH, outcome: 'ok' }, [2, 2 * 1000]],
    ]);
    const phases = seriesOf(metrics, 'hopspan.phase.duration').map(([{ phase }, value]) => [phase, value]);
    assert.deepEqual(Object.fromEntries(phases), {
      'read wait': [2, 100],
      forward: [2, 200],
      'upstream wait': [2, 1800],
      'answer read wait': [2, 200],
      'answer forward': [2, 200],
    });
    assert.deepEqual(seriesOf(metrics, 'http.server.request.duration'), []);
  });

  it('bytes each way on both sides, outcomes and pairing', () => {
    const metrics = createHopMetrics();
    metrics.add(exchange());
    metrics.add(exchange({ kind: 'connection', end: true }));
    metrics.add(exchange({ pairing: 'content', ambiguous: true }));
    const io = seriesOf(metrics, 'hopspan.io').map(([labels, value]) => [
      `${labels.side} ${labels['network.io.direction']}`,
      value,
    ]);
    assert.deepEqual(Object.fromEntries(io), {
      'downstream receive': 30,
      'downstream transmit': 60,
      'upstream receive': 63,
      'upstream transmit': 33,
    });
    assert.deepEqual(seriesOf(metrics, 'hopspan.outcomes'), [
      [{ ...PATH, kind: 'exchange', outcome: 'ok' }, 2],
      [{ ...PATH, kind: 'connection', outcome: 'idle_closed' }, 1],
    ]);
    assert.deepEqual(seriesOf(metrics, 'hopspan.pairings'), [
      [{ proxy: 'edge', pairing: 'buffer', ambiguous: false }, 1],
      [{ proxy: 'edge', pairing: 'content', ambiguous: true }, 1],
    ]);
  });

  it('requests by method and status, under the names and labels of the semantic conventions', () => {
    const metrics = createHopMetrics();
    metrics.add(exchange({}, httpOf('GET', 200)));
    metrics.add(exchange({}, httpOf('GET', 200)));
    metrics.add(exchange({}, httpOf('BREW', 503)));
    const common = { 'url.scheme': 'http', 'network.protocol.version': '1.1' };
    const ok = { ...common, 'http.request.method': 'GET', 'http.response.status_code': 200 };
    const failed = {
      ...{ ...common, 'http.request.method': '_OTHER', 'http.response.status_code': 503 },
      'error.type': '503',
    };
    const listener = { proxy: 'edge', listener: 8000 };
    const upstream = { ...PATH, 'server.address': '127.0.0.1', 'server.port': 9000 };
    assert.deepEqual(seriesOf(metrics, 'http.server.request.duration'), [
      [{ ...listener, ...ok }, [2, 2500]],
      [{ ...listener, ...failed }, [1, 1250]],
    ]);
    assert.deepEqual(seriesOf(metrics, 'http.client.request.duration'), [
      [{ ...upstream, ...ok }, [2, 2000]],
      [{ ...upstream, ...failed }, [1, 1000]],
    ]);
  });

  it('gRPC calls by method and status, and not as HTTP requests', () => {
    const metrics = createHopMetrics();
    const headers = { 'content-type': 'application/grpc', 'grpc-status': '14' };
    metrics.add(exchange({}, httpOf('POST', 200, headers, '/shop.Cart/Add')));
    const call = {
      'rpc.system.name': 'grpc',
      'rpc.method': 'shop.Cart/Add',
      'rpc.status_code': 'UNAVAILABLE',
    };
    assert.deepEqual(seriesOf(metrics, 'rpc.server.call.duration'), [
      [{ proxy: 'edge', listener: 8000, ...call, 'error.type': 'UNAVAILABLE' }, [1, 1250]],
    ]);
    assert.equal(seriesOf(metrics, 'rpc.client.call.duration').length, 1);
    assert.deepEqual(seriesOf(metrics, 'http.server.request.duration'), []);
  });

  it('each try, mirrored copy and failed connection at its upstream', () => {
    const metrics = createHopMetrics();
    const first = upstreamRecord({
      ...CARRIED,
      connection: 3,
      remotePort: 9001,
      firstWriteNs: 250,
      lastReadNs: 280,
    });
    const attempt = upstreamRecord({
      connection: 4,
      remotePort: 9002,
      establishedNs: 0,
      error: 111,
      closedNs: 240,
    });
    metrics.add(exchange({ tries: [first], attempts: [attempt] }));
    const found = seriesOf(metrics, 'hopspan.upstream.duration').map(([{ upstream, outcome }, value]) => [
      upstream,
      outcome,
      value,
    ]);
    assert.deepEqual(found, [
      ['127.0.0.1:9000', 'ok', [1, 1000]],
      ['127.0.0.1:9001', 'proxy_reset', [1, 30]],
      ['127.0.0.1:9002', 'upstream_refused', [1, 90]],
    ]);
    assert.equal(seriesOf(metrics, 'hopspan.hop.duration').length, 1);
  });

  it('halves that stand apart count each on its side', () => {
    const metrics = createHopMetrics();
    const { upstream: _, ...downstreamOnly } = exchange({ pairing: 'none' });
    const { downstream: __, ...upstreamOnly } = exchange({ pairing: 'none' });
    metrics.add(downstreamOnly);
    metrics.add(upstreamOnly);
    assert.deepEqual(
      seriesOf(metrics, 'hopspan.hop.duration').map(([labels]) => labels),
      [{ proxy: 'edge', listener: 8000, outcome: 'ok' }],
    );
    assert.deepEqual(
      seriesOf(metrics, 'hopspan.upstream.duration').map(([labels]) => labels),
      [{ proxy: 'edge', upstream: '127.0.0.1:9000', outcome: 'ok' }],
    );
  });

  it('segments that were sent again, once each, though every exchange tells all of its connection', () => {
    const metrics = createHopMetrics();
    const told = (retransmits: number, connection = 1, flags = 0): Hop =>
      hopOf({
        proxy,
        downstream: downstreamRecord({ flags: SIDE_FLAGS.EXCHANGE | flags, connection, retransmits }),
      });
    for (const retransmits of [0, 2, 2, 5, 4]) metrics.add(told(retransmits));
    metrics.add(told(5, 1, SIDE_FLAGS.ENDED));
    metrics.add(told(1, 2));
    assert.deepEqual(seriesOf(metrics, 'hopspan.retransmits'), [
      [{ proxy: 'edge', listener: 8000, side: 'downstream' }, 6],
    ]);
  });
});

describe('metrics of hops under a flood of names', () => {
  it('of upstreams and listeners: bounded series, every hop counted', () => {
    const metrics = createHopMetrics();
    for (let i = 0; i < 1000; i++) {
      const port = 1000 + (i % 100);
      const { downstream: d, upstream: u } = exchange();
      if (d && u)
        metrics.add(exchange({ downstream: { ...d, localPort: port }, upstream: { ...u, remotePort: i } }));
    }
    const series = seriesOf(metrics, 'hopspan.hop.duration');
    assert.ok(series.length <= MAX_PATHS + MAX_LISTENERS + 1, `${series.length} series`);
    const count = series.reduce((sum, [, value]) => sum + (value as [number, number])[0], 0);
    assert.equal(count, 1000);
    assert.ok(series.some(([{ upstream }]) => upstream === 'other'));
    assert.ok(series.some(([labels]) => labels.proxy === 'other'));
  });

  it('of gRPC methods and status codes: bounded series, every request counted', () => {
    const metrics = createHopMetrics();
    const n = 3000;
    for (let i = 0; i < n; i++) {
      const headers = { 'content-type': 'application/grpc', 'grpc-status': String(i) };
      metrics.add(exchange({}, httpOf('POST', 200, headers, `/x/${i}`)));
      metrics.add(exchange({}, httpOf(i % 2 ? 'GET' : `M${i}`, i)));
    }
    for (const name of ['rpc.server.call.duration', 'http.server.request.duration']) {
      const series = seriesOf(metrics, name);
      assert.ok(series.length <= MAX_REQUEST_SERIES + 1, `${name}: ${series.length} series`);
      assert.equal(
        series.reduce((sum, [, value]) => sum + (value as [number, number])[0], 0),
        n,
      );
    }
  });
});
