import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { HopspanError } from '../errors.ts';
import { whyNotWritten } from '../file-errors.ts';
import { type KernelRecord, RECEIVER_KIND } from '../receiver/kernel-record.ts';
import { encodeEnd, encodeRecord, encodeStart, MAX_MESSAGE_BYTES, type RecordingEnd } from './format.ts';

/** Encoded records are handed to the disk in pieces of about this size. */
const CHUNK_BYTES = 65_536;
/** The most that may wait for a slow disk; more is dropped and counted. */
const QUEUE_BYTES = 16 * 1024 * 1024;

/** A file of kernel records in the making. */
export interface RecordingWriter {
  /** Never waits and never throws: what the disk cannot take in time is dropped and counted. */
  write(record: KernelRecord): void;
  /** The disk does not keep up: whoever can wait should. */
  busy(): boolean;
  /** Rejects as soon as the file cannot be written any more (HopspanError RECORDING_NOT_WRITTEN); else never settles. */
  readonly failed: Promise<never>;
  /** Counts so far. */
  stats(): RecordingEnd;
  /** Writes what waits, and the end. @throws HopspanError RECORDING_NOT_WRITTEN; may be called twice. */
  close(): Promise<void>;
}

/**
 * Opens `path` anew, as `tcpdump -w` does: what stood there is gone.
 * @throws HopspanError RECORDING_NOT_WRITTEN when it cannot be opened.
 */
export async function createRecordingWriter(
  path: string,
  { queueBytes = QUEUE_BYTES }: { readonly queueBytes?: number } = {},
): Promise<RecordingWriter> {
  const stream = createWriteStream(path);
  let failure: HopspanError | undefined;
  let rejectFailed: (error: HopspanError) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    rejectFailed = reject;
  });
  failed.catch(() => {});
  stream.on('error', (error: NodeJS.ErrnoException) => {
    failure ??= writeError(path, error);
    rejectFailed(failure);
  });
  try {
    await once(stream, 'open');
  } catch (error) {
    throw failure ?? writeError(path, error as NodeJS.ErrnoException);
  }

  const stats = { records: 0, dropped: 0 };
  let chunk: Buffer[] = [encodeStart()];
  let chunkBytes = 0;
  let closing: Promise<void> | undefined;

  function handOn(): void {
    if (chunk.length > 0) stream.write(Buffer.concat(chunk));
    chunk = [];
    chunkBytes = 0;
  }

  async function close(): Promise<void> {
    if (!failure) {
      chunk.push(encodeEnd(stats));
      handOn();
      await new Promise<void>((resolve) => stream.once('close', resolve).end());
    }
    if (failure) throw failure;
  }

  return {
    failed,
    busy: () => !failure && stream.writableLength > queueBytes / 4,
    stats: () => ({ ...stats }),
    write(record) {
      const bytes = encodeRecord(record);
      const noRoom = stream.writableLength + chunkBytes + bytes.length > queueBytes;
      if (failure || closing || noRoom || bytes.length > MAX_MESSAGE_BYTES) {
        stats.dropped++;
        return;
      }
      stats.records++;
      chunk.push(bytes);
      chunkBytes += bytes.length;
      /* The receiver's heartbeat also ends a piece, so that little is lost with a killed process. */
      if (chunkBytes >= CHUNK_BYTES || record.kind === RECEIVER_KIND.CLOCK) handOn();
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function writeError(path: string, error: NodeJS.ErrnoException): HopspanError {
  const reason = whyNotWritten(path, error);
  return new HopspanError('RECORDING_NOT_WRITTEN', `The recording ${path} cannot be written: ${reason}.`, {
    cause: error,
  });
}
