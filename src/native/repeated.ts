const SLOTS = 1024;
const WORDS = 4;

/**
 * Reads values of sixteen bytes that come again from record to record, such as addresses and thread names: what was
 * made of the same bytes before is given again, so that it must not be changed. One value is kept per slot, chosen by
 * the bytes; a newer one takes its place.
 */
export function createRepeated<T extends object | string>(
  make: (u8: Uint8Array, at: number) => T,
): (u8: Uint8Array, u32: Uint32Array, at: number) => T {
  const keys = new Uint32Array(SLOTS * WORDS);
  const values = new Array<T | undefined>(SLOTS).fill(undefined);
  return (u8, u32, at) => {
    const w = at >> 2;
    const a = u32[w] as number;
    const b = u32[w + 1] as number;
    const c = u32[w + 2] as number;
    const d = u32[w + 3] as number;
    const sum = a ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35) ^ Math.imul(d, 0x27d4eb2f);
    const slot = Math.imul(sum, 0x9e3779b1) >>> 22;
    const key = slot * WORDS;
    const known = values[slot];
    if (known && keys[key] === a && keys[key + 1] === b && keys[key + 2] === c && keys[key + 3] === d)
      return known;
    keys[key] = a;
    keys[key + 1] = b;
    keys[key + 2] = c;
    keys[key + 3] = d;
    const value = make(u8, at);
    values[slot] = value;
    return value;
  };
}
