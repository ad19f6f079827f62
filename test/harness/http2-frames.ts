import type { RingMemory } from '../../src/native/ring.ts';
import { FRAME_FLAGS, FRAME_TYPE } from '../../src/receiver/http2/frame.ts';
import { FRAME, FRAME_MARKS, FRAMES_RECORD } from '../../src/records.gen.ts';

const HEADER_BYTES = 9;
const MAX_KEPT = 4096;
const { BEGINS, ENDS, TRUNCATED } = FRAME_MARKS;
const { END_STREAM, PADDED } = FRAME_FLAGS;
const { DATA, HEADERS, RST_STREAM, PUSH_PROMISE, GOAWAY, CONTINUATION } = FRAME_TYPE;
const TOLD: readonly number[] = [DATA, HEADERS, RST_STREAM, PUSH_PROMISE, GOAWAY, CONTINUATION];
const BLOCKS: readonly number[] = [HEADERS, PUSH_PROMISE, CONTINUATION];
const KEPT: Readonly<Record<number, number>> = {
  [HEADERS]: 1e9,
  [PUSH_PROMISE]: 1e9,
  [CONTINUATION]: 1e9,
  [RST_STREAM]: 4,
  [GOAWAY]: 8,
};

/** A frame as it is on the wire, RFC 9113 section 4.1. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** struct hs_frame and what it keeps. */
export interface Entry {
  readonly length: number;
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
  readonly marks: number;
  readonly kept: Uint8Array;
  /** Of gRPC, that end here; not counted by `entriesOf`. */
  readonly messages?: number;
  /** Of DATA. */
  readonly padding?: number;
}

/** What the kernel tells of a direction's bytes that come in these pieces: entries by piece. */
export function entriesOf(pieces: readonly Uint8Array[], maxBlockBytes = 16_384): Entry[][] {
  const bytes = Buffer.concat(pieces);
  const pieceEnds: number[] = [];
  for (const piece of pieces) pieceEnds.push((pieceEnds.at(-1) ?? 0) + piece.length);
  const entries: Entry[][] = pieces.map(() => []);
  let left = maxBlockBytes;
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    const [type, flags] = [bytes[at + 3] as number, bytes[at + 4] as number];
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    const start = at + HEADER_BYTES;
    const end = start + length;
    const padded = type === DATA && flags & PADDED ? { padding: bytes[start] as number } : {};
    if (type !== CONTINUATION) left = maxBlockBytes;
    const keptEnd = start + Math.min(length, KEPT[type] ?? 0, left);
    left -= keptEnd - start;
    for (const [piece, pieceEnd] of pieceEnds.entries()) {
      const pieceStart = pieceEnds[piece - 1] ?? 0;
      let begins = start > pieceStart && start <= pieceEnd;
      const stop = Math.min(end, pieceEnd);
      for (let from = Math.max(start, pieceStart); from < stop || begins; ) {
        const to = type === DATA ? stop : Math.min(stop, from + MAX_KEPT);
        const kept = bytes.subarray(from, Math.max(from, Math.min(keptEnd, to)));
        const ends = to === end;
        const isCut = BLOCKS.includes(type) && to > keptEnd;
        const endIsTold = ends && (type !== DATA || flags & END_STREAM);
        if (TOLD.includes(type) && (begins || kept.length > 0 || isCut || endIsTold)) {
          const marks = (begins ? BEGINS : 0) | (ends ? ENDS : 0) | (isCut ? TRUNCATED : 0);
          entries[piece]?.push({ length, stream, type, flags, marks, kept, ...padded });
        }
        begins = false;
        from = to;
      }
    }
    at = end;
  }
  return entries;
}

export type FramesFields = Partial<
  Record<Exclude<keyof typeof FRAMES_RECORD, 'size' | 'framesBytes'>, number>
>;

/** What follows struct hs_frames_record. */
export function bytesOf(entries: readonly Entry[]): Buffer {
  return Buffer.concat(entries.flatMap((entry) => [structOf(entry), entry.kept]));
}

/** A record as the ring holds it, at byte 8. */
export function framesInRing(fields: FramesFields, entries: readonly Entry[]): RingMemory {
  return framesOfBytes(fields, bytesOf(entries));
}

export function framesOfBytes(
  fields: FramesFields,
  frames: Uint8Array,
  framesBytes = frames.length,
): RingMemory {
  const bytes = new Uint8Array((8 + FRAMES_RECORD.size + frames.length + 7) & ~7);
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(fields)) {
    view.setUint32(8 + FRAMES_RECORD[name as keyof FramesFields], value, true);
  }
  view.setUint32(8 + FRAMES_RECORD.framesBytes, framesBytes, true);
  bytes.set(frames, 8 + FRAMES_RECORD.size);
  return { u8: bytes, u16: new Uint16Array(bytes.buffer), u32: new Uint32Array(bytes.buffer) };
}

function structOf({ length, stream, type, flags, marks, kept, messages = 0, padding = 0 }: Entry): Buffer {
  const struct = Buffer.alloc(FRAME.size);
  struct.writeUInt32LE(length, FRAME.length);
  struct.writeUInt32LE(stream, FRAME.stream);
  struct.writeUInt16LE(kept.length, FRAME.kept);
  struct[FRAME.type] = type;
  struct[FRAME.flags] = flags;
  struct[FRAME.marks] = marks;
  struct[FRAME.padding] = padding;
  struct.writeUInt16LE(messages, FRAME.messages);
  return struct;
}
