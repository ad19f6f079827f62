import { type FileHandle, open } from 'node:fs/promises';
import { HopspanError } from '../errors.ts';
import { whyNotRead } from '../file-errors.ts';
import type { KernelRecord } from '../receiver/kernel-record.ts';
import {
  decodeMessage,
  FORMAT_VERSION,
  MAGIC,
  MAX_MESSAGE_BYTES,
  type RecordingEnd,
  type RecordingMessage,
} from './format.ts';

const READ_BYTES = 65_536;
/** Bytes of the longest length that is allowed. */
const MAX_LENGTH_BYTES = 3;

/** Where in a file something stands, for messages to the user. */
interface Place {
  readonly path: string;
  byte: number;
  records: number;
}

/**
 * The kernel records of a recording, one after the other; holds no more than two messages' worth of the file.
 * `onEnd` is called when the recording is whole.
 * @throws HopspanError RECORDING_INVALID at the point from which on the file cannot be read; all records
 *   before it have been handed out then.
 */
export async function* readRecording(
  path: string,
  onEnd: (end: RecordingEnd) => void = () => {},
): AsyncGenerator<KernelRecord, void> {
  const place: Place = { path, byte: 0, records: 0 };
  const handle = await openRecording(path);
  try {
    let end: RecordingEnd | undefined;
    let begun = false;
    for await (const message of readMessages(handle, place)) {
      if (end) throw damaged(place);
      if ('header' in message !== !begun) throw begun ? damaged(place) : foreign(place);
      begun = true;
      if ('header' in message) {
        const { formatVersion, hopspanVersion } = message.header;
        if (formatVersion !== FORMAT_VERSION) throw otherVersion(place, formatVersion, hopspanVersion);
      } else if ('end' in message) end = message.end;
      else {
        place.records++;
        yield message.record;
      }
    }
    if (!end || end.records !== place.records) throw cutOff(place);
    onEnd(end);
  } finally {
    await handle.close();
  }
}

async function openRecording(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw unreadable(path, error as NodeJS.ErrnoException);
  }
}

/** Messages as they stand in the file; `place.byte` is where the newest one begins. */
async function* readMessages(handle: FileHandle, place: Place): AsyncGenerator<RecordingMessage, void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES + MAX_LENGTH_BYTES + MAX_MESSAGE_BYTES);
  let start = 0;
  let end = 0;

  /** Makes `bytes` bytes available at `start`, as far as the file has them. */
  async function fill(bytes: number): Promise<boolean> {
    while (end - start < bytes) {
      if (buffer.length - start < bytes) {
        buffer.copyWithin(0, start, end);
        end -= start;
        start = 0;
      }
      const { bytesRead } = await readSome(handle, buffer, end, place);
      if (bytesRead === 0) return false;
      end += bytesRead;
    }
    return true;
  }

  if (!(await fill(MAGIC.length)) || !buffer.subarray(start, start + MAGIC.length).equals(MAGIC))
    throw foreign(place);
  start += MAGIC.length;
  place.byte += MAGIC.length;
  for (;;) {
    let length = 0;
    let lengthBytes = 0;
    for (let byte = 0x80; byte >= 0x80; lengthBytes++) {
      if (lengthBytes === MAX_LENGTH_BYTES) throw damaged(place);
      if (end - start <= lengthBytes && !(await fill(lengthBytes + 1))) {
        if (lengthBytes > 0) throw cutOff(place);
        return;
      }
      byte = buffer[start + lengthBytes] as number;
      length += (byte & 0x7f) << (7 * lengthBytes);
    }
    if (length > MAX_MESSAGE_BYTES) throw damaged(place);
    const whole = lengthBytes + length;
    if (end - start < whole && !(await fill(whole))) throw cutOff(place);
    yield decode(buffer.subarray(start + lengthBytes, start + whole), place);
    start += whole;
    place.byte += whole;
  }
}

async function readSome(
  handle: FileHandle,
  buffer: Buffer,
  at: number,
  place: Place,
): Promise<{ bytesRead: number }> {
  try {
    return await handle.read(buffer, at, buffer.length - at, null);
  } catch (error) {
    throw unreadable(place.path, error as NodeJS.ErrnoException);
  }
}

function decode(bytes: Buffer, place: Place): RecordingMessage {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    throw damaged(place, error);
  }
}

function invalid(message: string, cause?: unknown): HopspanError {
  return new HopspanError('RECORDING_INVALID', message, cause === undefined ? {} : { cause });
}

function before({ records }: Place): string {
  if (records === 0) return 'no record before it could be read';
  return records === 1 ? 'the one record before it is good' : `the ${records} records before it are good`;
}

function cutOff(place: Place): HopspanError {
  return invalid(`${place.path} was cut off at byte ${place.byte} and lacks its end; ${before(place)}.`);
}

function damaged(place: Place, cause?: unknown): HopspanError {
  return invalid(
    `${place.path} is damaged at byte ${place.byte} and cannot be read from there on; ${before(place)}.`,
    cause,
  );
}

function foreign({ path }: Place): HopspanError {
  return invalid(`${path} does not begin as a recording does; give a file that "hopspan record" wrote.`);
}

function otherVersion({ path }: Place, format: number, writer: string): HopspanError {
  return invalid(
    `${path} has format ${format}, this hopspan reads format ${FORMAT_VERSION}; replay it with hopspan ${JSON.stringify(writer)}.`,
  );
}

function unreadable(path: string, error: NodeJS.ErrnoException): HopspanError {
  return invalid(`${path} cannot be read: ${whyNotRead(error)}.`, error);
}
