import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCorrelator } from '../../../src/correlate/correlator.ts';
import type { ExchangeKey, Hop } from '../../../src/correlate/hop.ts';
import { requestStart, requestTotal } from '../../../src/correlate/side.ts';
import type { SideRecord } from '../../../src/records.gen.ts';
import { createSpanBuilder } from '../../../src/spans/build.ts';
import { malformed } from '../../harness/hopspan.ts';
import { makeClock } from '../../harness/kernel-records.ts';
import { createRandom } from '../../harness/random.ts';
import { randomStream, type StreamTruth, streamOf, type Timed } from '../../harness/random-stream.ts';
import { asFileSpan } from '../../harness/recordings.ts';

const STREAMS = 300;
const HOUR_NS = 3_600_000_000_000;

interface Outcome {
  readonly hops: readonly Hop[];
  /** What the correlator still keeps when everything has had its time. */
  readonly kept: number;
}

function correlate(sides: readonly Timed[]): Outcome {
  const hops: Hop[] = [];
  const correlator = createCorrelator((hop) => void hops.push(hop));
  const records = streamOf(sides);
  for (const record of records) correlator.push(record);
  const endNs = sides.at(-1)?.ns ?? 0;
  for (const afterNs of [2e9, 7e9, 130e9, 260e9, HOUR_NS, 3 * HOUR_NS]) {
    correlator.push(makeClock(endNs + afterNs));
  }
  const kept = correlator.size();
  correlator.flush();
  return { hops, kept };
}

/** What the hops say that is not so; what they do not say is another matter. */
function untruths(hops: readonly Hop[], truth: StreamTruth): string[] {
  const complaints: string[] = [];
  const callers = Map.groupBy(
    hops.filter(({ kind }) => kind === 'exchange'),
    ({ upstream: u }) => `${u?.connection}#${u?.exchange}`,
  );
  for (const { downstream: d, upstream: u, attempts, parent, trace, pairing } of hops) {
    if (d && u && (truth.relayedBy.get(d.connection) ?? -1) !== u.connection) {
      if (truth.triedFor.get(u.connection) !== d.connection)
        complaints.push(`${d.connection} is paired with ${u.connection} by ${pairing}`);
    }
    for (const { connection } of attempts) {
      if (truth.triedFor.get(connection) !== d?.connection)
        complaints.push(`${connection} was not tried for ${d?.connection}`);
    }
    if (!parent || !d) continue;
    const called = callers.get(`${parent.connection}#${parent.exchange}`) ?? [];
    if (truth.calledBy.get(d.connection) !== parent.connection)
      complaints.push(`${d.connection} was not called by ${parent.connection}`);
    else if (!called.some((caller) => sameKey(caller.trace, trace)))
      complaints.push(`${d.connection} and its parent are in two traces`);
    else if (!called.some(({ upstream }) => upstream && carried(upstream, d)))
      complaints.push(`exchange ${d.exchange} of ${d.connection} is under another's caller`);
  }
  return complaints;
}

const sameKey = (a: ExchangeKey, b: ExchangeKey): boolean =>
  a.connection === b.connection && a.exchange === b.exchange;

/** The bytes with which the callee's exchange begins were among the caller's. */
function carried(caller: SideRecord, callee: SideRecord): boolean {
  const place = requestStart(callee);
  return requestTotal(callee) === place || (requestStart(caller) <= place && place < requestTotal(caller));
}

/** Every exchange has its upstream, its caller, and the same bytes on both sides. */
function assertWhole(hops: readonly Hop[], truth: StreamTruth, seed: number): void {
  for (const { kind, downstream: d, upstream: u, parent } of hops) {
    if (kind === 'connection' || !d) continue;
    const at = `seed ${seed}, exchange ${d.exchange} of ${d.connection}`;
    assert.equal(u?.connection ?? truth.relayedBy.get(d.connection), u?.connection, at);
    assert.equal(parent !== undefined, truth.calledBy.has(d.connection), at);
    if (u?.peer) assert.deepEqual([u.bytesWritten, u.bytesRead], [d.bytesRead, d.bytesWritten], at);
  }
}

function spanComplaints(hops: readonly Hop[]): string[] {
  const toSpans = createSpanBuilder({ phaseFloorNs: 0, resourceAttributes: {} });
  return malformed(hops.flatMap(toSpans).map(asFileSpan));
}

