import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Hop } from '../../../src/correlate/hop.ts';
import { SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { type HopTimes, type Interval, PHASES, timesOf } from '../../../src/spans/phases.ts';
import { createRandom } from '../../harness/random.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const EXCHANGE = { flags: SIDE_FLAGS.EXCHANGE, exchange: 1 };

/** A proxy that accepts, reads, and then connects; a part a hundred nanoseconds. */
function hop(down: Partial<SideRecord> = {}, up: Partial<SideRecord> = {}, parts: Partial<Hop> = {}): Hop {
  return hopOf({
    downstream: downstreamRecord({
      ...{ ...EXCHANGE, establishedNs: 1000, acceptedNs: 1100, arrivedNs: 1050 },
      ...{ firstReadNs: 1200, lastReadNs: 1200, firstWriteNs: 1900, lastWriteNs: 2000, writes: 3 },
      ...down,
    }),
    upstream: upstreamRecord({
      ...{ ...EXCHANGE, synNs: 1300, establishedNs: 1400, firstWriteNs: 1500, lastWriteNs: 1600, writes: 2 },
      ...{ arrivedNs: 1700, firstReadNs: 1800, lastReadNs: 1850 },
      ...up,
    }),
    ...parts,
  });
}

const between = ({ startNs, endNs }: Interval): string => `${startNs}-${endNs}`;

function phasesOf(of: Hop): Record<string, string> {
  return Object.fromEntries(timesOf(of).phases.map((phase) => [phase.name, between(phase)]));
}

function assertNested({ hop: whole, upstream, phases }: HopTimes): void {
  const inside = (inner: Interval, outer: Interval, what: string): void => {
    assert.ok(inner.startNs >= outer.startNs && inner.endNs <= outer.endNs, `${what} is inside its parent`);
    assert.ok(inner.endNs >= inner.startNs, `${what} ends after it starts`);
  };
  inside(whole, whole, 'the hop');
  if (upstream) inside(upstream, whole, 'the upstream span');
  for (const phase of phases) {
    inside(phase, PHASES[phase.name] === 'upstream' && upstream ? upstream : whole, phase.name);
  }
}

describe('an exchange that carries its set-up', () => {
  test('has every phase, in order and without gaps but the transfers', () => {
    const times = timesOf(hop());
    assert.equal(between(times.hop), '1000-2000');
    assert.equal(between(times.upstream as Interval), '1300-1850');
    assert.deepEqual(phasesOf(hop()), {
      'accept wait': '1000-1100',
      'read wait': '1100-1200',
      connect: '1300-1400',
      forward: '1400-1500',
      'request transfer': '1500-1600',
      'upstream wait': '1600-1700',
      'answer read wait': '1700-1800',
      'answer forward': '1800-1900',
      'answer transfer': '1900-2000',
    });
  });

  test('of a proxy that connects before it reads: the read waits from then on', () => {
    const late = { firstReadNs: 1450, lastReadNs: 1450 };
    const seen = phasesOf(hop(late));
    assert.equal(seen.connect, '1300-1400');
    assert.equal(seen['read wait'], '1400-1450');
    assert.equal(seen.forward, '1450-1500');
  });

  test('a request that came after all was set up waits from its arrival', () => {
    assert.equal(phasesOf(hop({ arrivedNs: 1160 }))['read wait'], '1160-1200');
  });

  test('without the moment of accept, its wait is part of the read wait', () => {
    const seen = phasesOf(hop({ acceptedNs: 0 }));
    assert.equal('accept wait' in seen, false);
    assert.equal(seen['read wait'], '1050-1200');
  });
});

describe('a later exchange', () => {
  const later = { setUp: false };

  test('begins with its first byte in the kernel', () => {
    const times = timesOf(hop({ arrivedNs: 1150 }, {}, later));
    assert.equal(between(times.hop), '1150-2000');
    assert.equal(between(times.upstream as Interval), '1500-1850');
    const seen = phasesOf(hop({ arrivedNs: 1150 }, {}, later));
    assert.equal('accept wait' in seen || 'connect' in seen, false);
    assert.equal(seen['read wait'], '1150-1200');
    assert.equal(seen.forward, '1200-1500');
  });

  test('one write is no transfer', () => {
    const seen = phasesOf(hop({ writes: 1 }, { writes: 1 }, later));
    assert.equal('request transfer' in seen || 'answer transfer' in seen, false);
  });

  test('when the server speaks first there is no request to wait for', () => {
    const silent = { arrivedNs: 0, firstReadNs: 0, lastReadNs: 0 };
    const unasked = { firstWriteNs: 0, lastWriteNs: 0, writes: 0 };
    const greeting = hop(silent, unasked, later);
    assert.deepEqual(Object.keys(phasesOf(greeting)), [
      'answer read wait',
      'answer forward',
      'answer transfer',
    ]);
    assert.equal(between(timesOf(greeting).hop), '1700-2000');
  });
});

describe('what was not finished', () => {
  const unanswered = { firstWriteNs: 0, lastWriteNs: 0, writes: 0 };
  const silent = { arrivedNs: 0, firstReadNs: 0, lastReadNs: 0 };

  test('an upstream that never answers: its wait lasts to its end', () => {
    const cut = hop(
      { ...unanswered, finReceivedNs: 5000, finSentNs: 5100 },
      { ...silent, finSentNs: 5200 },
      { end: true },
    );
    assert.equal(phasesOf(cut)['upstream wait'], '1600-5200');
    assert.equal(between(timesOf(cut).hop), '1000-5200');
    assertNested(timesOf(cut));
  });

  test('a connection that is refused: connect lasts to the refusal', () => {
    const refused = hop(
      { ...unanswered, finSentNs: 1600 },
      { ...silent, ...unanswered, establishedNs: 0, closedNs: 1450 },
      { end: true },
    );
    const seen = phasesOf(refused);
    assert.equal(seen.connect, '1300-1450');
    assert.deepEqual(Object.keys(seen), ['accept wait', 'connect', 'read wait']);
    assertNested(timesOf(refused));
  });

  test('a half without its other side', () => {
    const { downstream, upstream } = hop();
    const down = timesOf(hopOf({ downstream: downstream as SideRecord }));
    assert.equal(between(down.hop), '1000-2000');
    assert.equal(down.upstream, undefined);
    const up = timesOf(hopOf({ upstream: upstream as SideRecord }));
    assert.equal(between(up.hop), '1300-1850');
    assert.equal(between(up.upstream as Interval), '1300-1850');
    for (const times of [down, up]) assertNested(times);
  });
});

describe("a connection's own span", () => {
  test('lasts from its set-up to its end, and has no phase of an exchange', () => {
    const own = hop(
      { finReceivedNs: 9000, finSentNs: 9100 },
      { finSentNs: 9050 },
      { kind: 'connection', end: true },
    );
    assert.equal(between(timesOf(own).hop), '1000-9100');
    assert.equal(between(timesOf(own).upstream as Interval), '1300-9050');
    assert.deepEqual(phasesOf(own), { 'accept wait': '1000-1100', connect: '1300-1400' });
  });
});

describe('whatever the times', () => {
  /** The times of which a record is made, as the layout names them. */
  const TIMES = Object.keys(downstreamRecord()).filter((name) => /Ns$/.test(name));

  test('children lie inside their parents and nothing ends before it starts', () => {
    const random = createRandom(7);
    const anomalous = (record: SideRecord): SideRecord => {
      const changed: Record<string, number> = {};
      for (const name of TIMES) {
        const draw = random();
        if (draw < 0.15) changed[name] = 0;
        else if (draw < 0.5) changed[name] = 1 + Math.floor(random() * 5000);
      }
      return { ...record, ...changed };
    };
    for (let round = 0; round < 5000; round++) {
      const { downstream, upstream } = hop();
      const sides = random();
      assertNested(
        timesOf(
          hopOf({
            ...(sides < 0.9 ? { downstream: anomalous(downstream as SideRecord) } : {}),
            ...(sides > 0.1 ? { upstream: anomalous(upstream as SideRecord) } : {}),
            kind: random() < 0.2 ? 'connection' : 'exchange',
            setUp: random() < 0.5,
            end: random() < 0.5,
          }),
        ),
      );
    }
  });

  test('a hop of which nothing is known has no length', () => {
    assert.deepEqual(timesOf(hopOf({})), { hop: { startNs: 0, endNs: 0 }, phases: [] });
  });
});
