import type { Hop } from '../correlate/hop.ts';
import { type HeaderField, TARGET } from '../receiver/header-fields.ts';
import type { HttpMessageRecord } from '../receiver/kernel-record.ts';
import { MESSAGE_FLAGS } from '../records.gen.ts';
import type { AttributeName } from './attributes.ts';
import type { Bag } from './hop-attributes.ts';

/** Names in one attribute. */
const MAX_NAMES = 64;

/** What a proxy made of a message, by names; in the order of these. */
export interface HeaderDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** `x-request-id → X-Request-Id` */
  readonly recased: readonly string[];
  readonly rewritten: readonly string[];
  /** The path is another, or became an absolute URL, or was one. */
  readonly path: boolean;
}

/**
 * Compares a message as it came to the proxy with the one that the proxy sent on. Nothing where either of them is not
 * wholly known. HTTP/2 has lower-case names only (RFC 9113, section 8.2.1), so that nobody has re-cased them.
 */
export function headerDiff(
  before: HttpMessageRecord | undefined,
  after: HttpMessageRecord | undefined,
): HeaderDiff | undefined {
  if (!before || !after || !isKnown(before) || !isKnown(after)) return undefined;
  const had = byName(before.fields);
  const has = byName(after.fields);
  const isCaseKept = before.stream === 0 && after.stream === 0;
  const recased: string[] = [];
  const rewritten: string[] = [];
  for (const [key, { name, fingerprint }] of had) {
    const other = has.get(key);
    if (!other) continue;
    if (isCaseKept && other.name !== name) recased.push(`${name} → ${other.name}`);
    if (other.fingerprint !== fingerprint && key !== TARGET) rewritten.push(other.name);
  }
  return {
    added: missing(has, had),
    removed: missing(had, has),
    recased: bounded(recased),
    rewritten: bounded(rewritten),
    path: had.get(TARGET)?.fingerprint !== has.get(TARGET)?.fingerprint,
  };
}

type Kind = 'added' | 'removed' | 'recased' | 'rewritten';
type Names = Readonly<Record<Kind, AttributeName>>;

const REQUEST: Names = {
  added: 'hopspan.headers.added',
  removed: 'hopspan.headers.removed',
  recased: 'hopspan.headers.recased',
  rewritten: 'hopspan.headers.rewritten',
};
const ANSWER: Names = {
  added: 'hopspan.response.headers.added',
  removed: 'hopspan.response.headers.removed',
  recased: 'hopspan.response.headers.recased',
  rewritten: 'hopspan.response.headers.rewritten',
};
const KINDS = Object.keys(REQUEST) as Kind[];

/** On the hop, where its two sides were paired and the proxy wrote the heads anew. */
export function fillHeaderDiff(bag: Bag, { downstream, upstream, pairing }: Hop): void {
  if (pairing === 'buffer' || pairing === 'none') return;
  const request = headerDiff(downstream?.http?.request, upstream?.http?.request);
  if (request) fill(bag, REQUEST, request);
  if (request?.path) bag['hopspan.path.rewritten'] = true;
  const answer = headerDiff(upstream?.http?.answer, downstream?.http?.answer);
  if (answer) fill(bag, ANSWER, answer);
}

function fill(bag: Bag, names: Names, diff: HeaderDiff): void {
  for (const kind of KINDS) if (diff[kind].length > 0) bag[names[kind]] = diff[kind];
}

const isKnown = ({ fields, flags }: HttpMessageRecord): boolean =>
  fields.length > 0 && !(flags & MESSAGE_FLAGS.HEAD_TRUNCATED);

const byName = (fields: readonly HeaderField[]): Map<string, HeaderField> =>
  new Map(fields.map((field) => [field.name.toLowerCase(), field]));

function missing(of: Map<string, HeaderField>, from: Map<string, HeaderField>): string[] {
  const names = [...of].flatMap(([key, { name }]) => (from.has(key) || key === TARGET ? [] : [name]));
  return bounded(names);
}

const bounded = (names: readonly string[]): string[] => names.toSorted().slice(0, MAX_NAMES);
