import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { HopspanError } from '../errors.ts';
import { whyNotWritten } from '../file-errors.ts';

/** Where a page goes; what stood there is replaced when the new one is whole. */
export interface ReportFile {
  /** @throws HopspanError REPORT_NOT_WRITTEN */
  write(text: string): Promise<void>;
}

/** Looks before the work whether there can be such a file, and leaves no trace of it. @throws HopspanError REPORT_NOT_WRITTEN */
export async function openReportFile(path: string): Promise<ReportFile> {
  const before = await stat(path).catch(() => undefined);
  /* A folder says so when it is opened; a pipe or a terminal is written as it is. */
  const isSpecial = before !== undefined && !before.isFile();
  const temporary = isSpecial ? path : `${path}.${process.pid}.partial`;

  async function put(text: string): Promise<void> {
    try {
      await writeFile(temporary, text);
    } catch (error) {
      if (!isSpecial) await rm(temporary, { force: true });
      throw notWritten(path, error as NodeJS.ErrnoException);
    }
  }

  if (before?.isDirectory()) throw notWritten(path, Object.assign(new Error(), { code: 'EISDIR' }));
  if (!isSpecial) {
    await put('');
    await rm(temporary);
  }
  return {
    async write(text) {
      await put(text);
      if (!isSpecial) await rename(temporary, path);
    },
  };
}

function notWritten(path: string, error: NodeJS.ErrnoException): HopspanError {
  const reason = whyNotWritten(path, error);
  return new HopspanError('REPORT_NOT_WRITTEN', `The report ${path} cannot be written: ${reason}.`, {
    cause: error,
  });
}
