import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { RingMemory } from '../../../src/native/ring.ts';
import { createQuietExchanges, type QuietExchanges } from '../../../src/receiver/quiet.ts';
import {
  CONNECTION,
  readSideRecord,
  SIDE_FLAGS,
  SIDE_RECORD,
  type SideRecord,
} from '../../../src/records.gen.ts';

/* enum hs_phase of bpf/connection.h */
const REQUEST = 1;
const ANSWER = 2;

const PLACES = 4;
const QUIET_SINCE = 1000;
const { EXCHANGE, ENDED, SNAPSHOT, SERVER_FIRST } = SIDE_FLAGS;

type WideField = 'connection' | 'firstReadNs' | 'lastReadNs' | 'firstWriteNs' | 'lastWriteNs' | 'bytesRead';
type Wide = WideField | 'bytesWritten' | 'totalRead' | 'totalWritten';
type Fields = Partial<Record<Wide | 'flags' | 'exchange' | 'phase', number>>;

/** The connection table as the probes write it. */
class Table {
  readonly memory: RingMemory;
  readonly #view: DataView;

  constructor() {
    const buffer = new ArrayBuffer(PLACES * CONNECTION.size);
    this.#view = new DataView(buffer);
    this.memory = {
      u8: new Uint8Array(buffer),
      u16: new Uint16Array(buffer),
      u32: new Uint32Array(buffer),
    };
  }

  set(place: number, fields: Fields): void {
    for (const [name, value] of Object.entries(fields)) {
      const at = place * CONNECTION.size;
      if (name === 'phase') this.#view.setUint32(at + CONNECTION.phase, value, true);
      else if (name === 'flags' || name === 'exchange')
        this.#view.setUint32(at + SIDE_RECORD[name], value, true);
      else this.#view.setBigUint64(at + SIDE_RECORD[name as Wide], BigInt(value), true);
    }
  }

  /** What the kernel would send of a place. */
  record(place: number, flags: number = EXCHANGE): SideRecord {
    return { ...readSideRecord(this.memory, place * CONNECTION.size), flags };
  }
}

const ANSWERED: Fields = {
  ...{ connection: 7, flags: EXCHANGE, exchange: 1, phase: ANSWER },
  ...{ firstReadNs: 100, lastReadNs: 110, firstWriteNs: 200, lastWriteNs: 210 },
  ...{ bytesRead: 20, bytesWritten: 50, totalRead: 20, totalWritten: 50 },
};

describe('exchanges that went quiet', () => {
  let table: Table;
  let quiet: QuietExchanges;
  const scan = (beforeNs = QUIET_SINCE): SideRecord[] => quiet.scan(table.memory, PLACES, beforeNs);

  beforeEach(() => {
    table = new Table();
    quiet = createQuietExchanges();
    table.set(1, ANSWERED);
  });

  test('an answered one is told once', () => {
    const [snapshot, ...more] = scan();
    assert.deepEqual(more, []);
    assert.deepEqual(snapshot, table.record(1, EXCHANGE | SNAPSHOT));
    assert.deepEqual(scan(), []);
    assert.deepEqual(scan(Number.POSITIVE_INFINITY), []);
  });

  const silent: Readonly<Record<string, Fields>> = {
    'one whose last byte is too young': { lastWriteNs: QUIET_SINCE },
    'one whose last byte read is too young': { lastReadNs: QUIET_SINCE },
    'one without an answer': { phase: REQUEST },
    'one that begins this moment': { lastReadNs: 0, lastWriteNs: 0 },
    'a place that is free': { connection: 0 },
    'a connection without an exchange': { flags: 0 },
  };
  for (const [name, fields] of Object.entries(silent)) {
    test(`${name} is not told`, () => {
      table.set(1, fields);
      assert.deepEqual(scan(), []);
      assert.equal(quiet.size(), 0);
    });
  }

  test('the place beyond those that were used is not looked at', () => {
    assert.deepEqual(quiet.scan(table.memory, 1, QUIET_SINCE), []);
  });

  test('the end of its connection does not tell it again', () => {
    scan();
    const end = quiet.reconcile(table.record(1, EXCHANGE | ENDED));
    assert.equal(end.flags, ENDED);
    assert.equal(quiet.size(), 0);
  });

  test('the next exchange does not tell it again, and is itself whole', () => {
    scan();
    assert.equal(quiet.reconcile(table.record(1)).flags, 0);
    table.set(1, { exchange: 2, totalRead: 30, totalWritten: 90, bytesRead: 10, bytesWritten: 40 });
    const next = table.record(1);
    assert.deepEqual(quiet.reconcile(next), next);
    assert.equal(quiet.size(), 0);
  });

  test('of an answer that goes on only the rest is told, however often it rests', () => {
    scan();
    for (const [writtenNs, total] of [
      [3000, 65],
      [5000, 80],
    ] as const) {
      table.set(1, { lastWriteNs: writtenNs, totalWritten: total, bytesWritten: total });
      const [rest, ...more] = scan(writtenNs + 1);
      assert.deepEqual(more, []);
      assert.equal(rest?.flags, EXCHANGE | SNAPSHOT | SERVER_FIRST);
      assert.deepEqual([rest?.bytesRead, rest?.bytesWritten, rest?.totalWritten], [0, 15, total]);
      assert.deepEqual([rest?.firstReadNs, rest?.lastReadNs], [0, 0]);
      assert.deepEqual([rest?.firstWriteNs, rest?.lastWriteNs], [writtenNs, writtenNs]);
    }
    table.set(1, { lastWriteNs: 7000, totalWritten: 81, bytesWritten: 81 });
    const end = quiet.reconcile(table.record(1, EXCHANGE | ENDED));
    assert.equal(end.flags, EXCHANGE | ENDED | SERVER_FIRST);
    assert.equal(end.bytesWritten, 1);
  });

  test('a record of a connection that was never quiet is left as it is', () => {
    const record = table.record(1);
    assert.equal(quiet.reconcile(record), record);
  });

  test('a place that another connection took is told anew', () => {
    scan();
    table.set(1, { connection: 8 });
    assert.deepEqual(
      scan().map(({ connection }) => connection),
      [8],
    );
  });

  test('connections whose last record was lost are forgotten, those in the table are not', () => {
    table.set(2, { ...ANSWERED, connection: 9 });
    assert.equal(scan().length, 2);
    table.set(1, { connection: 0 });
    const told = Array.from({ length: 100 }, () => scan()).flat();
    assert.deepEqual(told, []);
    assert.equal(quiet.size(), 1);
    assert.equal(quiet.reconcile(table.record(2, EXCHANGE | ENDED)).flags, ENDED);
  });
});
