import { type Check, mappingAt, mistakeAtKey, mistakeAtValue, parsePart, warnAtKey } from './check.ts';
import { didYouMean, found } from './mistakes.ts';
import { isTextScalar } from './scalar.ts';
import { EXTENSIONS, type ParsedHealthCheck } from './schema.ts';

const NAME = 'health_check';

/** Reads `extensions` and `service.extensions`, as the Collector has them; undefined where it is not asked for. */
export function readHealthCheck(check: Check): ParsedHealthCheck | undefined {
  const defined = mappingAt(check, ['extensions']) ?? {};
  const place = check.document.placeOf(['extensions']);
  if (place && place.found !== 'nothing' && !mappingAt(check, ['extensions']))
    mistakeAtValue(check, ['extensions'], `found ${place.found} for extensions, expected a mapping`);
  for (const name of Object.keys(defined)) {
    if (name === NAME) continue;
    const hint = didYouMean(name, [NAME]);
    mistakeAtKey(
      check,
      ['extensions', name],
      `found the unknown extension ${found(name)}, expected ${NAME}${hint}`,
    );
  }
  const asked = mappingAt(check, ['service'])?.extensions ?? [];
  if (!Array.isArray(asked)) {
    mistakeAtValue(
      check,
      ['service', 'extensions'],
      `found no list in service.extensions, expected [${NAME}]`,
    );
    return undefined;
  }
  const names = asked.map((value) => (isTextScalar(value) ? value.text : value));
  for (const [index, name] of names.entries()) {
    if (typeof name === 'string' && Object.hasOwn(defined, name)) continue;
    const what = `found the extension ${found(String(name))}, which is not defined under extensions`;
    mistakeAtValue(check, ['service', 'extensions', String(index)], `${what}, expected ${NAME}`);
  }
  if (!Object.hasOwn(defined, NAME)) return undefined;
  if (!names.includes(NAME)) {
    const text = `the extension "${NAME}" is not in service.extensions and is not started`;
    warnAtKey(check, ['extensions', NAME], text);
  }
  const parsed = parsePart(check, EXTENSIONS.health_check, defined[NAME], ['extensions', NAME]);
  return names.includes(NAME) ? parsed : undefined;
}

const READERS = ['service', 'telemetry', 'metrics', 'readers'] as const;

/** Each reader is exactly one of the two kinds, with its exporter. */
export function checkReaders(check: Check): void {
  const readers = mappingAt(check, READERS.slice(0, -1))?.readers;
  if (!Array.isArray(readers)) return;
  if (readers.length === 0)
    mistakeAtKey(
      check,
      READERS,
      'found no reader in service.telemetry.metrics.readers, expected periodic or pull',
    );
  for (const [index, reader] of readers.entries()) {
    const path = [...READERS, String(index)];
    if (typeof reader !== 'object' || reader === null) continue; // the schema says what is wrong with it
    const kinds = ['periodic', 'pull'].filter((kind) => Object.hasOwn(reader, kind));
    if (kinds.length === 1) continue;
    const what = kinds.length === 0 ? 'neither periodic nor pull' : 'both periodic and pull';
    mistakeAtKey(check, path, `found ${what} in ${READERS.join('.')}[${index}], expected one of them`);
  }
}
