/* RFC 7541, appendix B, a digit in base 36 each. */
const CODE_BITS =
  'd n s s s s s s s o u s s u s s s s s s s s u s s s s s s s s s ' + // 0x00
  '6 a a c d 6 8 b a a 8 b 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 f 6 c a ' + // 0x20
  'd 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 d j d e 6 ' + // 0x40
  'f 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 f b e d s ' + // 0x60
  'k m k k m m m n m n n n n n o n o o m n o n n n n l m n m n n o ' + // 0x80
  'm l k m m n n l n m m o l m n n l l m l n m n n k m m m n m m n ' + // 0xa0
  'q q k j m n m p q q q r r q o p j l q r r q r o l l q q s r r r ' + // 0xc0
  'k o k l m l l n m m p p o o q n q r q q r r r r r s r r r r r q ' + // 0xe0
  'u';

/** Bits of each octet's code, and of EOS's; the codes count up by length, and by octet where that is the same. */
export const CODE_LENGTHS: readonly number[] = CODE_BITS.split(' ').map((digit) =>
  Number.parseInt(digit, 36),
);

const EOS = 256;
const SHORTEST_BITS = 5;
const LONGEST_BITS = 30;
/** No octet has so long a code, and no padding is longer than 7 bits. */
const MAX_PADDING_BITS = 7;
const FAILED = 256;
const STATES = 257;
const EMITS = 0x100;

/** By state and four bits: the next state, from bit 9 on, and the octet that is complete, where there is one. */
const STEPS = new Uint32Array(STATES * 16);
/** States in which a string may end: at a code's end, or in padding, which is the beginning of EOS. */
const ENDS = new Uint8Array(STATES);

build();

/** Octets are bits' ends in a tree; its inner nodes are the states, the root is 0. */
function build(): void {
  const tree: [number, number][] = [[-1, -1]];
  const leaf = (symbol: number): number => -2 - symbol;
  let code = 0;
  for (let bits = SHORTEST_BITS; bits <= LONGEST_BITS; bits++) {
    code *= 2;
    for (const [symbol, length] of CODE_LENGTHS.entries()) {
      if (length !== bits) continue;
      let node = 0;
      for (let bit = bits - 1; bit > 0; bit--) {
        const branches = tree[node] as [number, number];
        const side = (code >> bit) & 1;
        if (branches[side] === -1) branches[side] = tree.push([-1, -1]) - 1;
        node = branches[side] as number;
      }
      (tree[node] as [number, number])[code & 1] = leaf(symbol);
      code++;
    }
  }
  for (let state = 0; state < STATES; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let emitted = 0;
      for (let bit = 3; bit >= 0 && node !== FAILED; bit--) {
        const next = tree[node]?.[((nibble >> bit) & 1) as 0 | 1] ?? -1;
        if (next === -1 || next === leaf(EOS)) node = FAILED;
        else if (next >= 0) node = next;
        else {
          emitted = EMITS | (-2 - next);
          node = 0;
        }
      }
      STEPS[state * 16 + nibble] = (node << 9) | emitted;
    }
  }
  for (let node = 0, bits = 0; bits <= MAX_PADDING_BITS; bits++) {
    ENDS[node] = 1;
    node = tree[node]?.[1] ?? -1;
  }
}

/**
 * Decodes a string (RFC 7541, section 5.2) into `into`, which must be long enough, or only counts its octets. Gives
 * how many there are; -1 for what is no such string.
 */
export function decodeHuffman(from: Uint8Array, start: number, end: number, into?: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = from[at] as number;
    let step = STEPS[(state << 4) | (byte >> 4)] as number;
    if (step & EMITS) {
      if (into) into[length] = step;
      length++;
    }
    step = STEPS[((step >> 9) << 4) | (byte & 15)] as number;
    if (step & EMITS) {
      if (into) into[length] = step;
      length++;
    }
    state = step >> 9;
  }
  return ENDS[state] ? length : -1;
}

/** Octets that `bytes` of code stand for at most. */
export const longestDecoded = (bytes: number): number => Math.floor((bytes * 8) / SHORTEST_BITS);
