import {
  cleanName,
  createFieldCollector,
  type FieldCollector,
  type Fingerprints,
  type HeaderField,
  HOST,
  MAX_NAME_CHARACTERS,
  NO_FIELDS,
  TARGET,
} from '../header-fields.ts';
import {
  HEADERS,
  type HeadOptions,
  MAX_PATH_BYTES,
  MAX_VALUE_BYTES,
  queryOf,
  withoutQuery,
} from '../http1/head.ts';
import { decodeHuffman, longestDecoded } from './huffman.ts';
import { STATIC_TABLE } from './static-table.ts';

/** SETTINGS_HEADER_TABLE_SIZE until an update in a header block says otherwise (RFC 9113, section 6.5.2). */
const INITIAL_TABLE_BYTES = 4096;
/** More is not held, whatever the two ends have agreed on: older entries are unknown then. */
const MAX_TABLE_BYTES = 65_536;
/** RFC 7541, section 4.1 */
const ENTRY_OVERHEAD_BYTES = 32;
/** Section 5.1; an integer of more octets, or greater, is an error in every implementation in use. */
const MAX_INTEGER_OCTETS = 5;
const MAX_INTEGER = 0xffffffff;
const EVICTED_AT_ONCE = 64;

const HASH = 0x23;
const QUESTION_MARK = 0x3f;
const AT_SIGN = 0x40;

const METHOD = ':method';
const PATH = TARGET;
const AUTHORITY = ':authority';
const STATUS = ':status';
const LISTED = [METHOD, PATH, AUTHORITY, STATUS, ...HEADERS];

/** What is kept of a header block: fields of the list, and nothing else. Strings are empty where it has none. */
export interface HeaderBlock {
  method: string;
  /** Without the query string, which may hold secrets. */
  path: string;
  /** Without its question mark; empty unless asked for. */
  query: string;
  authority: string;
  /** 0 where there is none. */
  statusCode: number;
  /** Listed ones, lower-case. */
  headers: Record<string, string>;
  /** All of them, without their values; empty where they are not asked for. */
  fields: readonly HeaderField[];
  /** Fields are missing: the block is cut, in error, or refers to what came before the decoder did. */
  incomplete: boolean;
}

/** The decoder of one direction of a connection (RFC 7541). It never throws. */
export interface HpackDecoder {
  /**
   * Decodes bytes `start` to `end` of `from`, a whole header block, or with `isCut` the beginning of one. After a
   * cut one, or one in error, entries that were there before are unknown.
   */
  decode(from: Uint8Array, start: number, end: number, isCut?: boolean): HeaderBlock;
  /**
   * Says that header blocks came that are not known. Indexes count from the newest entry, so that what comes later
   * is found again; a field that refers to what came before is left out.
   */
  forget(): void;
  /** Size of the dynamic table as section 4.1 counts it, in bytes. */
  tableBytes(): number;
}

interface Name {
  /** Empty for one that is not listed: neither it nor its values are held. */
  readonly listed: string;
  /** Of a listed one the same; of others only where fields are asked for. */
  readonly shown: string;
  readonly bytes: number;
  /** It was in the part of the table that is not known. */
  readonly isUnknown: boolean;
}

/** An entry of one of the tables. */
interface Entry {
  readonly name: Name;
  readonly value: string;
  readonly bytes: number;
  /** Where fields are asked for. */
  readonly fingerprints?: Fingerprints | undefined;
}

const UNKNOWN: Entry = { name: { listed: '', shown: '', bytes: 0, isUnknown: true }, value: '', bytes: 0 };

const STATIC_ENTRIES: readonly Entry[] = STATIC_TABLE.map(([name, value]) => ({
  name: { listed: LISTED.includes(name) ? name : '', shown: name, bytes: name.length, isUnknown: false },
  value: LISTED.includes(name) ? value : '',
  bytes: ENTRY_OVERHEAD_BYTES + name.length + value.length,
}));

interface ListedName extends Name {
  readonly octets: Uint8Array;
}

const NAMES_BY_LENGTH: (ListedName[] | undefined)[] = [];
for (const listed of LISTED) {
  const name = {
    ...{ listed, shown: listed, bytes: listed.length, isUnknown: false, octets: Buffer.from(listed) },
  };
  const sameLength = NAMES_BY_LENGTH[listed.length];
  if (sameLength) sameLength.push(name);
  else NAMES_BY_LENGTH[listed.length] = [name];
}

/** The listed name or value that was read last. */
let scratch = Buffer.alloc(4096);

/** The name of so many bytes in `scratch`; one that is not listed is only `shown` where it is asked for. */
function nameInScratch(bytes: number, isShown: boolean): Name {
  for (const name of NAMES_BY_LENGTH[bytes] ?? []) {
    if (isInScratch(name.octets)) return name;
  }
  const shown = isShown ? cleanName(scratch.toString('latin1', 0, Math.min(bytes, MAX_NAME_CHARACTERS))) : '';
  return { listed: '', shown, bytes, isUnknown: false };
}

