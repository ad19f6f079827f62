import protobuf from 'protobufjs/minimal.js';
import type { Field, Message } from './schema.ts';
import { HEX_FIELDS } from './to-json.ts';
import { MAX_DEPTH, Malformed } from './wire.ts';

type Writer = protobuf.Writer;

/**
 * A message of OTLP/JSON as protobuf. Unknown keys are ignored, as the specification demands.
 * @throws Malformed
 */
export function fromOtlpJson(value: unknown, message: Message): Uint8Array {
  const writer = protobuf.Writer.create();
  writeMessage(writer, value, message, 0);
  return writer.finish();
}

function writeMessage(writer: Writer, value: unknown, message: Message, depth: number): void {
  if (depth > MAX_DEPTH) throw new Malformed(`values lie within each other more than ${MAX_DEPTH} deep`);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Malformed('something else stands where an object is expected');
  for (const [name, content] of Object.entries(value)) {
    const field = message.byName.get(name);
    if (!field || content === null || content === undefined) continue;
    if (!field.repeated) writeField(writer, content, field, depth);
    else if (!Array.isArray(content)) throw new Malformed(`${name} is not a list`);
    else for (const item of content) writeField(writer, item, field, depth);
  }
}

function writeField(writer: Writer, value: unknown, field: Field, depth: number): void {
  writer.uint32(((field.number << 3) | field.wireType) >>> 0);
  if (field.message) {
    writer.fork();
    writeMessage(writer, value, field.message, depth + 1);
    writer.ldelim();
  } else writeScalar(writer, value, field);
}

function writeScalar(writer: Writer, value: unknown, field: Field): void {
  if (!tryScalar(writer, value, field))
    throw new Malformed(`${field.name} is not what the protocol has there`);
}

/** False where the value does not fit the field. */
function tryScalar(writer: Writer, value: unknown, field: Field): boolean {
  switch (field.type) {
    case 'string':
      /* A lone surrogate has no UTF-8. */
      if (typeof value === 'string') writer.string(value.toWellFormed());
      return typeof value === 'string';
    case 'bytes': {
      const bytes = bytesOf(value, HEX_FIELDS.has(field.name));
      if (bytes) writer.bytes(bytes);
      return bytes !== undefined;
    }
    case 'bool':
      if (typeof value === 'boolean') writer.bool(value);
      return typeof value === 'boolean';
    case 'double': {
      const number = doubleOf(value);
      if (number !== undefined) writer.double(number);
      return number !== undefined;
    }
    default: {
      const whole = wholeOf(value, field.type);
      if (whole !== undefined) writeWhole(writer, whole, field.type);
      return whole !== undefined;
    }
  }
}

function writeWhole(writer: Writer, value: bigint, type: Field['type']): void {
  if (type === 'fixed32') writer.fixed32(Number(value));
  else if (type === 'fixed64') {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    writer.raw(bytes);
  } else {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    writer.raw(Uint8Array.from(bytes));
  }
}

function bytesOf(value: unknown, hex: boolean): Buffer | undefined {
  if (typeof value !== 'string') return undefined;
  if (hex)
    return value.length % 2 === 0 && /^[0-9a-f]*$/i.test(value) ? Buffer.from(value, 'hex') : undefined;
  return /^[\w+/-]*={0,2}$/.test(value) ? Buffer.from(value, 'base64') : undefined;
}

function doubleOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  const named: Record<string, number> = {
    NaN,
    Infinity: Number.POSITIVE_INFINITY,
    '-Infinity': Number.NEGATIVE_INFINITY,
  };
  if (Object.hasOwn(named, value)) return named[value];
  return /^-?\d/.test(value) && Number.isFinite(Number(value)) ? Number(value) : undefined;
}

const RANGES: Readonly<Partial<Record<Field['type'], readonly [bigint, bigint]>>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  enum: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  fixed32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  fixed64: [0n, 2n ** 64n - 1n],
};

/** A whole number, or one in decimal digits as 64-bit numbers are written. */
function wholeOf(value: unknown, type: Field['type']): bigint | undefined {
  const range = RANGES[type];
  let whole: bigint | undefined;
  if (typeof value === 'number' && Number.isInteger(value)) whole = BigInt(value);
  else if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) whole = BigInt(value);
  return range && whole !== undefined && whole >= range[0] && whole <= range[1] ? whole : undefined;
}
