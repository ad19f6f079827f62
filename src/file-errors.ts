import { dirname } from 'node:path';

/** Why a file could not be opened for writing or written, and what to do, as the end of a sentence. */
export function whyNotWritten(path: string, error: NodeJS.ErrnoException): string {
  const why: Record<string, string> = {
    ENOENT: `its folder ${dirname(path)} does not exist; create it`,
    EACCES: 'the permission is missing; choose another path or change the permissions',
    EISDIR: 'it is a folder; add a file name',
    ENOTDIR: `${dirname(path)} is not a folder; choose another path`,
    EROFS: 'the file system is mounted read-only; choose another path',
    ENOSPC: 'the disk is full; make room or choose another path',
  };
  return why[error.code ?? ''] ?? error.message;
}

/** The same for reading. */
export function whyNotRead(error: NodeJS.ErrnoException): string {
  const why: Record<string, string> = {
    ENOENT: 'it does not exist; correct the path',
    EACCES: 'the permission is missing; change it or run as another user',
    EISDIR: 'it is a folder; give a file',
  };
  return why[error.code ?? ''] ?? error.message;
}
