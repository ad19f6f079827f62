import { FRAME } from '../../records.gen.ts';

/** Types of the frames that the kernel tells of, RFC 9113 section 6. */
export const FRAME_TYPE = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  PUSH_PROMISE: 5,
  GOAWAY: 7,
  CONTINUATION: 9,
} as const;

export const FRAME_FLAGS = {
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** Of the header that every frame has, section 4.1. */
export const FRAME_HEADER_BYTES = 9;

/** What one operation carried of a frame: struct hs_frame, and where what it keeps of the payload lies. */
export interface FramePart {
  /** Of the whole payload. */
  length: number;
  stream: number;
  type: number;
  flags: number;
  /** FRAME_MARKS */
  marks: number;
  /** DATA: bytes of padding, where the frame is padded. */
  padding: number;
  /** Of gRPC, that end here. */
  messages: number;
  /** Bytes of the memory that was read from. */
  start: number;
  end: number;
}

export const isHeaderFrame = ({ type }: FramePart): boolean =>
  type === FRAME_TYPE.HEADERS || type === FRAME_TYPE.CONTINUATION || type === FRAME_TYPE.PUSH_PROMISE;

/** Reads the struct at byte `at`, aligned to nothing, into `part`. */
export function readPart(u8: Uint8Array, at: number, part: FramePart): void {
  part.length = u32(u8, at + FRAME.length);
  part.stream = u32(u8, at + FRAME.stream) & 0x7fffffff;
  part.type = u8[at + FRAME.type] as number;
  part.flags = u8[at + FRAME.flags] as number;
  part.marks = u8[at + FRAME.marks] as number;
  part.padding = u8[at + FRAME.padding] as number;
  part.messages = u16(u8, at + FRAME.messages);
  part.start = at + FRAME.size;
  part.end = part.start + u16(u8, at + FRAME.kept);
}

const u16 = (u8: Uint8Array, at: number): number => (u8[at] as number) | ((u8[at + 1] as number) << 8);

function u32(u8: Uint8Array, at: number): number {
  const low = (u8[at] as number) | ((u8[at + 1] as number) << 8) | ((u8[at + 2] as number) << 16);
  return (low | ((u8[at + 3] as number) << 24)) >>> 0;
}
