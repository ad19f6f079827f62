import { readFileSync } from 'node:fs';

function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (name === 'hopspan' && version) return version;
    } catch {
      // compiled sources lie one folder deeper
    }
  }
  return 'unknown';
}

/** hopspan's version, from package.json. */
export const VERSION = readVersion();
