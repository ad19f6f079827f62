import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAttempts, isAttempt } from '../../../src/correlate/unpaired.ts';
import type { SideRecord } from '../../../src/records.gen.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

const THREAD = 101;
const ECONNREFUSED = 111;

/** A connection that one thread accepted and closed; nothing was relayed. */
const client = (connection: number, closeOp: number, fields: Partial<SideRecord> = {}): SideRecord =>
  downstreamRecord({ connection, tid: THREAD, closeTid: THREAD, closeOp, ...fields });

/** A connect() of the same thread, in vain. */
const refused = (connection: number, closeOp: number, fields: Partial<SideRecord> = {}): SideRecord =>
  upstreamRecord({
    ...{ connection, tid: THREAD, closeTid: THREAD, closeOp, openOp: closeOp - 1, establishedNs: 0 },
    ...{ error: ECONNREFUSED, ...fields },
  });

/** What is found for each of these clients in turn, as connection numbers. */
function found(attempts: readonly SideRecord[], clients: readonly SideRecord[]): string[] {
  const state = createAttempts();
  for (const record of attempts) state.add(record, 0);
  for (const record of clients) {
    state.servedBy(record, record.closeTid);
    state.addDownstream(record, 0);
  }
  return clients.map((record) => {
    const taken = state.takeFor(record);
    return taken.attempts.length === 0
      ? 'none'
      : `${taken.pairing} ${taken.attempts.map(({ connection }) => connection).join(' ')}`;
  });
}

describe('by connect()', () => {
  test('the only connection that the thread can have connected for', () => {
    assert.deepEqual(found([refused(2, 3, { candidate: 1 })], [client(1, 9)]), ['connect 2']);
  });

  test('its tries in their order', () => {
    const tries = [refused(2, 3), refused(3, 5), refused(4, 7)].map((each) => ({ ...each, candidate: 1 }));
    assert.deepEqual(found(tries, [client(1, 8)]), ['connect 2 3 4']);
  });

  test('a connection that was handed to another thread was none of this one', () => {
    const elsewhere = client(1, 9, { closeTid: 102 });
    assert.deepEqual(found([refused(2, 3, { candidate: 1 })], [elsewhere]), ['none']);
  });

  test('what one connection cannot have called for, another still can', () => {
    const attempts = [refused(2, 3, { candidate: 1 })];
    const clients = [client(1, 90, { closeTid: 102 }), client(5, 4)];
    assert.deepEqual(found(attempts, clients), ['none', 'order 2']);
  });

  test('a request that was written upstream when its client was gone', () => {
    const written = (bytes: number): SideRecord =>
      refused(2, 3, { candidate: 1, exchange: 1, totalWritten: bytes });
    assert.ok(isAttempt(written(500)));
    assert.ok(!isAttempt({ ...written(500), candidate: 0 }), 'of whom is not known');
    assert.ok(!isAttempt({ ...written(500), totalRead: 1 }), 'it was answered');
    assert.deepEqual(found([written(500)], [client(1, 9, { totalRead: 500 })]), ['connect 2']);
    assert.deepEqual(found([written(500)], [client(1, 9, { totalRead: 400 })]), ['none']);
  });

  test('where threads hand connections to each other, the kernel names nobody', () => {
    const handed = client(7, 20, { closeTid: 102 });
    assert.deepEqual(found([refused(2, 3, { candidate: 1 })], [handed, client(1, 9)]), ['none', 'none']);
    assert.deepEqual(found([refused(2, 3, { candidate: 1 })], [handed, client(5, 4)]), ['none', 'order 2']);
  });

  test('each is given once', () => {
    const attempts = [refused(2, 3, { candidate: 1 })];
    assert.deepEqual(found(attempts, [client(1, 9), client(1, 9)]), ['connect 2', 'none']);
  });
});

