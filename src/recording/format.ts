import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import protobuf from 'protobufjs';
import { type KernelRecord, type NetworkRecord, RECEIVER_KIND } from '../receiver/kernel-record.ts';
import { KIND, type SideRecord } from '../records.gen.ts';
import { VERSION } from '../version.ts';

/** First bytes of every recording; CR LF shows what a transfer as text did to it, 0x1a ends a listing on a terminal. */
export const MAGIC = Buffer.from('HSREC\r\n\x1a', 'latin1');
export const FORMAT_VERSION = 1;
/** Of one message: far above what two file paths and some names take, and a bound for what a reader must hold. */
export const MAX_MESSAGE_BYTES = 65_536;

const ADDRESS_BYTES = 16;
/** Tag of `fixed32 crc32 = 15`. */
const CRC_TAG = (15 << 3) | 5;
const CRC_FIELD_BYTES = 5;

export interface RecordingHeader {
  readonly formatVersion: number;
  readonly hopspanVersion: string;
}

export interface RecordingEnd {
  readonly records: number;
  /** Records that are missing because the disk was too slow. */
  readonly dropped: number;
}

/** One message of a recording. */
export type RecordingMessage =
  | { readonly header: RecordingHeader }
  | { readonly end: RecordingEnd }
  | { readonly record: KernelRecord };

/** Names in `oneof kind` of the kernel records. */
const KINDS = {
  host: RECEIVER_KIND.HOST,
  proxy: RECEIVER_KIND.PROXY,
  clock: RECEIVER_KIND.CLOCK,
  process: KIND.PROCESS,
  side: KIND.SIDE,
  httpMessage: RECEIVER_KIND.HTTP_MESSAGE,
  tlsHello: RECEIVER_KIND.TLS_HELLO,
  freeze: KIND.FREEZE,
  network: RECEIVER_KIND.NETWORK,
} as const;
type KindName = keyof typeof KINDS;
const KIND_NAMES = new Map<number, KindName>(
  Object.entries(KINDS).map(([name, kind]) => [kind, name as KindName]),
);

let loadedRecord: protobuf.Type | undefined;

/** proto/ lies beside src/ in a checkout, and beside dist/ in the package. */
function recordType(): protobuf.Type {
  const root = import.meta.url.endsWith('.ts') ? '../..' : '../../..';
  const path = new URL(`${root}/proto/hopspan/v1/recording.proto`, import.meta.url);
  loadedRecord ??= protobuf.loadSync(fileURLToPath(path)).lookupType('hopspan.v1.Record');
  return loadedRecord;
}

/** What a recording begins with. */
export function encodeStart(): Buffer {
  const header: RecordingHeader = { formatVersion: FORMAT_VERSION, hopspanVersion: VERSION };
  return Buffer.concat([MAGIC, delimited({ header })]);
}

export function encodeEnd(end: RecordingEnd): Buffer {
  return delimited({ end });
}

export function encodeRecord(record: KernelRecord): Buffer {
  const name = KIND_NAMES.get(record.kind);
  if (!name) throw new Error(`no recording of records of kind ${record.kind}`);
  return delimited({ [name]: record.kind === KIND.SIDE ? withShortAddresses(record) : record });
}

function delimited(message: Record<string, unknown>): Buffer {
  const body = recordType().encode(message).finish();
  const size = body.length + CRC_FIELD_BYTES;
  const frame = Buffer.allocUnsafe(varintSize(size) + size);
  let at = 0;
  for (let rest = size; ; rest >>>= 7) {
    frame[at++] = rest < 0x80 ? rest : (rest & 0x7f) | 0x80;
    if (rest < 0x80) break;
  }
  frame.set(body, at);
  at = frame.writeUInt8(CRC_TAG, at + body.length);
  frame.writeUInt32LE(crc32(body), at);
  return frame;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) size++;
  return size;
}

/**
 * Decodes one message, without its length. Throws on anything but a whole and unchanged one; what it returns
 * shares no memory with `bytes`.
 */
export function decodeMessage(bytes: Buffer): RecordingMessage {
  const bodyBytes = bytes.length - CRC_FIELD_BYTES;
  if (bodyBytes < 0 || bytes[bodyBytes] !== CRC_TAG) throw new Error('no checksum');
  if (crc32(bytes.subarray(0, bodyBytes)) !== bytes.readUInt32LE(bodyBytes + 1)) throw new Error('changed');
  const type = recordType();
  const message: Partial<Record<string, object>> = type.toObject(type.decode(bytes), {
    longs: Number,
    defaults: true,
    oneofs: true,
  });
  /* The schema gives each message the fields of its interface; a test holds the two against each other. */
  if (message.header) return { header: message.header as RecordingHeader };
  if (message.end) return { end: message.end as RecordingEnd };
  for (const [name, kind] of Object.entries(KINDS)) {
    const fields = message[name];
    if (!fields) continue;
    const record = { kind, ...fields } as KernelRecord;
    return { record: withOwnBytes(record) };
  }
  throw new Error('unknown kind');
}

function withOwnBytes(record: KernelRecord): KernelRecord {
  switch (record.kind) {
    case KIND.SIDE:
      return withFullAddresses(record);
    case RECEIVER_KIND.NETWORK:
      return withPlainAddresses(record);
    default:
      return record;
  }
}

function withPlainAddresses(record: NetworkRecord): NetworkRecord {
  const [address, gateway] = [Uint8Array.from(record.address), Uint8Array.from(record.gateway)];
  const isAddress = ({ length }: Uint8Array): boolean => length === 0 || length === 4 || length === 16;
  if (!isAddress(address) || !isAddress(gateway) || record.prefixLength > 8 * address.length)
    throw new Error('no address');
  return { ...record, address, gateway };
}

function withShortAddresses(record: SideRecord): SideRecord {
  return { ...record, localAddr: trimmed(record.localAddr), remoteAddr: trimmed(record.remoteAddr) };
}

function trimmed(address: Uint8Array): Uint8Array {
  let length = address.length;
  while (length > 0 && address[length - 1] === 0) length--;
  return address.subarray(0, length);
}

function withFullAddresses(record: SideRecord): SideRecord {
  return { ...record, localAddr: padded(record.localAddr), remoteAddr: padded(record.remoteAddr) };
}

function padded(address: Uint8Array): Uint8Array {
  if (address.length > ADDRESS_BYTES) throw new Error('address too long');
  const full = new Uint8Array(ADDRESS_BYTES);
  full.set(address);
  return full;
}
