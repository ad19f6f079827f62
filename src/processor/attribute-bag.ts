import { createHash } from 'node:crypto';
import { anyValue, SPAN_ATTRIBUTES } from '../otlp/attributes.ts';
import {
  editFields,
  lengthDelimited,
  makePair,
  makeValue,
  pairKey,
  pairValue,
  withValue,
} from '../otlp/edit.ts';
import { asBuffer, Fields } from '../otlp/wire.ts';
import { type ForeignSpan, isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import type { AttributeValue, HopSpan } from '../spans/hop-span.ts';

/** Attributes of one span while they are changed, the same for hopspan's own spans and for applications'. */
export interface AttributeBag {
  keys(): Iterable<string>;
  has(key: string): boolean;
  set(key: string, value: AttributeValue): void;
  /** Whole, whatever its type; nothing where there is no `from`. */
  copy(from: string, to: string): void;
  delete(key: string): void;
  /** SHA-256 of the value, as 64 hexadecimal digits, in its place. */
  hash(key: string): void;
  /** The span with what was changed; where nothing was, the very span. */
  finish(): PipelineSpan;
}

export function openBag(span: PipelineSpan): AttributeBag {
  return isForeign(span) ? new ForeignBag(span) : new HopBag(span);
}

class HopBag implements AttributeBag {
  readonly #span: HopSpan;
  #attributes: Record<string, AttributeValue>;
  #isOwn = false;

  constructor(span: HopSpan) {
    this.#span = span;
    this.#attributes = span.attributes;
  }

  /** Attributes may be shared between spans. */
  #own(): Record<string, AttributeValue> {
    if (!this.#isOwn) this.#attributes = { ...this.#attributes };
    this.#isOwn = true;
    return this.#attributes;
  }

  keys(): string[] {
    return Object.keys(this.#attributes);
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#attributes, key);
  }

  set(key: string, value: AttributeValue): void {
    this.#own()[key] = value;
  }

  copy(from: string, to: string): void {
    const value = this.has(from) ? this.#attributes[from] : undefined;
    if (value !== undefined) this.set(to, value);
  }

  delete(key: string): void {
    if (this.has(key)) delete this.#own()[key];
  }

  hash(key: string): void {
    const value = this.has(key) ? this.#attributes[key] : undefined;
    if (value !== undefined) this.set(key, hashOf(value));
  }

  finish(): PipelineSpan {
    return this.#isOwn ? { ...this.#span, attributes: this.#attributes } : this.#span;
  }
}

class ForeignBag implements AttributeBag {
  readonly #span: ForeignSpan;
  readonly #bytes: Buffer;
  /** By name; of one that comes twice the last one. Those that were changed are AnyValues of their own. */
  readonly #values = new Map<string, Uint8Array>();
  readonly #changed = new Set<string>();

  constructor(span: ForeignSpan) {
    this.#span = span;
    this.#bytes = asBuffer(span.bytes);
    const fields = new Fields(this.#bytes);
    while (fields.next()) {
      if (fields.number !== SPAN_ATTRIBUTES) continue;
      const pair = fields.value();
      this.#values.set(pairKey(pair), pairValue(pair));
    }
  }

  keys(): string[] {
    return [...this.#values.keys()];
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  #put(key: string, value: Uint8Array): void {
    this.#values.set(key, value);
    this.#changed.add(key);
  }

  set(key: string, value: AttributeValue): void {
    this.#put(key, makeValue(value));
  }

  copy(from: string, to: string): void {
    const value = this.#values.get(from);
    if (value) this.#put(to, value);
  }

  delete(key: string): void {
    if (this.#values.delete(key)) this.#changed.add(key);
  }

  hash(key: string): void {
    const value = this.#values.get(key);
    if (value) this.set(key, hashOf(anyValue(value)));
  }

  finish(): PipelineSpan {
    if (this.#changed.size === 0) return this.#span;
    const left = new Set(this.#changed);
    const bytes = editFields(this.#bytes, {
      [SPAN_ATTRIBUTES]: (pair) => {
        const key = pairKey(pair);
        if (!this.#changed.has(key)) return pair;
        const value = this.#values.get(key);
        /* Of one that came twice one is left. */
        if (!value || !left.delete(key)) return null;
        return withValue(pair, value);
      },
    });
    const added = [...left].flatMap((key) => {
      const value = this.#values.get(key);
      return value ? [lengthDelimited(SPAN_ATTRIBUTES, makePair(key, value))] : [];
    });
    return { ...this.#span, bytes: added.length === 0 ? bytes : Buffer.concat([bytes, ...added]) };
  }
}

/** As the Collector hashes: texts by their bytes, numbers by their eight, little end first. */
function hashOf(value: AttributeValue): string {
  return createHash('sha256').update(bytesOf(value)).digest('hex');
}

function bytesOf(value: AttributeValue): Uint8Array | string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return Buffer.of(value ? 1 : 0);
  if (typeof value !== 'number') return JSON.stringify(value);
  const bytes = Buffer.alloc(8);
  if (Number.isInteger(value)) bytes.writeBigInt64LE(BigInt.asIntN(64, BigInt(value)));
  else bytes.writeDoubleLE(value);
  return bytes;
}