describe('by the order of closing', () => {
  test('the thread let go of both in one go, in either order', () => {
    assert.deepEqual(found([refused(2, 5)], [client(1, 6)]), ['order 2']);
    assert.deepEqual(found([refused(2, 7)], [client(1, 6)]), ['order 2']);
  });

  test('something in between, another thread, another process, an earlier connect(): nothing', () => {
    assert.deepEqual(found([refused(2, 4)], [client(1, 6)]), ['none']);
    assert.deepEqual(found([refused(2, 5, { closeTid: 102 })], [client(1, 6)]), ['none']);
    assert.deepEqual(found([refused(2, 5, { tgid: 999 })], [client(1, 6)]), ['none']);
    assert.deepEqual(found([refused(2, 5, { synNs: 50 })], [client(1, 6)]), ['none']);
    assert.deepEqual(found([refused(2, 5)], [client(1, 0)]), ['none']);
  });

  test('two attempts beside one client: neither', () => {
    assert.deepEqual(found([refused(2, 5), refused(3, 7)], [client(1, 6)]), ['none']);
  });

  test('two clients beside one attempt: nobody, whoever is asked first', () => {
    assert.deepEqual(found([refused(2, 6)], [client(1, 5), client(3, 7)]), ['none', 'none']);
    assert.deepEqual(found([refused(2, 6)], [client(3, 7), client(1, 5)]), ['none', 'none']);
  });
});

describe('before a connection that was made', () => {
  test('the tries of the thread that made it, and only those named for this client', () => {
    const state = createAttempts();
    state.add(refused(2, 3, { candidate: 1 }), 0);
    state.add(refused(9, 7), 0); // next to its close, by chance
    const open = downstreamRecord({ connection: 1, closeOp: 8, closeTid: THREAD });
    const named = state.takeNamed(open, THREAD).map(({ connection }) => connection);
    assert.deepEqual(named, [2]);
    assert.deepEqual(state.takeNamed(open, THREAD), []);
  });

  test('another thread made it: the try was not for this client', () => {
    const state = createAttempts();
    state.add(refused(2, 3, { candidate: 1 }), 0);
    assert.deepEqual(state.takeNamed(downstreamRecord({ connection: 1 }), 102), []);
    assert.equal(state.expire(1).length, 1);
  });
});

describe('expiry', () => {
  test('what nobody asks for is given back once, and nothing is kept', () => {
    const state = createAttempts();
    state.add(refused(2, 3, { candidate: 1 }), 10);
    state.add(refused(3, 5, { openOp: 4 }), 20);
    state.add(refused(4, 50), 30);
    const ids = (beforeNs: number): number[] => state.expire(beforeNs).map(({ connection }) => connection);
    assert.deepEqual(ids(10), []);
    assert.deepEqual(ids(11), [2]);
    assert.deepEqual(ids(40).toSorted(), [3, 4]);
    assert.equal(state.size(), 0);
  });
});

describe('a failed attempt takes along', () => {
  /** Whose failure ended each of these clients. */
  function causes(attempts: readonly SideRecord[], clients: readonly SideRecord[]): (number | undefined)[] {
    const state = createAttempts();
    for (const record of attempts) state.add(record, 0);
    for (const record of clients) state.addDownstream(record, 0);
    return clients.map((record) => state.takeFor(record).failure?.connection);
  }
  const failed = refused(2, 3, { candidate: 1, releasedNs: 500 });

  test('whoever the thread let go of right after it, by the same listener', () => {
    const other = client(6, 6, { localPort: 9999 });
    assert.deepEqual(causes([failed], [client(4, 4), client(5, 5), other]), [2, 2, undefined]);
  });

  test('nobody who came later, was let go of much later, or after something else', () => {
    const late = client(4, 4, { acceptedNs: 600 });
    assert.deepEqual(causes([failed], [late]), [undefined]);
    assert.deepEqual(causes([failed], [client(4, 4, { closedNs: 3_000_000_000 })]), [undefined]);
    assert.deepEqual(causes([failed], [client(4, 5)]), [undefined]);
    assert.deepEqual(causes([{ ...failed, establishedNs: 400 }], [client(4, 4)]), [undefined]);
  });

  test('attempts of unknown clients in its lifetime leave it open whether any was its own', () => {
    const state = createAttempts();
    state.add(refused(2, 3, { synNs: 300 }), 0);
    const during = client(4, 9, { acceptedNs: 200, closedNs: 400 });
    const before = client(5, 10, { acceptedNs: 200, closedNs: 250 });
    assert.equal(state.takeFor(during).ambiguous, true);
    assert.equal(state.takeFor(before).ambiguous, false);
  });
});
