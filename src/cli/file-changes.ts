import { type BigIntStats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Between two looks at the file. */
export const LOOK_EVERY_MS = 500;

/**
 * Looks whether a file is another one than before: written, renamed over, or behind a symbolic link that was swapped, as
 * Kubernetes does with its ConfigMaps, anywhere on its path. It is told once two looks in a row have found it the same, so
 * that an editor's writes in a row are one change. Looking is what works on every file system, and costs little.
 */
export function createFileLook(path: string): () => Promise<boolean> {
  /* At once, so that what the caller reads from here on is not older. */
  let told = identityNow(path);
  let last = told;
  return async () => {
    const now = await identityOf(path);
    const isChanged = now !== told && now === last;
    last = now;
    if (isChanged) told = now;
    return isChanged;
  };
}

/**
 * Tells of every change, from now on.
 * @returns a function that ends it.
 */
export function onFileChange(path: string, changed: () => void, everyMs: number = LOOK_EVERY_MS): () => void {
  const look = createFileLook(path);
  let ended = false;
  let timer = setTimeout(tick, everyMs).unref();

  async function tick(): Promise<void> {
    const isChanged = await look();
    if (ended) return;
    if (isChanged) changed();
    timer = setTimeout(tick, everyMs).unref();
  }

  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

async function identityOf(path: string): Promise<string> {
  try {
    return identity(await stat(path, { bigint: true }));
  } catch (error) {
    return reason(error);
  }
}

function identityNow(path: string): string {
  try {
    return identity(statSync(path, { bigint: true }));
  } catch (error) {
    return reason(error);
  }
}

/** Of the file that the path leads to, as far as the file system tells. */
function identity({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join();
}

/** Of a file that is not there. */
function reason(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
