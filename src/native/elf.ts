import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/* include/uapi/linux/elf.h, 64-bit little-endian: struct elf64_hdr, elf64_shdr, elf64_phdr, elf64_sym */
const HEADER_BYTES = 64;
const CLASS_64_LITTLE_ENDIAN = 0x0102;
const SECTION_BYTES = 64;
const SEGMENT_BYTES = 56;
const SYMBOL_BYTES = 24;
const SHT_DYNSYM = 11;
const PT_LOAD = 1;
/** Of a C library some 100 KiB; a file of somebody else's making may claim anything. */
const MAX_TABLE_BYTES = 8 << 20;

interface Part {
  readonly at: number;
  readonly bytes: number;
}

/**
 * Where in the file a dynamic function begins, in bytes, as the kernel counts for uprobes; undefined when the file cannot
 * be read, is no 64-bit ELF file of this byte order, or has no such function.
 */
export function functionOffset(path: string, name: string): number | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    if (!fstatSync(file).isFile()) return undefined;
    return find(reader(file), name);
  } catch {
    return undefined; // no such file, or one whose tables lead outside of it
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function reader(file: number): (part: Part) => Buffer {
  return ({ at, bytes }) => {
    if (bytes > MAX_TABLE_BYTES) throw new RangeError('a table is too large');
    const buffer = Buffer.alloc(bytes);
    if (readSync(file, buffer, 0, bytes, at) !== bytes) throw new RangeError('the file is too short');
    return buffer;
  };
}

function find(read: (part: Part) => Buffer, name: string): number | undefined {
  const header = read({ at: 0, bytes: HEADER_BYTES });
  if (header.toString('latin1', 0, 4) !== '\x7fELF' || header.readUInt16LE(4) !== CLASS_64_LITTLE_ENDIAN)
    return undefined;
  const sections = read({ at: u64(header, 40), bytes: header.readUInt16LE(60) * SECTION_BYTES });
  const segments = read({ at: u64(header, 32), bytes: header.readUInt16LE(56) * SEGMENT_BYTES });
  for (let at = 0; at < sections.length; at += SECTION_BYTES) {
    if (sections.readUInt32LE(at + 4) !== SHT_DYNSYM) continue;
    const symbols = read(partOf(sections, at));
    const names = read(partOf(sections, sections.readUInt32LE(at + 40) * SECTION_BYTES));
    const address = addressOf(symbols, names, Buffer.from(`${name}\0`));
    if (address !== undefined) return offsetOf(segments, address);
  }
  return undefined;
}

function partOf(sections: Buffer, at: number): Part {
  return { at: u64(sections, at + 24), bytes: u64(sections, at + 32) };
}

function addressOf(symbols: Buffer, names: Buffer, name: Buffer): number | undefined {
  for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
    const nameAt = symbols.readUInt32LE(at);
    const isDefined = symbols.readUInt16LE(at + 6) !== 0;
    if (isDefined && names.subarray(nameAt, nameAt + name.length).equals(name)) return u64(symbols, at + 8);
  }
  return undefined;
}

/** Symbols are addresses in memory; segments say which part of the file is loaded there. */
function offsetOf(segments: Buffer, address: number): number | undefined {
  for (let at = 0; at < segments.length; at += SEGMENT_BYTES) {
    const start = u64(segments, at + 16);
    const isHere = address >= start && address < start + u64(segments, at + 32);
    if (segments.readUInt32LE(at) !== PT_LOAD || !isHere) continue;
    const offset = address - start + u64(segments, at + 8);
    return Number.isSafeInteger(offset) ? offset : undefined;
  }
  return undefined;
}

function u64(buffer: Buffer, at: number): number {
  return Number(buffer.readBigUInt64LE(at));
}
