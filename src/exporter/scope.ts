import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SCOPE_NAME } from '../spans/hop-span.ts';

/** hopspan's own version: the nearest package.json above, both in a checkout and in the package. */
function packageVersion(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (name === 'hopspan' && version !== undefined) return version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return '';
}

/** The one instrumentation scope of all spans. */
export const INSTRUMENTATION_SCOPE: { readonly name: string; readonly version: string } = {
  name: SCOPE_NAME,
  version: packageVersion(),
};
