import type { FileHandle } from 'node:fs/promises';

const READ_BYTES = 1 << 20;
/** The file exporter writes some hundred kilobytes at most; a Collector's batches are larger. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

/** The lines of a file; in place of one that is longer than `limit` bytes comes undefined. */
export async function* readLines(
  handle: Pick<FileHandle, 'read'>,
  limit = MAX_LINE_BYTES,
): AsyncGenerator<string | undefined, void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let parts: Buffer[] = [];
  let bytes = 0;
  let tooLong = false;

  const take = (piece: Buffer): void => {
    bytes += piece.length;
    tooLong ||= bytes > limit;
    if (tooLong) parts = [];
    else parts.push(Buffer.from(piece));
  };
  const line = (): string | undefined => {
    const text = tooLong ? undefined : Buffer.concat(parts).toString('utf8');
    parts = [];
    bytes = 0;
    tooLong = false;
    return text;
  };

  for (let position = 0; ; ) {
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    let start = 0;
    const chunk = buffer.subarray(0, bytesRead);
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      take(chunk.subarray(start, end));
      yield line();
      start = end + 1;
    }
    if (start < bytesRead) take(chunk.subarray(start));
  }
  if (bytes > 0) yield line();
}
