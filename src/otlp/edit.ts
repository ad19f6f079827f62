import protobuf from 'protobufjs/minimal.js';
import type { AttributeValue } from '../spans/hop-span.ts';
import { WIRE } from './schema.ts';
import { Fields } from './wire.ts';

const { Writer } = protobuf;

/** What becomes of one length-delimited field: other bytes, the same bytes, or null to leave it out. */
export type Edit = (value: Buffer) => Uint8Array | null;

/** KeyValue's fields. */
const PAIR = { key: 1, value: 2 } as const;
const INT64_LIMIT = 2 ** 63;

/**
 * A message with some of its fields edited. What is not edited stays byte for byte and in its place, fields that hopspan
 * does not know among it; where nothing is edited, the result is `message` itself.
 * @throws Malformed
 */
export function editFields(message: Buffer, edits: Readonly<Record<number, Edit>>): Buffer {
  const parts: Uint8Array[] = [];
  let copied = 0;
  const fields = new Fields(message);
  while (fields.next()) {
    const edit = fields.wireType === WIRE.BYTES ? edits[fields.number] : undefined;
    if (!edit) continue;
    const value = fields.value();
    const edited = edit(value);
    if (edited === value) continue;
    parts.push(message.subarray(copied, fields.tagAt));
    copied = fields.end;
    if (edited) parts.push(lengthDelimited(fields.number, edited));
  }
  if (parts.length === 0) return message;
  return Buffer.concat([...parts, message.subarray(copied)]);
}

/** A field with its tag and length. */
export function lengthDelimited(number: number, value: Uint8Array): Uint8Array {
  return Writer.create()
    .uint32((number << 3) | WIRE.BYTES)
    .bytes(value)
    .finish();
}

export function pairKey(pair: Buffer): string {
  let key = '';
  const fields = new Fields(pair);
  while (fields.next()) if (fields.number === PAIR.key) key = fields.text();
  return key;
}

/** The AnyValue of a KeyValue; empty where it has none. */
export function pairValue(pair: Buffer): Buffer {
  let value: Buffer = Buffer.alloc(0);
  const fields = new Fields(pair);
  while (fields.next()) if (fields.number === PAIR.value) value = fields.value();
  return value;
}

/** A KeyValue with another AnyValue. */
export function withValue(pair: Buffer, value: Uint8Array): Buffer {
  const rest = editFields(pair, { [PAIR.value]: () => null });
  return Buffer.concat([rest, lengthDelimited(PAIR.value, value)]);
}

export function makePair(key: string, value: Uint8Array): Buffer {
  return Buffer.concat([lengthDelimited(PAIR.key, Buffer.from(key)), lengthDelimited(PAIR.value, value)]);
}

/** An attribute's value as AnyValue; whole numbers are integers, as everywhere in hopspan. */
export function makeValue(value: AttributeValue): Uint8Array {
  const writer = Writer.create();
  if (typeof value === 'string')
    return writer
      .uint32((1 << 3) | WIRE.BYTES)
      .string(value)
      .finish();
  if (typeof value === 'boolean')
    return writer
      .uint32((2 << 3) | WIRE.VARINT)
      .bool(value)
      .finish();
  if (typeof value !== 'number') {
    const items = value.map((item) => lengthDelimited(1, makeValue(item)));
    return lengthDelimited(5, Buffer.concat(items));
  }
  if (!Number.isInteger(value) || Math.abs(value) >= INT64_LIMIT)
    return writer
      .uint32((4 << 3) | WIRE.FIXED64)
      .double(value)
      .finish();
  const varint = Buffer.alloc(10);
  let rest = BigInt.asUintN(64, BigInt(value));
  let length = 0;
  for (; rest >= 0x80n; rest >>= 7n) varint[length++] = Number(rest & 0x7fn) | 0x80;
  varint[length++] = Number(rest);
  return Buffer.concat([Buffer.of((3 << 3) | WIRE.VARINT), varint.subarray(0, length)]);
}
