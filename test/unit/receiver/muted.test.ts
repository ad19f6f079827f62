import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpMessageRecord } from '../../../src/receiver/kernel-record.ts';
import { RECEIVER_KIND } from '../../../src/receiver/kernel-record.ts';
import { createMutedConnections } from '../../../src/receiver/muted.ts';
import { CONNECTION, MESSAGE_FLAGS, ROLE, SIDE_FLAGS, SIDE_RECORD } from '../../../src/records.gen.ts';
import { makeClock } from '../../harness/kernel-records.ts';
import { sideRecord } from '../../harness/side-record.ts';

/** A connection table: connection, its pair, its process. */
function table(...rows: readonly (readonly [connection: number, peer: number, tgid: number])[]) {
  const view = new DataView(new ArrayBuffer(rows.length * CONNECTION.size));
  for (const [place, [connection, peer, tgid]] of rows.entries()) {
    const at = place * CONNECTION.size;
    view.setBigUint64(at + SIDE_RECORD.connection, BigInt(connection), true);
    view.setBigUint64(at + SIDE_RECORD.peer, BigInt(peer), true);
    view.setUint32(at + SIDE_RECORD.tgid, tgid, true);
    view.setUint8(at + SIDE_RECORD.role, ROLE.DOWNSTREAM);
  }
  const { buffer } = view;
  return {
    memory: { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) },
    places: rows.length,
  };
}

const { memory, places } = table([1, 0, 100], [2, 3, 100], [3, 2, 100], [4, 0, 200], [0, 0, 100]);
const { ANSWER_MESSAGE } = MESSAGE_FLAGS;
const { ENDED, EXCHANGE } = SIDE_FLAGS;
/** Of a downstream connection what begins 100 ms earlier is late. */
const SINCE_NS = 100_001_000;

const message = (parts: Partial<HttpMessageRecord>) =>
  ({ kind: RECEIVER_KIND.HTTP_MESSAGE, flags: 0, stream: 0, ...parts }) as HttpMessageRecord;
const side = (connection: number, firstReadNs: number, flags: number = EXCHANGE) =>
  sideRecord({ connection, firstReadNs, firstWriteNs: 5000, flags });

function muting() {
  const muted = createMutedConnections();
  muted.mute(100, memory, places, SINCE_NS);
  return muted;
}

test('of a process that is watched no more only what has a pair is told', () => {
  const muted = muting();
  assert.equal(muted.size(), 1);
  for (const connection of [1, 2, 3, 4])
    assert.equal(muted.has(side(connection, 1000)), connection === 1, `${connection}`);
  assert.equal(muted.has(makeClock(0)), false);
});

test('what began before is told to its end', () => {
  const muted = muting();
  assert.ok(!muted.has(side(1, 999)));
});

test('of an upstream connection it is the moment itself that counts', () => {
  const one = table([1, 0, 100]);
  one.memory.u8[SIDE_RECORD.role] = ROLE.UPSTREAM;
  const muted = createMutedConnections();
  muted.mute(100, one.memory, one.places, SINCE_NS);
  const upstream = { connection: 1, role: ROLE.UPSTREAM, flags: EXCHANGE, firstReadNs: 2 * SINCE_NS };
  assert.ok(!muted.has(sideRecord({ ...upstream, firstWriteNs: SINCE_NS - 1 })));
  assert.ok(muted.has(sideRecord({ ...upstream, firstWriteNs: SINCE_NS })));
});

test('the end of a connection of which nothing was told is not told, either', () => {
  const muted = muting();
  assert.ok(muted.has(message({ connection: 1, number: 1, firstNs: 1001 })));
  assert.ok(muted.has(side(1, 1001, ENDED)));
  assert.equal(muted.size(), 0);
});

for (const key of ['number', 'stream'] as const) {
  test(`an answer follows its request, by its ${key}`, () => {
    const muted = muting();
    const request = (n: number, firstNs: number) => muted.has(message({ connection: 1, [key]: n, firstNs }));
    const answer = (n: number) =>
      muted.has(message({ connection: 1, [key]: n, firstNs: 5000, flags: ANSWER_MESSAGE }));
    assert.ok(!answer(3), 'its request was told before');
    assert.ok(!request(5, 999));
    assert.ok(request(7, 1001));
    assert.ok(request(9, 1002));
    assert.deepEqual([5, 7, 9].map(answer), [false, true, true]);
  });
}

test('a connection is forgotten with its last record, and the others when the process is watched again', () => {
  const muted = muting();
  muted.mute(200, memory, places, SINCE_NS);
  assert.equal(muted.size(), 2);
  assert.ok(muted.has(side(1, 1000, EXCHANGE | ENDED)));
  assert.ok(!muted.has(side(1, 1000)));
  assert.equal(muted.size(), 1);
  assert.ok(!muted.has(side(4, 1000, 0)), 'the connection itself is told');
  muted.unmute(200);
  assert.equal(muted.size(), 0);
});
