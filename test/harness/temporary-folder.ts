import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder, removed by the hook given (node:test's `after`). */
export function temporaryFolder(hook: (remove: () => void) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'hopspan-test-'));
  hook(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
