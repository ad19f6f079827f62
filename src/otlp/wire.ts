import { isUtf8 } from 'node:buffer';
import { type Message, WIRE } from './schema.ts';

/** Values within values of a hostile span end the walk here, before they end the stack. Protobuf's own readers use 100. */
export const MAX_DEPTH = 64;

/** Bytes that are no message of the kind that was expected; the text is safe to be told. */
export class Malformed extends Error {}

/** The same bytes, not a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Walks over the fields of a message where it lies.
 * @throws Malformed from `next` and from the readers.
 */
export class Fields {
  readonly bytes: Buffer;
  readonly #end: number;
  #next: number;
  /** Where the field's tag begins. */
  tagAt = 0;
  number = 0;
  wireType = 0;
  /** The value; of a length-delimited one without its length. */
  start = 0;
  end = 0;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = asBuffer(bytes);
    this.#next = start;
    this.#end = end;
  }

  next(): boolean {
    if (this.#next >= this.#end) return false;
    this.tagAt = this.#next;
    const tag = this.#varint32();
    this.number = tag >>> 3;
    this.wireType = tag & 7;
    if (this.number === 0) throw new Malformed('a field has the number 0');
    this.start = this.#next;
    if (this.wireType === WIRE.VARINT) this.#skipVarint();
    else if (this.wireType === WIRE.FIXED64) this.#next += 8;
    else if (this.wireType === WIRE.FIXED32) this.#next += 4;
    else if (this.wireType === WIRE.BYTES) {
      const length = this.#varint32();
      this.start = this.#next;
      this.#next += length;
    } else throw new Malformed(`a field has the wire type ${this.wireType}`);
    if (this.#next > this.#end) throw new Malformed('a field is longer than its message');
    this.end = this.#next;
    return true;
  }

  /** The value's bytes, where they lie. */
  value(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  text(): string {
    return this.bytes.toString('utf8', this.start, this.end);
  }

  hex(): string {
    return this.bytes.toString('hex', this.start, this.end);
  }

  /** Whether the value is UTF-8; most texts are ASCII, for which a loop is faster than a call into the runtime. */
  isUtf8(): boolean {
    let at = this.start;
    while (at < this.end && (this.bytes[at] as number) < 0x80) at++;
    return at === this.end || isUtf8(this.value());
  }

  /** A varint, unsigned. */
  varint(): bigint {
    let value = 0n;
    for (let at = this.start, shift = 0n; at < this.end; at++, shift += 7n)
      value |= BigInt((this.bytes[at] as number) & 0x7f) << shift;
    return BigInt.asUintN(64, value);
  }

  fixed64(): bigint {
    return this.bytes.readBigUInt64LE(this.start);
  }

  double(): number {
    return this.bytes.readDoubleLE(this.start);
  }

  fixed32(): number {
    return this.bytes.readUInt32LE(this.start);
  }

  /** A tag or a length. */
  #varint32(): number {
    const first = this.bytes[this.#next] as number;
    if (first < 0x80 && this.#next < this.#end) {
      this.#next++;
      return first;
    }
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#next < this.#end ? this.bytes[this.#next++] : undefined;
      if (byte === undefined) throw new Malformed('a message ends within a number');
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    throw new Malformed('a tag or a length takes more than 32 bits');
  }

  #skipVarint(): void {
    for (let count = 0; count < 10; count++) {
      const byte = this.#next < this.#end ? this.bytes[this.#next++] : undefined;
      if (byte === undefined) throw new Malformed('a message ends within a number');
      if (byte < 0x80) return;
    }
    throw new Malformed('a number takes more than ten bytes');
  }
}

/**
 * Sees that other readers will take a message: wire types, texts in UTF-8, depth. Fields that hopspan does not know are
 * let be. One bad span would otherwise cost all others that are sent on with it.
 * @throws Malformed
 */
export function validate(
  bytes: Uint8Array,
  message: Message,
  start = 0,
  end = bytes.length,
  depth = 0,
): void {
  if (depth > MAX_DEPTH) throw new Malformed(`values lie within each other more than ${MAX_DEPTH} deep`);
  const fields = new Fields(bytes, start, end);
  while (fields.next()) {
    const field = message.byNumber.get(fields.number);
    if (!field) continue;
    if (field.wireType !== fields.wireType)
      throw new Malformed(`${field.name} has the wire type ${fields.wireType}`);
    if (field.message) validate(bytes, field.message, fields.start, fields.end, depth + 1);
    else if (field.type === 'string' && !fields.isUtf8()) throw new Malformed(`${field.name} is not UTF-8`);
  }
}
