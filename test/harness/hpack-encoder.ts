import { CODE_LENGTHS } from '../../src/receiver/http2/huffman.ts';
import { STATIC_TABLE } from '../../src/receiver/http2/static-table.ts';

export type Field = readonly [name: string, value: string];

/** RFC 7541, section 6: what becomes of a field. */
export type Representation = 'indexed' | 'added' | 'not added' | 'never added';

export interface HpackEncoder {
  /** One field; 'indexed' where a table has it, or else added. Strings in Huffman code and indexed names by chance. */
  field(field: Field, representation: Representation): Buffer;
  /** A dynamic table size update, for the beginning of a block. */
  resize(bytes: number): Buffer;
  /** A block of fields, all by chance. */
  block(fields: readonly Field[]): Buffer;
  tableBytes(): number;
}

const CODES = (() => {
  const codes: bigint[] = [];
  let code = 0n;
  for (let bits = 5; bits <= 30; bits++) {
    code <<= 1n;
    for (const [symbol, length] of CODE_LENGTHS.entries()) if (length === bits) codes[symbol] = code++;
  }
  return codes;
})();

export function integer(value: number, prefixBits: number, pattern: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.from([pattern | value]);
  const octets = [pattern | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) octets.push((rest % 128) | 128);
  return Buffer.from([...octets, rest]);
}

export function string(text: string, huffman: boolean): Buffer {
  const octets = Buffer.from(text, 'latin1');
  const bytes = huffman ? huffmanCode(octets) : octets;
  return Buffer.concat([integer(bytes.length, 7, huffman ? 0x80 : 0), bytes]);
}

export function huffmanCode(octets: Uint8Array): Buffer {
  let bits = '';
  for (const octet of octets) {
    bits += (CODES[octet] as bigint).toString(2).padStart(CODE_LENGTHS[octet] as number, '0');
  }
  bits += '1'.repeat((8 - (bits.length % 8)) % 8);
  return Buffer.from(bits.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

export function createHpackEncoder(random: () => number, limit = 4096): HpackEncoder {
  /** The newest first. */
  const table: Field[] = [];
  const sizeOf = ([name, value]: Field): number => name.length + value.length + 32;
  const tableBytes = (): number => table.reduce((sum, field) => sum + sizeOf(field), 0);
  const chance = (): boolean => random() < 0.5;
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

  function evict(most: number): void {
    while (table.length > 0 && tableBytes() > most) table.pop();
  }

  /** Every index at which `matches` finds a field. */
  function indexes(matches: (field: Field) => boolean): number[] {
    return [...STATIC_TABLE, ...table].flatMap((field, at) => (matches(field) ? [at + 1] : []));
  }

  function literal([name, value]: Field, prefixBits: number, pattern: number): Buffer {
    const named = indexes((field) => field[0] === name);
    const head =
      named.length > 0 && chance()
        ? integer(pick(named), prefixBits, pattern)
        : Buffer.concat([Buffer.from([pattern]), string(name, chance())]);
    return Buffer.concat([head, string(value, chance())]);
  }

  function field(field: Field, representation: Representation): Buffer {
    const whole = indexes(([name, value]) => name === field[0] && value === field[1]);
    if (representation === 'indexed' && whole.length > 0) return integer(pick(whole), 7, 0x80);
    if (representation === 'not added') return literal(field, 4, 0);
    if (representation === 'never added') return literal(field, 4, 0x10);
    const bytes = literal(field, 6, 0x40);
    evict(limit - sizeOf(field));
    if (sizeOf(field) <= limit) table.unshift(field);
    return bytes;
  }

  return {
    field,
    resize(bytes) {
      limit = bytes;
      evict(limit);
      return integer(bytes, 5, 0x20);
    },
    block(fields) {
      const ways: Representation[] = ['indexed', 'indexed', 'added', 'not added', 'never added'];
      return Buffer.concat(fields.map((each) => field(each, pick(ways))));
    },
    tableBytes,
  };
}
