import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HopspanError } from '../errors.ts';

/** A page in the making, which takes the place of what stood there when it is whole. */
export interface ReportFile {
  /** @throws HopspanError REPORT_NOT_WRITTEN */
  write(text: string): Promise<void>;
  /** Takes away what is left of a page that was not written. */
  close(): Promise<void>;
}

/** Looks before the work whether there can be such a file. @throws HopspanError REPORT_NOT_WRITTEN */
export async function openReportFile(path: string): Promise<ReportFile> {
  const before = await stat(path).catch(() => undefined);
  /* A folder says so when it is opened; a pipe or a terminal is written as it is. */
  const isSpecial = before !== undefined && !before.isFile();
  const temporary = isSpecial ? path : `${path}.${process.pid}.partial`;
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, isSpecial ? 'w' : 'wx');
  } catch (error) {
    throw notWritten(path, error as NodeJS.ErrnoException);
  }
  return {
    async write(text) {
      try {
        await handle?.writeFile(text);
        await handle?.close();
        handle = undefined;
        if (!isSpecial) await rename(temporary, path);
      } catch (error) {
        throw notWritten(path, error as NodeJS.ErrnoException);
      }
    },
    async close() {
      await handle?.close().catch(() => {});
      handle = undefined;
      if (!isSpecial) await rm(temporary, { force: true });
    },
  };
}

function notWritten(path: string, error: NodeJS.ErrnoException): HopspanError {
  const why: Record<string, string> = {
    ENOENT: `its folder ${dirname(path)} does not exist; create it`,
    EACCES: 'the permission is missing; choose another path or change the permissions',
    EISDIR: 'it is a folder; add a file name',
    ENOTDIR: `${dirname(path)} is not a folder; choose another path`,
    EROFS: 'the file system is mounted read-only; choose another path',
    ENOSPC: 'the disk is full; make room or choose another path',
  };
  const reason = why[error.code ?? ''] ?? error.message;
  return new HopspanError('REPORT_NOT_WRITTEN', `The report ${path} cannot be written: ${reason}.`, {
    cause: error,
  });
}
