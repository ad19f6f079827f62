import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
} from 'yaml';
import { escapeControl } from '../telemetry/escape.ts';
import { expandEnv } from './expand.ts';
import { found, type Remark } from './mistakes.ts';
import { textScalar } from './scalar.ts';

/** Where a value stands in the file and how it looks there. */
export interface Place {
  readonly keyOffset: number;
  readonly offset: number;
  /** Completes "found …"; a reference to a variable is shown as written, so that no secret gets out. */
  readonly found: string;
}

/** A file read as plain data: mappings have no prototype, scalars with references are `TextScalar`s. */
export interface ConfigDocument {
  readonly value: unknown;
  readonly lines: LineCounter;
  readonly mistakes: readonly Remark[];
  readonly warnings: readonly Remark[];
  /** The text is no YAML; `value` is undefined and nothing more can be said about it. */
  readonly broken: boolean;
  placeOf(path: readonly PropertyKey[]): Place | undefined;
}

/** No valid configuration comes near these; they bound what aliases and nesting can make of a small file. */
const DEPTH_LIMIT = 32;
const NODE_LIMIT = 20_000;

/** Reads YAML 1.2, notes where everything stands, and replaces references to environment variables. */
export function readDocument(text: string, env: NodeJS.ProcessEnv): ConfigDocument {
  const lines = new LineCounter();
  // Duplicate keys are found below: the parser compares every key of a mapping with every other.
  const options = {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    stringKeys: true,
    resolveKnownTags: false,
  };
  const document = parseDocument(text.replace(/^\ufeff/, ''), options);
  const mistakes = yamlMistakes([...document.errors, ...document.warnings]);
  if (mistakes.length > 0) {
    return { value: undefined, lines, mistakes, warnings: [], broken: true, placeOf: () => undefined };
  }
  return { lines, ...walk(document.contents, lines, env) };
}

/** One mistake makes the parser stumble over much of what follows; those lines would only hide the cause. */
function yamlMistakes(trouble: readonly YAMLError[]): Remark[] {
  const isEcho = ({ code }: YAMLError) => code === 'UNEXPECTED_TOKEN' || code === 'RESOURCE_EXHAUSTION';
  const tooDeep = trouble.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  const other = trouble.filter((error, index) => index === 0 || !isEcho(error));
  const atFirst = (error: YAMLError) => other.find(({ pos }) => pos[0] === error.pos[0]) === error;
  const told = tooDeep ? [tooDeep] : other.filter(atFirst);
  return told.map(({ code, message, pos }) => ({ offset: pos[0], text: yamlText(code, message) }));
}

function yamlText(code: string, message: string): string {
  if (code === 'RESOURCE_EXHAUSTION')
    return `found YAML nested too deeply, expected at most ${DEPTH_LIMIT} levels`;
  if (code === 'MULTIPLE_DOCS') return 'found a second YAML document, expected one';
  return `found invalid YAML: ${escapeControl(message.slice(0, 200))}`;
}

type Walked = Omit<ConfigDocument, 'lines'>;

/** Thrown to leave the walk when a limit is reached. */
class LimitReached extends Error {}

function walk(root: Node | null, lines: LineCounter, env: NodeJS.ProcessEnv): Walked {
  const mistakes: Remark[] = [];
  const warnings: Remark[] = [];
  const places = new Map<string, Place>();
  const anchors = new Map<string, Node>();
  let nodes = 0;

  const plain = (node: Node | null, path: readonly string[], keyOffset: number): unknown => {
    const offset = node?.range?.[0] ?? keyOffset;
    nodes += 1;
    if (path.length > DEPTH_LIMIT || nodes > NODE_LIMIT) {
      const what =
        path.length > DEPTH_LIMIT ? `more than ${DEPTH_LIMIT} levels` : `more than ${NODE_LIMIT} values`;
      mistakes.push({ offset, text: `found ${what} (aliases followed), expected fewer` });
      throw new LimitReached();
    }
    const place = (description: string) => places.set(keyOf(path), { keyOffset, offset, found: description });
    if (node === null) {
      place('nothing');
      return null;
    }
    if (isAlias(node)) {
      const target = anchors.get((node as Alias).source);
      if (target) return plain(target, path, keyOffset);
      place('an alias');
      mistakes.push({
        offset,
        text: `found the alias ${found(node.source)}, expected one whose anchor stands above it`,
      });
      return undefined;
    }
    if (node.anchor) anchors.set(node.anchor, node);
    if (isMap<Node, Node | null>(node)) {
      place('a mapping');
      return plainMap(node.items, path);
    }
    if (isSeq<Node | null>(node)) {
      place('a list');
      return node.items.map((item, index) =>
        plain(item, [...path, String(index)], item?.range?.[0] ?? offset),
      );
    }
    if (!isScalar(node)) return undefined;
    place(describeScalar(node.value));
    return typeof node.value === 'string' ? substitute(node.value, offset, place) : node.value;
  };

  const plainMap = (
    pairs: readonly Pair<Node, Node | null>[],
    path: readonly string[],
  ): Record<string, unknown> => {
    const map: Record<string, unknown> = Object.create(null);
    const firstAt = new Map<string, number>();
    for (const { key, value } of pairs) {
      const name = isScalar(key) ? String(key.value) : '';
      const keyOffset = key.range?.[0] ?? 0;
      const first = firstAt.get(name);
      if (first === undefined) {
        firstAt.set(name, keyOffset);
        map[name] = plain(value, [...path, name], keyOffset);
      } else {
        const { line } = lines.linePos(first);
        mistakes.push({
          offset: keyOffset,
          text: `found the key ${found(name)} again, expected it once (first on line ${line})`,
        });
      }
    }
    return map;
  };

  const substitute = (source: string, offset: number, place: (found: string) => void): unknown => {
    const expanded = expandEnv(source, env);
    mistakes.push(...expanded.mistakes.map((text) => ({ offset, text })));
    const unset = expanded.unset.map(
      (name) => `the environment variable ${name} is not set and counts as empty`,
    );
    warnings.push(...unset.map((text) => ({ offset, text })));
    if (expanded.unset.length > 0) place(`${found(source)} (not set)`);
    return expanded.whole ? textScalar(expanded.text) : expanded.text;
  };

  const placeOf = (path: readonly PropertyKey[]) => places.get(keyOf(path));
  try {
    return { value: plain(root, [], 0), mistakes, warnings, broken: false, placeOf };
  } catch (error) {
    if (!(error instanceof LimitReached)) throw error;
    return { value: undefined, mistakes, warnings, broken: true, placeOf };
  }
}

function keyOf(path: readonly PropertyKey[]): string {
  return JSON.stringify(path.map(String));
}

function describeScalar(value: unknown): string {
  if (value === null) return 'nothing';
  return typeof value === 'string' ? found(value) : String(value);
}
