import type { ExporterLog } from '../log.ts';

/** What is shorter is no credential, and in many a harmless text. */
const MIN_CHARACTERS = 8;
const INSTEAD = '***';

/**
 * A log without the values of these headers, which are credentials mostly: an endpoint may cite in its answer what it was
 * sent, whole or without the scheme before it ("Bearer").
 */
export function createScrubbedLog(log: ExporterLog, headers: Readonly<Record<string, string>>): ExporterLog {
  const secrets = Object.values(headers)
    .flatMap((value) => [value, ...value.split(/[\s,;=:]+/)])
    .filter((value) => value.length >= MIN_CHARACTERS)
    .toSorted((a, b) => b.length - a.length);
  if (secrets.length === 0) return log;
  const scrub = (message: string): string =>
    secrets.reduce((text, secret) => text.replaceAll(secret, INSTEAD), message);
  return {
    info: (message) => log.info(scrub(message)),
    warn: (message) => log.warn(scrub(message)),
  };
}
