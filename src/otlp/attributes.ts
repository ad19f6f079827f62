import type { ForeignOrigin } from '../spans/foreign-span.ts';
import type { Attributes, AttributeValue } from '../spans/hop-span.ts';
import { otlpMessage } from './schema.ts';
import { toOtlpJsonText } from './to-json.ts';
import { Fields } from './wire.ts';

const ANY_VALUE = 'opentelemetry.proto.common.v1.AnyValue';
/** AnyValue's fields. */
const VALUE = { text: 1, bool: 2, int: 3, double: 4 } as const;
/** Field of a Span. */
export const SPAN_ATTRIBUTES = 9;

/** Names that are looked for, by how many bytes they take. */
export type Names = ReadonlyMap<number, readonly { readonly name: string; readonly bytes: Buffer }[]>;

export function namesOf(names: readonly string[]): Names {
  return Map.groupBy(
    names.map((name) => ({ name, bytes: Buffer.from(name) })),
    ({ bytes }) => bytes.length,
  );
}

const ofOrigins = new WeakMap<ForeignOrigin, Attributes>();

/** A span's attributes as far as hopspan looks at them: lists and maps as JSON, integers as numbers. */
export function spanAttributes(bytes: Uint8Array): Attributes {
  return attributesIn(bytes, SPAN_ATTRIBUTES);
}

/** Those of a span's attributes that have one of these names: cheaper by far than all of them. */
export function pickAttributes(bytes: Uint8Array, names: Names): Attributes {
  const found: Record<string, AttributeValue> = {};
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.number !== SPAN_ATTRIBUTES) continue;
    const pair = new Fields(fields.bytes, fields.start, fields.end);
    let name: string | undefined;
    while (pair.next()) {
      if (pair.number === 1) name = nameAt(pair, names);
      else if (pair.number === 2 && name !== undefined) found[name] = anyValue(pair.value());
    }
  }
  return found;
}

function nameAt({ bytes, start, end }: Fields, names: Names): string | undefined {
  for (const each of names.get(end - start) ?? []) {
    if (bytes.compare(each.bytes, 0, each.bytes.length, start, end) === 0) return each.name;
  }
  return undefined;
}

/** Attributes of a span's resource. */
export function resourceAttributes(origin: ForeignOrigin): Attributes {
  let known = ofOrigins.get(origin);
  if (!known) {
    const fields = new Fields(origin.resource);
    const found: Attributes[] = [];
    while (fields.next()) if (fields.number === 1) found.push(attributesIn(fields.value(), 1));
    known = Object.assign({}, ...found) as Attributes;
    ofOrigins.set(origin, known);
  }
  return known;
}

/** The repeated KeyValue of one field of a message. */
export function attributesIn(message: Uint8Array, field: number): Attributes {
  const found: [string, AttributeValue][] = [];
  const fields = new Fields(message);
  while (fields.next()) if (fields.number === field) found.push(keyValue(fields.value()));
  return Object.fromEntries(found);
}

function keyValue(bytes: Uint8Array): [string, AttributeValue] {
  let key = '';
  let value: AttributeValue = '';
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.number === 1) key = fields.text();
    else if (fields.number === 2) value = anyValue(fields.value());
  }
  return [key, value];
}

/** An AnyValue as far as hopspan looks at it. */
export function anyValue(bytes: Uint8Array): AttributeValue {
  const fields = new Fields(bytes);
  let value: AttributeValue = '';
  while (fields.next()) {
    if (fields.number === VALUE.text) value = fields.text();
    else if (fields.number === VALUE.bool) value = fields.varint() !== 0n;
    else if (fields.number === VALUE.int) value = Number(BigInt.asIntN(64, fields.varint()));
    else if (fields.number === VALUE.double) value = fields.double();
    else value = toOtlpJsonText(bytes, otlpMessage(ANY_VALUE));
  }
  return value;
}
