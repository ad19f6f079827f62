// Wire types: https://protobuf.dev/programming-guides/encoding/
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

/** Below this number of bytes, a loop is faster than a call into the runtime. */
const SHORT = 48;

export function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  let size = 1;
  for (let rest = value; rest >= 0x80; rest /= 0x80) size++;
  return size;
}

/** Values of the hexadecimal digits by character code. */
const HEX = Uint8Array.from(
  { length: 128 },
  (_, code) => Number.parseInt(String.fromCharCode(code), 16) || 0,
);

/** Writes protobuf into one growing buffer that can be used again. */
export class ProtoWriter {
  #buffer: Buffer<ArrayBuffer>;
  pos = 0;

  constructor(bytes = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  /** Makes room for `size` more bytes; the writes below do not check. */
  reserve(size: number): void {
    if (this.pos + size <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.pos + size));
    this.#buffer.copy(grown, 0, 0, this.pos);
    this.#buffer = grown;
  }

  /** One byte: a tag of a field below 16, or a varint below 128. */
  byte(value: number): void {
    this.#buffer[this.pos++] = value;
  }

  /** A varint of 0 to 2^53 - 1. */
  varint(value: number): void {
    let rest = value;
    // Divisions for what bit operations would cut.
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 0x80)) this.#buffer[this.pos++] = (rest & 0x7f) | 0x80;
    for (; rest >= 0x80; rest >>>= 7) this.#buffer[this.pos++] = (rest & 0x7f) | 0x80;
    this.#buffer[this.pos++] = rest;
  }

  /** An int64 as a varint: ten bytes for a negative one. */
  bigVarint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 0x80n; rest >>= 7n) this.#buffer[this.pos++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.pos++] = Number(rest);
  }

  fixed32(value: number): void {
    const buffer = this.#buffer;
    const { pos } = this;
    buffer[pos] = value;
    buffer[pos + 1] = value >>> 8;
    buffer[pos + 2] = value >>> 16;
    buffer[pos + 3] = value >>> 24;
    this.pos = pos + 4;
  }

  /** `seconds` and `nanoseconds` as one 64-bit number of nanoseconds. */
  fixed64Nanos(seconds: number, nanoseconds: number): void {
    // A product with 1e9 is not exact in a double; with the seconds cut in 16-bit halves both are. `>>> 0`
    // takes the lower 32 bits, and is far cheaper than `%`.
    const low = (seconds & 0xffff) * 1e9 + nanoseconds;
    const high = ((seconds / 0x10000) >>> 0) * 1e9;
    const lowWord = (low >>> 0) + (((high & 0xffff) << 16) >>> 0);
    const carry = lowWord > 0xffffffff ? 1 : 0;
    this.fixed32(lowWord >>> 0);
    this.fixed32((Math.floor(low / 0x100000000) + Math.floor(high / 0x10000) + carry) >>> 0);
  }

  double(value: number): void {
    this.pos = this.#buffer.writeDoubleLE(value, this.pos);
  }

  bytes(value: Uint8Array): void {
    const { length } = value;
    if (length < SHORT) for (let n = 0; n < length; n++) this.#buffer[this.pos + n] = value[n] as number;
    else this.#buffer.set(value, this.pos);
    this.pos += length;
  }

  /** Hexadecimal text as bytes, without a length. */
  hex(text: string): void {
    const buffer = this.#buffer;
    let { pos } = this;
    for (let n = 0; n < text.length; n += 2) {
      buffer[pos++] = ((HEX[text.charCodeAt(n)] as number) << 4) | (HEX[text.charCodeAt(n + 1)] as number);
    }
    this.pos = pos;
  }

  /** Text of `size` bytes in UTF-8 (`utf8Size`), without a length. */
  text(text: string, size: number): void {
    const buffer = this.#buffer;
    let { pos } = this;
    if (size === text.length && size < SHORT) {
      for (let n = 0; n < size; n++) buffer[pos++] = text.charCodeAt(n);
    } else pos += buffer.write(text, pos, 'utf8');
    this.pos = pos;
  }

  /** Leaves room for a length; `endMessage` with this number fills it in. */
  beginMessage(lengthBytes = 2): number {
    this.pos += lengthBytes;
    return this.pos;
  }

  /** Moves the message when its length takes another number of bytes. */
  endMessage(start: number, lengthBytes = 2): void {
    const size = this.pos - start;
    const moved = varintSize(size) - lengthBytes;
    if (moved !== 0) {
      this.reserve(moved);
      this.#buffer.copyWithin(start + moved, start, this.pos);
    }
    this.pos = start - lengthBytes;
    this.varint(size);
    this.pos += size;
  }

  /** What was written since `reset`, where it lies; overwritten by what is written after it. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.pos);
  }

  /** A copy of what was written since `reset`. */
  finish(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#buffer, 0, this.pos);
  }

  reset(): void {
    this.pos = 0;
  }
}

/** Bytes of text in UTF-8. */
export function utf8Size(text: string): number {
  if (text.length >= SHORT) return Buffer.byteLength(text);
  for (let n = 0; n < text.length; n++) if (text.charCodeAt(n) >= 0x80) return Buffer.byteLength(text);
  return text.length;
}
