import type { Field, Message } from './schema.ts';
import { Fields } from './wire.ts';

// OTLP/JSON is proto3's JSON mapping with ids in hexadecimal and enums as numbers
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).

/** Bytes that stand in hexadecimal; others in base64. */
export const HEX_FIELDS: ReadonlySet<string> = new Set(['traceId', 'spanId', 'parentSpanId']);

/** A well-formed message as OTLP/JSON; fields that hopspan does not know have no name there and are left out. */
export function toOtlpJsonText(bytes: Uint8Array, message: Message, start = 0, end = bytes.length): string {
  const parts = new Map<Field, string[]>();
  const fields = new Fields(bytes, start, end);
  while (fields.next()) {
    const field = message.byNumber.get(fields.number);
    if (!field || field.wireType !== fields.wireType) continue;
    const text = valueText(fields, field);
    const list = parts.get(field);
    /* Of a field that comes twice the last one counts. */
    if (list && field.repeated) list.push(text);
    else parts.set(field, [text]);
  }
  const members = Array.from(
    parts,
    ([field, list]) => `"${field.name}":${field.repeated ? `[${list.join(',')}]` : list[0]}`,
  );
  return `{${members.join(',')}}`;
}

function valueText(fields: Fields, field: Field): string {
  if (field.message) return toOtlpJsonText(fields.bytes, field.message, fields.start, fields.end);
  switch (field.type) {
    case 'string':
      return JSON.stringify(fields.text());
    case 'bytes':
      return `"${HEX_FIELDS.has(field.name) ? fields.hex() : Buffer.from(fields.value()).toString('base64')}"`;
    case 'bool':
      return fields.varint() === 0n ? 'false' : 'true';
    case 'int64':
      return `"${BigInt.asIntN(64, fields.varint())}"`;
    case 'fixed64':
      return `"${fields.fixed64()}"`;
    case 'fixed32':
      return String(fields.fixed32());
    case 'uint32':
      return String(BigInt.asUintN(32, fields.varint()));
    case 'double': {
      const value = fields.double();
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    }
    default:
      return String(BigInt.asIntN(32, fields.varint()));
  }
}
