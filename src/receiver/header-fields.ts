import { hash, randomBytes } from 'node:crypto';

/** A header's name, and what tells its value from others without telling it. */
export interface HeaderField {
  /** As on the wire; characters that no name may have are `?` (RFC 9110, section 5.6.2). */
  readonly name: string;
  /** Of all values of that name; equal for equal ones within one run, and of no use without the run's key. */
  readonly fingerprint: string;
}

/** The request target without its query string goes as a field of this name, as in HTTP/2. */
export const TARGET = ':path';
export const HOST = 'host';
export const NO_FIELDS: readonly HeaderField[] = [];

/** Of one head; of one with more of them nothing is kept. */
const MAX_FIELDS = 128;
export const MAX_NAME_CHARACTERS = 64;
/** Of one name; later ones do not count. */
const MAX_VALUES = 64;
/** 66 bits */
const FINGERPRINT_CHARACTERS = 11;
const KEY_BYTES = 32;

/** One for each value of a name. */
export type Fingerprints = readonly string[];

/** Fingerprints by a key that nobody else has and that is never written down: it ends with the run. */
export interface Fingerprinter {
  /** @param lowerName `cookie` may be sent as one field or in pieces (RFC 9113, section 8.2.3), which count alike */
  of(lowerName: string, value: Uint8Array): Fingerprints;
  /** Several as one. */
  joined(fingerprints: Fingerprints): string;
}

export function createFingerprinter(key: Uint8Array = randomBytes(KEY_BYTES)): Fingerprinter {
  /* A truncated hash behind its key needs no HMAC, which takes 25 times as long. */
  const print = (value: Uint8Array): string =>
    hash('sha256', Buffer.concat([key, value]), 'base64url').slice(0, FINGERPRINT_CHARACTERS);
  return {
    of(lowerName, value) {
      if (lowerName !== 'cookie') return [print(value)];
      return Buffer.from(value)
        .toString('latin1')
        .split(/; */, MAX_VALUES)
        .map((piece) => print(Buffer.from(piece, 'latin1')));
    },
    joined: (fingerprints) =>
      fingerprints.length === 1 ? (fingerprints[0] ?? '') : print(Buffer.from(fingerprints.join())),
  };
}

/** Gathers the fields of one head; values of one name count together, in their order. */
export interface FieldCollector {
  add(name: string, fingerprints: Fingerprints): void;
  has(lowerName: string): boolean;
  fields(): readonly HeaderField[];
}

export function createFieldCollector(fingerprinter: Fingerprinter): FieldCollector {
  const byName = new Map<string, { readonly name: string; readonly values: string[] }>();
  return {
    add(name, fingerprints) {
      const key = name.toLowerCase();
      const known = byName.get(key);
      if (!known) {
        if (byName.size <= MAX_FIELDS) byName.set(key, { name, values: fingerprints.slice(0, MAX_VALUES) });
        return;
      }
      const room = MAX_VALUES - known.values.length;
      if (room > 0) known.values.push(...fingerprints.slice(0, room));
    },
    has: (lowerName) => byName.has(lowerName),
    fields() {
      if (byName.size > MAX_FIELDS) return NO_FIELDS;
      return [...byName.values()].map(({ name, values }) => ({
        name,
        fingerprint: fingerprinter.joined(values),
      }));
    },
  };
}

/** A name that may be shown. */
export function cleanName(name: string): string {
  return name.slice(0, MAX_NAME_CHARACTERS).replace(/[^\w!#$%&'*+\-.^`|~]/g, '?');
}
