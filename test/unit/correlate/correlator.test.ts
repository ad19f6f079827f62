import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCorrelator } from '../../../src/correlate/correlator.ts';
import type { Hop } from '../../../src/correlate/hop.ts';
import { SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { makeClock, makeHost, makeProxy } from '../../harness/kernel-records.ts';
import { type Probed, pairUp, probed } from '../../harness/probed.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

const SECOND = 1_000_000_000;
const ECONNREFUSED = 111;

/** A correlator with its clock, and two connections whose records go straight into it. */
function start(downFields: Partial<SideRecord> = {}, upFields: Partial<SideRecord> = {}) {
  const hops: Hop[] = [];
  const correlator = createCorrelator((hop) => void hops.push(hop));
  let ns = SECOND;
  correlator.push(makeHost());
  correlator.push(makeProxy());
  correlator.push(makeClock(ns));
  const at = { establishedNs: ns, acceptedNs: ns };
  const d = probed(downstreamRecord({ ...at, ...downFields }), correlator.push);
  const u = probed(upstreamRecord({ synNs: ns, establishedNs: ns, ...upFields }), correlator.push);
  const relay = (from: Probed, to: Probed, bytes: number): void => {
    from.read(bytes, ns++);
    to.write(bytes, ns++);
    pairUp(d, u);
  };
  return {
    ...{ hops, correlator, d, u },
    now: () => ns,
    /** Time passes, with the receiver's heartbeat. */
    pass(seconds: number): void {
      for (const endNs = ns + seconds * SECOND; ns < endNs; ) {
        ns = Math.min(endNs, ns + SECOND / 2);
        correlator.push(makeClock(ns));
      }
    },
    exchange(request = 10, answer = 20): void {
      relay(d, u, request);
      relay(u, d, answer);
    },
    end(): void {
      u.end(ns++);
      d.end(ns++);
    },
  };
}

/** What each hop is and carries. */
function summary(hops: readonly Hop[]): string[] {
  return hops.map(({ kind, key, downstream, upstream, setUp, end, pairing, ambiguous, attempts }) =>
    [
      `${kind} ${key.connection}#${key.exchange}`,
      `${downstream?.connection ?? '-'}>${upstream?.connection ?? '-'}`,
      pairing,
      ...(setUp ? ['set-up'] : []),
      ...(end ? ['end'] : []),
      ...(ambiguous ? ['ambiguous'] : []),
      ...(attempts.length > 0 ? [`after ${attempts.map(({ connection }) => connection).join()}`] : []),
    ].join(' '),
  );
}

describe('set-up and end', () => {
  test('are carried by the first and the last exchange when they lie close to it', () => {
    const { hops, exchange, end, correlator } = start();
    for (let n = 0; n < 3; n++) exchange();
    end();
    assert.deepEqual(summary(hops), [
      'exchange 1#1 1>2 buffer set-up',
      'exchange 1#2 1>2 buffer',
      'exchange 1#3 1>2 buffer end',
    ]);
    assert.deepEqual(correlator.stats, { hops: 3, contradictions: 0, ambiguous: 0 });
  });

  test('a connection that was open long before its first exchange has a span of its own', () => {
    const { hops, exchange, end, pass } = start();
    pass(1.5);
    exchange();
    end();
    assert.deepEqual(summary(hops), ['exchange 1#1 1>2 buffer end', 'connection 1#1 1>2 buffer set-up end']);
  });

  test('so has one that stayed open long after its last', () => {
    const { hops, exchange, end, pass } = start();
    exchange();
    pass(1.5);
    end();
    assert.deepEqual(summary(hops), [
      'exchange 1#1 1>2 buffer set-up',
      'connection 1#1 1>2 buffer set-up end',
    ]);
  });

  test('an exchange that was not answered carries the end, however late', () => {
    const { hops, d, u, end, pass, now } = start();
    pairUp(d, u);
    d.read(10, now());
    u.write(10, now());
    pass(30);
    end();
    assert.deepEqual(summary(hops), ['exchange 1#1 1>2 buffer set-up end']);
  });

  test('the set-up of a connection older than the probes is not known', () => {
    const old = { flags: SIDE_FLAGS.PREEXISTING, establishedNs: 0, acceptedNs: 0 };
    const { hops, exchange, end } = start(old, { ...old, synNs: 0 });
    for (let n = 0; n < 2; n++) exchange();
    end();
    assert.deepEqual(summary(hops), ['exchange 1#1 1>2 buffer', 'exchange 1#2 1>2 buffer end']);
  });
});

describe('exchanges that went quiet', () => {
  /** The receiver's copy of an exchange, and the kernel's record of it later, reconciled. */
  const snapshot = (side: Probed): SideRecord => ({
    ...side.record,
    flags: side.record.flags | SIDE_FLAGS.SNAPSHOT,
  });

  test('are told at once, and their end when it comes', () => {
    const { hops, correlator, d, u, exchange, end, pass, now } = start();
    exchange();
    correlator.push(snapshot(d));
    correlator.push(snapshot(u));
    assert.deepEqual(summary(hops), ['exchange 1#1 1>2 buffer set-up']);
    pass(30);
    for (const side of [u, d]) side.record.flags &= ~SIDE_FLAGS.EXCHANGE; // told already
    end();
    assert.deepEqual(summary(hops).slice(1), ['connection 1#1 1>2 buffer set-up end']);
    assert.ok(hops[1] && hops[1].clock.monotonicNs > now() - SECOND);
  });

  test('a next exchange is the next, and nothing is told twice', () => {
    const { hops, correlator, d, u, exchange, end } = start();
    exchange(10, 20);
    correlator.push(snapshot(u));
    correlator.push(snapshot(d));
    for (const side of [u, d]) side.record.flags &= ~SIDE_FLAGS.EXCHANGE;
    exchange(30, 40);
    end();
    assert.deepEqual(
      hops.map(({ downstream }) => [downstream?.bytesRead, downstream?.bytesWritten]),
      [
        [10, 20],
        [30, 40],
      ],
    );
  });
});

describe('one half comes late', () => {
  test('the other waits for it as long as TCP may take', () => {
    const { hops, exchange, d, u, pass, now, correlator } = start();
    exchange();
    d.end(now());
    pass(100);
    assert.deepEqual(hops, []);
    u.end(now());
    assert.deepEqual(summary(hops), ['exchange 1#1 1>2 buffer set-up end']);
    pass(301); // remembered for the hops that it called
    assert.equal(correlator.size(), 0);
  });

  test('or goes without it', () => {
    const { hops, exchange, d, u, pass, now, correlator } = start();
    exchange();
    d.end(now());
    pass(121);
    assert.deepEqual(summary(hops), ['exchange 1#1 1>- buffer set-up end']);
    u.end(now());
    pass(121);
    assert.equal(hops.length, 1);
    assert.equal(correlator.size(), 0);
  });
});

describe('halves without another', () => {
  test('of a proxy that does not hand on its bytes: exchange by exchange, at once', () => {
    const { hops, d, now, pass } = start();
    for (let n = 0; n < 2; n++) {
      d.read(10, now());
      d.write(10, now());
    }
    assert.deepEqual(summary(hops), ['exchange 1#1 1>- none set-up']);
    d.end(now());
    pass(2);
    assert.deepEqual(summary(hops).slice(1), ['exchange 1#2 1>- none end']);
  });

  test('that find each other later have one set-up, and their exchanges in step', () => {
    const { hops, d, now, exchange, end } = start();
    d.read(10, now()); // HTTP's CONNECT, say
    d.write(15, now());
    for (let n = 0; n < 3; n++) exchange();
    end();
    assert.deepEqual(summary(hops), [
      'exchange 1#1 1>- none set-up',
      'exchange 1#2 1>2 buffer',
      'exchange 1#3 1>2 buffer',
      'exchange 1#4 1>2 buffer end',
    ]);
  });

  test('a connection that nobody accepted is not told', () => {
    const { hops, d, now, pass } = start({ tgid: 0 });
    d.end(now());
    pass(2);
    assert.deepEqual(hops, []);
  });
});

describe('an upstream that refuses', () => {
  const refused = (connection: number, fields: Partial<SideRecord>): SideRecord =>
    upstreamRecord({
      ...{ connection, flags: SIDE_FLAGS.ENDED, establishedNs: 0, error: ECONNREFUSED },
      ...{ synNs: SECOND, closeTid: 101, ...fields },
    });

  test('is the upstream of the client for which it was called, in either order of the records', () => {
    const attempt = refused(3, { candidate: 1, openOp: 2, closeOp: 3 });
    for (const first of ['attempt', 'client']) {
      const { hops, correlator, d, now, pass } = start();
      if (first === 'attempt') correlator.push(attempt);
      d.end(now(), { closeTid: 101, closeOp: 4 });
      if (first === 'client') correlator.push(attempt);
      pass(2);
      assert.deepEqual(summary(hops), ['exchange 1#0 1>3 connect set-up end']);
    }
  });

  test('before another takes the request: an attempt of the first exchange', () => {
    const { hops, correlator, exchange } = start();
    correlator.push(refused(3, { candidate: 1, openOp: 2, closeOp: 3 }));
    exchange();
    exchange();
    assert.deepEqual(summary(hops), ['exchange 1#1 1>2 buffer set-up after 3']);
  });

  test('nobody can be named: both halves are told apart, the attempt as ambiguous', () => {
    const { hops, correlator, d, now, pass } = start();
    correlator.push(refused(3, { openOp: 2, closeOp: 3 }));
    d.end(now(), { closeTid: 101, closeOp: 9 });
    pass(62);
    assert.match(summary(hops)[0] ?? '', /^exchange 1#0 1>- none/);
    assert.match(summary(hops)[1] ?? '', /^exchange 3#0 ->3 none .* ambiguous$/);
    assert.ok(correlator.stats.ambiguous > 0);
  });
});

describe('the end of the stream', () => {
  test('gives what was answered to the client, and not what is under way', () => {
    for (const [side, told] of [
      ['d', ['exchange 1#1 1>- buffer set-up']],
      ['u', []],
    ] as const) {
      const { hops, correlator, exchange, d, u, now } = start();
      exchange();
      if (side === 'd') d.read(10, now());
      else u.write(10, now());
      correlator.flush();
      assert.deepEqual(summary(hops), told);
    }
  });

  test('an end whose other half has not come is told', () => {
    const { hops, correlator, exchange, d, now } = start();
    exchange();
    d.end(now());
    correlator.flush();
    assert.deepEqual(summary(hops), ['exchange 1#1 1>- buffer set-up end']);
  });
});

test('a hop knows its process, its host and the clock of its time', () => {
  const { hops, exchange, pass } = start();
  pass(3);
  exchange();
  exchange();
  assert.equal(hops[0]?.proxy?.tgid, 100);
  assert.equal(hops[0]?.host?.hostName, 'host');
  assert.equal(hops[0]?.clock.monotonicNs, 4 * SECOND);
});

test('bytes that came from nowhere are counted', () => {
  const { correlator, exchange, d, end, now } = start();
  exchange();
  exchange();
  d.write(5, now());
  end();
  assert.equal(correlator.stats.contradictions, 1);
});

test('a silent connection is forgotten after an hour, and told no second time when it ends after all', () => {
  const { hops, correlator, exchange, d, u, end, now } = start();
  exchange();
  exchange();
  d.read(1, now());
  u.write(1, now());
  correlator.push(makeClock(now() + 3601 * SECOND));
  assert.equal(correlator.size(), 0);
  const before = hops.length;
  for (const side of [u, d]) side.record.flags &= ~SIDE_FLAGS.EXCHANGE;
  end();
  const late = hops.slice(before);
  assert.deepEqual(summary(late), ['connection 1#3 1>2 buffer set-up end']);
});
