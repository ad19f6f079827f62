import { distance } from 'fastest-levenshtein';
import type { LineCounter } from 'yaml';
import { HopspanError } from '../errors.ts';
import { escapeControl } from '../telemetry/escape.ts';
import { listed } from './rules.ts';

/** Something to tell the user about the configuration: a mistake or a warning. */
export interface Remark {
  /** Offset in the file's text; absent for what does not stand in the file, a variable for example. */
  readonly offset?: number | undefined;
  readonly text: string;
}

const SHOWN_CHARACTERS = 60;
const SHOWN_MISTAKES = 100;

/** Names that are compared or listed, at most; only a file made to waste time has more. */
const CANDIDATES = 200;
const LISTED = 20;

/** A value as messages show it: in quotes, short, harmless on a terminal, without a URL's password. */
export function found(text: string): string {
  return `"${shortened(text.replace(/\/\/[^/\s]*@/, '//***@'))}"`;
}

/** As `found`, without the quotes. */
export function shortened(text: string): string {
  return escapeControl(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}

/** The names that a file defines, "a, b or c". */
export function listedNames(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).map(shortened);
  return listed(names.length > LISTED ? [...shown, `${names.length - LISTED} others`] : shown, 'or');
}

/** `; did you mean "…"?` where one of the candidates is near enough to be meant, else nothing. */
export function didYouMean(text: string, candidates: readonly string[]): string {
  // Levenshtein's cost grows with the product of the lengths, and nobody misspells a key this long.
  if (text.length > SHOWN_CHARACTERS) return '';
  const ranked = candidates
    .slice(0, CANDIDATES)
    .map((candidate) => ({ candidate, edits: distance(text.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const nearest = ranked[0];
  if (!nearest) return '';
  const near = nearest.edits <= Math.ceil(nearest.candidate.length / 3) || text.startsWith(nearest.candidate);
  return near ? `; did you mean ${found(nearest.candidate)}?` : '';
}

/** One line each, `FILE:LINE:COLUMN: …`, in the file's order; what stands outside the file comes last. */
export function remarkLines(remarks: readonly Remark[], fileName: string, lines: LineCounter): string[] {
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${escapeControl(fileName)}:${line}:${col}: `;
  };
  const sorted = remarks.toSorted(
    (a, b) => (a.offset ?? Number.MAX_SAFE_INTEGER) - (b.offset ?? Number.MAX_SAFE_INTEGER),
  );
  // What stands behind an alias is read once for each use; one line is enough.
  return [
    ...new Set(sorted.map(({ offset, text }) => `${offset === undefined ? '' : place(offset)}${text}`)),
  ];
}

/** The error that holds every line, or, of a file that is not meant for hopspan at all, the first hundred. */
export function configInvalid(lines: readonly string[]): HopspanError {
  const rest = lines.length - SHOWN_MISTAKES;
  const shown = rest > 0 ? [...lines.slice(0, SHOWN_MISTAKES), `and ${rest} more mistakes`] : lines;
  return new HopspanError('CONFIG_INVALID', shown.join('\n'));
}
