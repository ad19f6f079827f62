import { mapShared, PAGE_SIZE } from './memory.ts';

/* Record header bits, include/uapi/linux/bpf.h */
const BUSY = 0x80000000 | 0;
const DISCARDED = 0x40000000;
const LENGTH_MASK = 0x3fffffff;
const HEADER_BYTES = 8;

/** Views over the ring's data, through which a record is read where it lies. */
export interface RingMemory {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
}

export interface Ring {
  readonly memory: RingMemory;
  /**
   * Hands each waiting record to `onRecord` as (byte offset, length) into `memory`, at most `limit` of
   * them; returns how many. A record is the kernel's again once `onRecord` has returned.
   */
  drain(onRecord: (offset: number, length: number) => void, limit: number): number;
  /** Share of the ring that waits to be read, 0 to 1. */
  fill(): number;
  close(): void;
}

/**
 * A BPF ring buffer read from its mapping (Documentation/bpf/ringbuf.rst): the consumer page, then the
 * producer page, then the data twice, so that a record never wraps. Of the second time one page is enough, for
 * records are shorter, and mapped pages count as resident memory.
 */
export function openRing(fd: number, bytes: number): Ring {
  const consumer = mapShared(fd, PAGE_SIZE, 0, true);
  const producer = mapShared(fd, PAGE_SIZE + bytes + PAGE_SIZE, PAGE_SIZE, false);
  const consumed = new BigUint64Array(consumer.buffer, 0, 1);
  const produced = new BigUint64Array(producer.buffer, 0, 1);
  const headers = new Int32Array(producer.buffer, PAGE_SIZE);
  const memory: RingMemory = {
    u8: new Uint8Array(producer.buffer, PAGE_SIZE),
    u16: new Uint16Array(producer.buffer, PAGE_SIZE),
    u32: new Uint32Array(producer.buffer, PAGE_SIZE),
  };
  let position = Number(Atomics.load(consumed, 0));

  return {
    memory,
    drain(onRecord, limit) {
      const end = Number(Atomics.load(produced, 0));
      const start = position;
      let count = 0;
      while (position < end && count < limit) {
        const offset = position % bytes;
        const header = Atomics.load(headers, offset >> 2);
        if (header & BUSY) break;
        const length = header & LENGTH_MASK;
        if (!(header & DISCARDED)) {
          onRecord(offset + HEADER_BYTES, length);
          count++;
        }
        position += (length + HEADER_BYTES + 7) & ~7;
      }
      if (position !== start) Atomics.store(consumed, 0, BigInt(position));
      return count;
    },
    fill() {
      return Math.min(1, (Number(Atomics.load(produced, 0)) - position) / bytes);
    },
    close() {
      consumer.unmap();
      producer.unmap();
    },
  };
}