/** Runs `change` over many random streams, and holds what comes of each against what really was. */
function everyStream(
  change: (sides: readonly Timed[], random: () => number) => readonly Timed[],
  judge: (outcome: Outcome, sides: readonly Timed[], truth: StreamTruth, seed: number) => void,
): void {
  for (let seed = 1; seed <= STREAMS; seed++) {
    const random = createRandom(seed);
    const { sides, truth } = randomStream(random, 1 + Math.floor(random() * 12));
    const changed = change(sides, random);
    const outcome = correlate(changed);
    assert.deepEqual(untruths(outcome.hops, truth), [], `seed ${seed}`);
    judge(outcome, changed, truth, seed);
  }
}

/** Each record later by up to `mostNs`, those of one connection in their order. */
function late(sides: readonly Timed[], random: () => number, mostNs: number): Timed[] {
  const lastNs = new Map<number, number>();
  return sides
    .map(({ ns, record }) => {
      const laterNs = Math.max(ns + Math.floor(random() * mostNs), lastNs.get(record.connection) ?? 0);
      lastNs.set(record.connection, laterNs);
      return { ns: laterNs, record };
    })
    .sort((a, b) => a.ns - b.ns);
}

const connectionsOf = (hops: readonly Hop[]): Set<number> =>
  new Set(
    hops.flatMap(({ downstream: d, upstream: u, attempts }) =>
      [d, u, ...attempts].flatMap((record) => (record ? [record.connection] : [])),
    ),
  );

describe(`${STREAMS} random streams of many connections`, () => {
  test('whole: every byte once, every pair and caller found, spans well formed, nothing kept', () => {
    everyStream(
      (sides) => sides,
      ({ hops, kept }, sides, truth, seed) => {
        assert.deepEqual(spanComplaints(hops), [], `seed ${seed}`);
        assert.equal(kept, 0, `seed ${seed}`);
        assert.deepEqual(
          [...connectionsOf(hops)].toSorted((a, b) => a - b),
          [...new Set(sides.map(({ record }) => record.connection))].toSorted((a, b) => a - b),
        );
        assertWhole(hops, truth, seed);
        const bytes = (records: readonly (SideRecord | undefined)[]): number =>
          records.reduce((sum, record) => sum + (record ? record.bytesRead + record.bytesWritten : 0), 0);
        const exchanges = hops.filter(({ kind }) => kind === 'exchange');
        assert.equal(
          bytes(exchanges.flatMap(({ downstream, upstream }) => [downstream, upstream])),
          bytes(sides.map(({ record }) => record)),
        );
      },
    );
  });

  test('the same records give the same hops', () => {
    everyStream(
      (sides) => sides,
      ({ hops }, sides) => assert.deepEqual(correlate(sides).hops, hops),
    );
  });

  test('late by up to half a second, across connections: the same', () => {
    everyStream(
      (sides, random) => late(sides, random, 5e8),
      ({ hops, kept }, _sides, truth, seed) => {
        assert.deepEqual(spanComplaints(hops), [], `seed ${seed}`);
        assert.equal(kept, 0, `seed ${seed}`);
        assertWhole(hops, truth, seed);
      },
    );
  });

  test('lost here and there: nothing untrue, and only what lost its end is kept for an hour', () => {
    everyStream(
      (sides, random) => sides.filter(() => random() > 0.1),
      ({ kept, hops }, _sides, _truth, seed) => {
        assert.equal(kept, 0, `seed ${seed}`);
        const spans = createSpanBuilder({ phaseFloorNs: 0, resourceAttributes: {} });
        for (const span of hops.flatMap(spans).map(asFileSpan)) assert.ok(span.endNs >= span.startNs);
      },
    );
  });

  test('lost, doubled and late at once: nothing untrue, nothing kept', () => {
    everyStream(
      (sides, random) =>
        late(
          sides.flatMap((side) => (random() < 0.1 ? [] : random() < 0.1 ? [side, side] : [side])),
          random,
          5e9,
        ),
      ({ kept, hops }, _sides, _truth, seed) => {
        assert.equal(kept, 0, `seed ${seed}`);
        const spans = createSpanBuilder({ phaseFloorNs: 0, resourceAttributes: {} });
        for (const span of hops.flatMap(spans).map(asFileSpan)) assert.ok(span.endNs >= span.startNs);
      },
    );
  });
});
