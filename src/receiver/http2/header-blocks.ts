import { FRAME_MARKS } from '../../records.gen.ts';
import type { HeadOptions } from '../http1/head.ts';
import { FRAME_FLAGS, FRAME_TYPE, type FramePart } from './frame.ts';
import { createHpackDecoder, type HeaderBlock } from './hpack.ts';

/** Of one header block; the kernel hands up less, as `max_head_bytes` says. */
const MAX_BLOCK_BYTES = 65_536;
const INITIAL_BYTES = 1024;
const PRIORITY_BYTES = 5;
const PROMISED_STREAM_BYTES = 4;
const NO_BYTES = new Uint8Array(0);

/** Puts the header blocks of one direction together (RFC 9113, section 4.3), and decodes them. */
export interface HeaderBlocks {
  /** The stream whose header block has begun and is not over. */
  readonly open: number | undefined;
  /** A part of a HEADERS, PUSH_PROMISE or CONTINUATION frame; the block when it is over. */
  push(u8: Uint8Array, part: FramePart): HeaderBlock | undefined;
  /** Something of this direction was lost: what has begun is dropped, what came before is unknown. */
  forget(): void;
}

export function createHeaderBlocks(options?: HeadOptions): HeaderBlocks {
  const decoder = createHpackDecoder(options);
  let open: number | undefined;
  let isCut = false;
  let bytes: Uint8Array = NO_BYTES;
  let length = 0;
  /** Where the frame that is read begins in `bytes`. */
  let frameStart = 0;

  function append(u8: Uint8Array, start: number, end: number): void {
    const room = Math.min(end - start, MAX_BLOCK_BYTES - length);
    if (room < end - start) isCut = true;
    if (length + room > bytes.length) {
      const larger = new Uint8Array(Math.max(INITIAL_BYTES, 2 * (length + room)));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(u8.subarray(start, start + room), length);
    length += room;
  }

  function close(): void {
    open = undefined;
    isCut = false;
    bytes = NO_BYTES;
    length = 0;
    frameStart = 0;
  }

  function decode(u8: Uint8Array, start: number, end: number): HeaderBlock {
    const block = decoder.decode(u8, start, end, isCut);
    close();
    return block;
  }

  return {
    get open() {
      return open;
    },
    push(u8, part) {
      const { flags, marks, start, end } = part;
      const isLast = marks & FRAME_MARKS.ENDS && flags & FRAME_FLAGS.END_HEADERS;
      if (open === undefined && isLast && marks & FRAME_MARKS.BEGINS && end - start === part.length) {
        /* Nearly always: decoded where it lies. */
        const from = fragmentStart(part, start);
        const to = fragmentEnd(u8, part, start);
        if (from > to) isCut = true;
        return decode(u8, from, Math.max(from, to));
      }
      open ??= part.stream;
      if (!isCut) append(u8, start, end);
      if (marks & FRAME_MARKS.TRUNCATED) isCut = true;
      if (!(marks & FRAME_MARKS.ENDS)) return undefined;
      if (length - frameStart !== part.length) isCut = true;
      strip(part);
      return isLast ? decode(bytes, 0, length) : undefined;
    },
    forget() {
      close();
      decoder.forget();
    },
  };

  /** Takes from the frame that was appended what is no header block. */
  function strip(part: FramePart): void {
    const from = Math.min(length, fragmentStart(part, frameStart));
    const to = Math.min(length, fragmentEnd(bytes, part, frameStart));
    if (from > to) isCut = true;
    bytes.copyWithin(frameStart, from, to);
    length = frameStart + Math.max(0, to - from);
    frameStart = length;
  }
}

/* Where in its payload, at `start`, a frame's part of the header block begins and ends: sections 6.2, 6.6 and 6.10. */

function fragmentStart({ type, flags }: FramePart, start: number): number {
  if (type === FRAME_TYPE.CONTINUATION) return start;
  const padding = flags & FRAME_FLAGS.PADDED ? 1 : 0;
  if (type === FRAME_TYPE.PUSH_PROMISE) return start + padding + PROMISED_STREAM_BYTES;
  return start + padding + (flags & FRAME_FLAGS.PRIORITY ? PRIORITY_BYTES : 0);
}

function fragmentEnd(u8: Uint8Array, { type, flags, length }: FramePart, start: number): number {
  const isPadded = type !== FRAME_TYPE.CONTINUATION && flags & FRAME_FLAGS.PADDED;
  return start + length - (isPadded ? (u8[start] ?? 0) : 0);
}