function isInScratch(octets: Uint8Array): boolean {
  for (let i = octets.length - 1; i >= 0; i--) {
    if (octets[i] !== scratch[i]) return false;
  }
  return true;
}

/** What is kept of the value of so many bytes in `scratch`; what is not is never made a string. */
function valueInScratch(name: string, bytes: number, queryStrings: boolean): string {
  let start = 0;
  let end = bytes;
  if (name === PATH) {
    end = 0;
    while (end < bytes && (queryStrings || scratch[end] !== QUESTION_MARK) && scratch[end] !== HASH) end++;
  } else if (name === AUTHORITY && bytes > 0) {
    start = scratch.lastIndexOf(AT_SIGN, bytes - 1) + 1; // behind user and password, which must not be there
  }
  const longest = name === PATH ? MAX_PATH_BYTES : MAX_VALUE_BYTES;
  return scratch.toString('latin1', start, Math.min(end, start + longest));
}

const emptyBlock = (incomplete: boolean): HeaderBlock => ({
  method: '',
  path: '',
  query: '',
  authority: '',
  statusCode: 0,
  headers: {},
  fields: NO_FIELDS,
  incomplete,
});

export function createHpackDecoder({ fingerprinter, queryStrings = false }: HeadOptions = {}): HpackDecoder {
  /** The newest is the last; those before `oldest` are evicted. */
  let entries: (Entry | undefined)[] = [];
  let oldest = 0;
  let bytes = 0;
  /** A longer entry empties the table and is not inserted (section 4.4). */
  let limit = INITIAL_TABLE_BYTES;
  /** What is held: less than the limit when that is very high, more when a lower one than the true one is assumed. */
  let capacity = INITIAL_TABLE_BYTES;

  /* The block that is decoded. */
  let from: Uint8Array = scratch;
  let at = 0;
  let end = 0;
  let isWrong = false;
  let block = emptyBlock(false);
  let collector: FieldCollector | undefined;
  const isAsked = fingerprinter !== undefined;
  /** By index, those that were used. */
  const ofStatic: (Fingerprints | undefined)[] = [];

  function clear(): void {
    entries = [];
    oldest = 0;
    bytes = 0;
  }

  function evictTo(most: number): void {
    while (bytes > most && oldest < entries.length) {
      bytes -= entries[oldest]?.bytes ?? 0;
      entries[oldest++] = undefined;
    }
    if (oldest >= EVICTED_AT_ONCE && oldest * 2 > entries.length) {
      entries = entries.slice(oldest);
      oldest = 0;
    }
  }

  function insert(entry: Entry): void {
    if (entry.bytes > limit) {
      clear();
      return;
    }
    evictTo(capacity - entry.bytes);
    entries.push(entry);
    bytes += entry.bytes;
  }

  /** Without the peer's settings any limit must be believed; only what is held is bounded. */
  function resize(size: number): void {
    limit = size;
    capacity = Math.min(size, MAX_TABLE_BYTES);
    evictTo(capacity);
  }

  function forget(): void {
    clear();
    /* Of what may have changed unseen the usual is assumed: no encoder in use adds an entry that is too long. */
    limit = INITIAL_TABLE_BYTES;
    capacity = MAX_TABLE_BYTES;
  }

  /** An integer that begins in the low bits of the octet at hand (section 5.1). */
  function readInteger(mask: number): number {
    let value = (from[at++] as number) & mask;
    if (value < mask) return value;
    for (let octet = 0, factor = 1; octet < MAX_INTEGER_OCTETS && at < end; octet++, factor *= 128) {
      const next = from[at++] as number;
      value += (next & 127) * factor;
      if (value > MAX_INTEGER) break;
      if (next < 128) return value;
    }
    isWrong = true;
    return 0;
  }

  function lookUp(index: number): Entry {
    if (index <= STATIC_ENTRIES.length) return STATIC_ENTRIES[index - 1] ?? UNKNOWN;
    return entries[entries.length - (index - STATIC_ENTRIES.length)] ?? UNKNOWN;
  }

  /** Reads a string (section 5.2); its length in bytes, decoded. */
  function readString(into: 'scratch' | 'nowhere'): number {
    if (at >= end) {
      isWrong = true;
      return 0;
    }
    const isHuffman = (from[at] as number) & 0x80;
    const length = readInteger(0x7f);
    const start = at;
    if (isWrong || length > end - start) {
      isWrong = true;
      return 0;
    }
    at += length;
    if (into === 'scratch') {
      const longest = isHuffman ? longestDecoded(length) : length;
      if (longest > scratch.length) scratch = Buffer.alloc(longest);
    }
    if (isHuffman) {
      const decoded = decodeHuffman(from, start, at, into === 'scratch' ? scratch : undefined);
      if (decoded < 0) isWrong = true;
      return Math.max(0, decoded);
    }
    if (into === 'scratch') for (let i = 0; i < length; i++) scratch[i] = from[start + i] as number;
    return length;
  }

  function readLiteral(index: number, isIndexed: boolean): void {
    const name = index > 0 ? lookUp(index).name : nameInScratch(readString('scratch'), isAsked);
    if (isWrong) return;
    const valueBytes = readString(name.listed || isAsked ? 'scratch' : 'nowhere');
    if (isWrong) return;
    const value = name.listed ? valueInScratch(name.listed, valueBytes, queryStrings) : '';
    const fingerprints = fingerprintScratch(name, value, valueBytes);
    keep(name, value);
    collect(name, fingerprints);
    if (isIndexed) {
      insert({ name, value, fingerprints, bytes: ENTRY_OVERHEAD_BYTES + name.bytes + valueBytes });
    }
  }

  function fingerprintScratch(name: Name, value: string, bytes: number): Fingerprints | undefined {
    if (!fingerprinter || name.isUnknown) return undefined;
    const octets =
      name.listed === PATH ? Buffer.from(withoutQuery(value), 'latin1') : scratch.subarray(0, bytes);
    return fingerprinter.of(name.shown, octets);
  }

  function fingerprintStatic(index: number): Fingerprints | undefined {
    const entry = STATIC_TABLE[index - 1];
    if (!fingerprinter || !entry) return undefined;
    const fingerprints = ofStatic[index] ?? fingerprinter.of(entry[0], Buffer.from(entry[1]));
    ofStatic[index] = fingerprints;
    return fingerprints;
  }

  /** The authority takes the place that `Host` has in HTTP/1 (RFC 9113, section 8.3.1); other pseudo-headers are no fields. */
  function collect({ shown }: Name, fingerprints: Fingerprints | undefined): void {
    if (!collector || !fingerprints) return;
    if (shown === AUTHORITY || shown === HOST) {
      if (!collector.has(HOST)) collector.add(HOST, fingerprints);
    } else if (shown === PATH || !shown.startsWith(':')) collector.add(shown, fingerprints);
  }

  function keep({ listed, isUnknown }: Name, value: string): void {
    switch (listed) {
      case '':
        block.incomplete ||= isUnknown;
        return;
      case METHOD:
        block.method ||= value;
        return;
      case PATH:
        if (block.path) return;
        block.path = queryStrings ? withoutQuery(value) : value;
        if (queryStrings) block.query = queryOf(value);
        return;
      case AUTHORITY:
        block.authority ||= value;
        return;
      case STATUS:
        block.statusCode ||= /^\d{3}$/.test(value) ? Number(value) : 0;
        return;
      default: {
        const { headers } = block;
        const before = headers[listed];
        const isList = listed === 'tracestate'; // sent in as many fields as its sender likes
        if (before === undefined || (isList && before === '')) headers[listed] = value;
        else if (isList && value !== '' && before.length + value.length < MAX_VALUE_BYTES) {
          headers[listed] = `${before},${value}`;
        }
      }
    }
  }

  function readField(isFirst: boolean): void {
    const octet = from[at] as number;
    if (octet & 0x80) {
      const index = readInteger(0x7f);
      if (index === 0) isWrong = true;
      if (isWrong) return;
      const { name, value, fingerprints } = lookUp(index);
      keep(name, value);
      collect(name, index <= STATIC_ENTRIES.length ? fingerprintStatic(index) : fingerprints);
    } else if (octet & 0x40) readLiteral(readInteger(0x3f), true);
    else if (octet & 0x20) {
      const size = readInteger(0x1f);
      if (!isFirst) isWrong = true;
      if (!isWrong) resize(size);
    } else readLiteral(readInteger(0x0f), false);
  }

  return {
    decode(bytesFrom, start, stop, isCut = false) {
      from = bytesFrom;
      at = start;
      end = stop;
      isWrong = false;
      block = emptyBlock(isCut);
      collector = fingerprinter && createFieldCollector(fingerprinter);
      let isFirst = true;
      while (at < end && !isWrong) {
        const isUpdate = ((from[at] as number) & 0xe0) === 0x20;
        readField(isFirst);
        isFirst &&= isUpdate;
      }
      from = scratch; // the ring's memory is not held on to
      if (isWrong || isCut) forget();
      if (isWrong && !isCut) return emptyBlock(true);
      block.authority ||= block.headers.host ?? '';
      if (collector) block.fields = collector.fields();
      return block;
    },
    forget,
    tableBytes: () => bytes,
  };
}
