import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLengthPairs } from '../../../src/correlate/lengths.ts';
import { MANY_THREADS, type Side } from '../../../src/correlate/side.ts';
import { SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { createRandom } from '../../harness/random.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

const SECOND = 1_000_000_000;
const TAG = 17;

interface Shape {
  readonly connection: number;
  /** Turns in which request and answer were read. */
  readonly at: number;
  readonly back: number;
  readonly request: number;
  readonly answer: number;
  readonly more?: Partial<SideRecord>;
}

/** TLS that ends at the proxy, in one record each way. */
function down({ connection, at, back, request, answer, more }: Shape): Side {
  return downstreamRecord({
    ...{ connection, flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.TLS, exchange: 2, opTid: 101 },
    ...{ firstReadTurn: at, lastReadTurn: at, firstWriteTurn: back + 1, lastWriteTurn: back + 1 },
    ...{ tlsRecordsRead: 1, tlsRecordsWritten: 1, bytesRead: request + 22, bytesWritten: answer + 22 },
    ...{ tlsBytesRead: request + TAG, tlsBytesWritten: answer + TAG, ...more },
  });
}

/** What goes out in the next turn, with 78 bytes more, and comes back with 5 bytes more than are passed on. */
function up({ connection, at, back, request, answer, more }: Shape): Side {
  return upstreamRecord({
    ...{ connection: connection + 1000, flags: SIDE_FLAGS.EXCHANGE, exchange: 3, opTid: 101 },
    ...{ firstWriteTurn: at + 1, lastWriteTurn: at + 1, firstReadTurn: back, lastReadTurn: back },
    ...{ bytesWritten: request + 78, bytesRead: answer + 5, ...more },
  });
}

function run(sides: readonly Side[], withdrawn: readonly Side[] = []) {
  const pairs: [number, number][] = [];
  const apart: [number, boolean][] = [];
  const lengths = createLengthPairs({
    pair: ({ side }, upstream) => void pairs.push([side.connection, upstream.side.connection - 1000]),
    apart: ({ side }, ambiguous) => void apart.push([side.connection, ambiguous]),
  });
  const taken = sides.map((side) => lengths.add({ side, setUp: false }));
  for (const side of withdrawn) assert.ok(lengths.withdraw(side));
  for (let at = 1; at < 40; at++) lengths.advance((at * SECOND) / 2);
  assert.equal(lengths.size(), 0);
  const wrong = pairs.filter(([d, u]) => d !== u);
  return { pairs: pairs.length, wrong, apart: apart.toSorted(([a], [b]) => a - b), taken };
}

/** Exchanges far apart, from which the differences are learned. */
const lesson = (count = 70): Side[] =>
  Array.from({ length: count }, (_, n) => {
    const shape = { connection: 500 + n, at: 10_000 + 10 * n, back: 10_004 + 10 * n };
    const lengths = { request: 100 + n, answer: 200 + 3 * n };
    return [down({ ...shape, ...lengths }), up({ ...shape, ...lengths })];
  }).flat();

test('one request at a time is paired by the turns', () => {
  const shape = { connection: 1, at: 5, back: 9, request: 100, answer: 50 };
  assert.deepEqual(run([down(shape), up(shape)]), { pairs: 1, wrong: [], apart: [], taken: [true, true] });
});

test('hundreds of each turn are told apart by their lengths, whatever the order', () => {
  const random = createRandom(5);
  const sides = Array.from({ length: 400 }, (_, n) => {
    const shape = {
      ...{ connection: n + 1, at: 3 * Math.floor(n / 100), back: 400 + 3 * Math.floor(random() * 5) },
      ...{ request: Math.floor(random() * 1e6), answer: Math.floor(random() * 1e6) },
    };
    return [down({ ...shape, at: shape.at + 1 }), up({ ...shape, at: shape.at + 1 })];
  }).flat();
  const { pairs, wrong } = run([...lesson(), ...sides].sort(() => random() - 0.5));
  assert.deepEqual([pairs, wrong], [470, []]);
});

test('a request that waited for a connection is known by both lengths', () => {
  const shape = { connection: 1, at: 5, back: 60, request: 100, answer: 50 };
  const late = { firstWriteTurn: 50, lastWriteTurn: 50 };
  assert.equal(run([...lesson(200), down(shape), up({ ...shape, more: late })]).pairs, 201);
  assert.equal(run([...lesson(200), down(shape), up({ ...shape, request: 201, more: late })]).pairs, 200);
});

/** By how many bytes more than the usual 78 the proxy makes a request longer; one in three by some other number. */
const anew = (n: number): number => (n % 3 === 0 ? ((37 * n) % 97) - 48 : 0);

test('two requests that seem to fit crosswise are no pairs, where the proxy changes lengths at will', () => {
  const unlike = lesson(600).map((side, at) => {
    const isRequest = at % 2 === 0;
    return isRequest ? side : { ...side, bytesWritten: side.bytesWritten + anew(at >> 1) };
  });
  const shape = { at: 5, back: 9, answer: 50 };
  const fits = [
    ...[down({ connection: 1, request: 100, ...shape }), down({ connection: 2, request: 105, ...shape })],
    up({ connection: 1, request: 100, ...shape, more: { bytesWritten: 105 + 78 } }),
    up({ connection: 2, request: 105, ...shape, more: { bytesWritten: 105 + 78 + 17 } }),
  ];
  const { wrong, pairs } = run([...unlike, ...fits]);
  assert.deepEqual([pairs, wrong], [600, []]);
});

test('requests that are the same stay apart, and are said to be ambiguous', () => {
  const shape = { at: 5, back: 9, request: 100, answer: 50 };
  const sides = [1, 2].flatMap((connection) => [
    down({ connection, ...shape }),
    up({ connection, ...shape }),
  ]);
  assert.deepEqual(run([...lesson(), ...sides]).apart, [
    ...[1, 2, 1001, 1002].map((connection) => [connection, true]),
  ]);
});

test('one of two goes to nobody, though the other comes late', () => {
  const shape = { at: 5, back: 9, request: 100, answer: 50 };
  const first = down({ connection: 1, ...shape });
  const pairs: number[] = [];
  const lengths = createLengthPairs({
    pair: ({ side }) => void pairs.push(side.connection),
    apart: () => {},
  });
  for (const side of [first, down({ connection: 2, ...shape }), up({ connection: 1, ...shape })]) {
    lengths.add({ side, setUp: false });
    lengths.advance(SECOND / 2);
  }
  for (let at = 1; at < 20; at++) lengths.advance(SECOND + (at * SECOND) / 4);
  assert.deepEqual(pairs, []);
});

describe('no pair', () => {
  const shape = { connection: 1, at: 5, back: 9, request: 100, answer: 50 };
  const others: Record<string, Side> = {
    'of another thread': up({ ...shape, more: { opTid: 102 } }),
    'of another process': up({ ...shape, more: { tgid: 7 } }),
    'sent before it was read': up({ ...shape, at: 3 }),
    'answered after it was passed back': up({ ...shape, back: 12 }),
    'answered long before it was passed back': up({ ...shape, back: 7 }),
  };
  for (const [name, other] of Object.entries(others)) {
    test(name, () => {
      assert.deepEqual(run([...lesson(), down(shape), other]).apart, [
        [1, false],
        [1001, false],
      ]);
    });
  }
});

test('halves whose turns are not known are not taken', () => {
  const shape = { connection: 1, at: 5, back: 9, request: 100, answer: 50 };
  const { EXCHANGE, TLS, SERVER_FIRST } = SIDE_FLAGS;
  const others: Partial<SideRecord>[] = [
    ...[{ opTid: 0 }, { opTid: MANY_THREADS }, { firstReadTurn: 0 }, { firstWriteTurn: 0 }, { peer: 4 }],
    ...[{ flags: 0 }, { flags: EXCHANGE | TLS | SERVER_FIRST }, { tlsRecordsRead: 0 }],
  ];
  const { taken } = run(others.map((more) => down({ ...shape, more })));
  assert.deepEqual(
    taken,
    others.map(() => false),
  );
});

test('what something better has paired is withdrawn', () => {
  const shape = { connection: 1, at: 5, back: 9, request: 100, answer: 50 };
  const sides = [down(shape), up(shape)];
  assert.deepEqual(run(sides, sides).apart, []);
});

test('turns that pass the end of their 32 bits', () => {
  const shape = { connection: 1, at: 0xffff_fffe, back: 3, request: 100, answer: 50 };
  const late = { firstWriteTurn: 0xffff_ffff, lastWriteTurn: 0xffff_ffff };
  assert.equal(run([down(shape), up({ ...shape, more: late })]).pairs, 1);
});
