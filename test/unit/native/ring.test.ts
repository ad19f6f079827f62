import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { PAGE_SIZE } from '../../../src/native/memory.ts';
import { openRing, type Ring } from '../../../src/native/ring.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const BYTES = 4 * PAGE_SIZE;
const DATA = 2 * PAGE_SIZE;
const HEADER = 8;
const BUSY = 0x80000000;
const DISCARDED = 0x40000000;

const folder = temporaryFolder(after);
let files = 0;

/** A file laid out as the kernel lays out a BPF ring buffer (Documentation/bpf/ringbuf.rst), and its writer. */
function fakeRing() {
  const fd = openSync(join(folder, `ring-${files++}`), 'w+');
  ftruncateSync(fd, DATA + 2 * BYTES);
  let produced = 0;

  /** A write at a place of the ring, which shows in both of its copies. */
  const put = (bytes: Buffer, at: number): void => {
    for (let i = 0; i < bytes.length; i++) {
      const offset = (at + i) % BYTES;
      for (const copy of [0, BYTES]) writeSync(fd, bytes, i, 1, DATA + copy + offset);
    }
  };
  const publish = (): void => {
    const position = Buffer.alloc(8);
    position.writeBigUInt64LE(BigInt(produced));
    writeSync(fd, position, 0, 8, PAGE_SIZE);
  };
  return {
    ring: openRing(fd, BYTES),
    /** Appends a record; returns where its header stands. */
    write(text: string, flags = 0): number {
      const header = Buffer.alloc(HEADER);
      header.writeUInt32LE((text.length | flags) >>> 0, 0);
      const at = produced;
      put(header, at);
      put(Buffer.from(text), at + HEADER);
      produced += (text.length + HEADER + 7) & ~7;
      publish();
      return at;
    },
    commit(at: number, text: string): void {
      const header = Buffer.alloc(4);
      header.writeUInt32LE(text.length);
      put(header, at);
    },
    /** What the kernel would see as read. */
    consumed(): number {
      const position = Buffer.alloc(8);
      readSync(fd, position, 0, 8, 0);
      return Number(position.readBigUInt64LE());
    },
    produced: () => produced,
    close: () => closeSync(fd),
  };
}

function drain(ring: Ring, limit = Number.POSITIVE_INFINITY): string[] {
  const found: string[] = [];
  const count = ring.drain((offset, length) => {
    found.push(Buffer.from(ring.memory.u8.slice(offset, offset + length)).toString());
  }, limit);
  assert.equal(count, found.length);
  return found;
}

describe('a BPF ring buffer', () => {
  test('is read in order, once, and the kernel is told how far', () => {
    const { ring, write, consumed, produced, close } = fakeRing();
    write('one');
    write('twotwotwo');
    assert.deepEqual(drain(ring), ['one', 'twotwotwo']);
    assert.equal(consumed(), produced());
    assert.deepEqual(drain(ring), []);
    write('three');
    assert.deepEqual(drain(ring), ['three']);
    ring.close();
    close();
  });

  test('is read no further than asked', () => {
    const { ring, write, close } = fakeRing();
    for (const text of ['a', 'b', 'c']) write(text);
    assert.deepEqual(drain(ring, 2), ['a', 'b']);
    assert.deepEqual(drain(ring, 2), ['c']);
    ring.close();
    close();
  });

  test('a record under construction holds up those behind it', () => {
    const { ring, write, commit, close } = fakeRing();
    write('before');
    const at = write('slow', BUSY);
    write('after');
    assert.deepEqual(drain(ring), ['before']);
    assert.deepEqual(drain(ring), []);
    commit(at, 'slow');
    assert.deepEqual(drain(ring), ['slow', 'after']);
    ring.close();
    close();
  });

  test('a discarded record is passed over', () => {
    const { ring, write, consumed, produced, close } = fakeRing();
    write('kept');
    write('thrown away', DISCARDED);
    write('kept too');
    assert.deepEqual(drain(ring), ['kept', 'kept too']);
    assert.equal(consumed(), produced());
    ring.close();
    close();
  });

  test('a record that goes over the end comes in one piece, round after round', () => {
    const { ring, write, close } = fakeRing();
    for (let n = 0; n < 200; n++) {
      const text = `${n}:`.padEnd(296, 'x');
      write(text);
      assert.deepEqual(drain(ring), [text]);
    }
    ring.close();
    close();
  });

  test('tells how full it is', () => {
    const { ring, write, close } = fakeRing();
    assert.equal(ring.fill(), 0);
    for (let n = 0; n < 8; n++) write('x'.repeat(PAGE_SIZE / 4 - HEADER));
    assert.equal(ring.fill(), 0.5);
    drain(ring, 4);
    assert.equal(ring.fill(), 0.25);
    ring.close();
    close();
  });
});
