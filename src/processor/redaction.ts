import { anyValue } from '../otlp/attributes.ts';
import { type Edit, editFields, makeValue, pairKey, pairValue, withValue } from '../otlp/edit.ts';
import { asBuffer, Fields } from '../otlp/wire.ts';
import { type ForeignOrigin, type ForeignSpan, isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import type { Attributes, AttributeValue, HopResource, HopSpan } from '../spans/hop-span.ts';
import { once } from './once.ts';
import { compilePattern } from './pattern.ts';
import type { Processor } from './processor.ts';

/** In the shape of the Collector's `redaction`; patterns are ones that `compilePattern` takes. */
export interface RedactionOptions {
  readonly allowAllKeys: boolean;
  /** Without `allowAllKeys` all others are removed. */
  readonly allowedKeys: readonly string[];
  /** Never removed and never masked. */
  readonly ignoredKeys: readonly string[];
  /** Values of keys that match are masked whole. */
  readonly blockedKeyPatterns: readonly string[];
  /** What matches in a value is masked. */
  readonly blockedValues: readonly string[];
  /** Values that match are left alone. */
  readonly allowedValues: readonly string[];
  /** Numbers and booleans are looked at, too, as text. */
  readonly redactAllTypes: boolean;
}

/** Since the start. */
export type RedactionStats = {
  /** Spans of which something was removed or masked; what stands on resources is not counted. */
  changedSpans: number;
};

const MASK = '****';
/** AnyValue's fields. */
const VALUE = { text: 1, list: 5, map: 6 } as const;
/** Where attributes stand in OTLP. */
const SPAN = { attributes: 9, events: 11, links: 13 } as const;
const EVENT_ATTRIBUTES = 3;
const LINK_ATTRIBUTES = 4;
/** ResourceSpans.resource and ScopeSpans.scope, and their attributes. */
const INNER = 1;
const RESOURCE_ATTRIBUTES = 1;
const SCOPE_ATTRIBUTES = 3;
/** Of repeated fields in ArrayValue and KeyValueList. */
const ITEMS = 1;
/** KeyValue.value. */
const PAIR_VALUE = 2;

/** Removes attributes that are not allowed and masks what must not leave, of spans, events, links, resources, scopes. */
export function createRedaction(options: RedactionOptions): Processor {
  const stats: RedactionStats = { changedSpans: 0 };
  const rules = createRules(options);
  const resources = new WeakMap<HopResource, HopResource>();
  const origins = new WeakMap<ForeignOrigin, ForeignOrigin>();

  function redactHop(span: HopSpan): HopSpan {
    const attributes = redactAttributes(span.attributes, rules);
    const events = redactEach(span.events, rules);
    const links = redactEach(span.links, rules);
    const resource = once(resources, span.resource, (of) => withAttributes(of, rules));
    const isSame = attributes === span.attributes && events === span.events && links === span.links;
    if (!isSame) stats.changedSpans++;
    return isSame && resource === span.resource ? span : { ...span, attributes, events, links, resource };
  }

  const pair: Edit = (bytes) => redactPair(bytes, rules);
  const edits = {
    [SPAN.attributes]: pair,
    [SPAN.events]: (event: Buffer) => editFields(event, { [EVENT_ATTRIBUTES]: pair }),
    [SPAN.links]: (link: Buffer) => editFields(link, { [LINK_ATTRIBUTES]: pair }),
  };

  function redactForeign(span: ForeignSpan): ForeignSpan {
    const before = asBuffer(span.bytes);
    const bytes = editFields(before, edits);
    const origin = once(origins, span.origin, redactOrigin);
    if (bytes !== before) stats.changedSpans++;
    return bytes === before && origin === span.origin ? span : { ...span, bytes, origin };
  }

  function redactOrigin(origin: ForeignOrigin): ForeignOrigin {
    const inside =
      (number: number): Edit =>
      (message) =>
        editFields(message, { [number]: pair });
    const [beforeResource, beforeScope] = [asBuffer(origin.resource), asBuffer(origin.scope)];
    const resource = editFields(beforeResource, { [INNER]: inside(RESOURCE_ATTRIBUTES) });
    const scope = editFields(beforeScope, { [INNER]: inside(SCOPE_ATTRIBUTES) });
    return resource === beforeResource && scope === beforeScope ? origin : { resource, scope };
  }

  return {
    stats,
    process: (spans) =>
      spans.map((span): PipelineSpan => (isForeign(span) ? redactForeign(span) : redactHop(span))),
    advance: () => [],
    flush: () => [],
    held: () => 0,
  };
}

interface Rules {
  /** `keep` and `remove` for all values; otherwise it depends on the value. */
  ofKey(key: string): 'keep' | 'remove' | 'mask' | 'look';
  /** The text with what is blocked masked; the same text where nothing is. */
  text(text: string): string;
  isAllowed(text: string): boolean;
  readonly allTypes: boolean;
}

function createRules(options: RedactionOptions): Rules {
  const patterns = (sources: readonly string[], flags = ''): RegExp[] =>
    sources.map((source) => compilePattern(source, flags)).filter((pattern) => pattern !== undefined);
  const allowedKeys = new Set(options.allowedKeys);
  const ignoredKeys = new Set(options.ignoredKeys);
  const blockedKeys = patterns(options.blockedKeyPatterns);
  const blockedValues = patterns(options.blockedValues, 'g');
  const allowedValues = patterns(options.allowedValues);
  return {
    allTypes: options.redactAllTypes,
    ofKey(key) {
      if (ignoredKeys.has(key)) return 'keep';
      if (!options.allowAllKeys && !allowedKeys.has(key)) return 'remove';
      return blockedKeys.some((pattern) => pattern.test(key)) ? 'mask' : 'look';
    },
    text: (text) => blockedValues.reduce((rest, pattern) => rest.replace(pattern, MASK), text),
    isAllowed: (text) => allowedValues.some((pattern) => pattern.test(text)),
  };
}

/** The value as it may leave. */
function redactValue(value: AttributeValue, rules: Rules): AttributeValue {
  if (typeof value === 'string') return rules.isAllowed(value) ? value : rules.text(value);
  if (typeof value === 'object') {
    const items = value.map((item) => (rules.isAllowed(item) ? item : rules.text(item)));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (!rules.allTypes) return value;
  const text = String(value);
  const redacted = rules.isAllowed(text) ? text : rules.text(text);
  return redacted === text ? value : redacted;
}

/** Undefined to remove it. */
function redactNamed(key: string, value: AttributeValue, rules: Rules): AttributeValue | undefined {
  switch (rules.ofKey(key)) {
    case 'keep':
      return value;
    case 'remove':
      return undefined;
    case 'mask':
      return typeof value === 'string' && rules.isAllowed(value) ? value : MASK;
    case 'look':
      return redactValue(value, rules);
  }
}

function redactAttributes(attributes: Attributes, rules: Rules): Attributes {
  let changed = false;
  const out: Record<string, AttributeValue> = {};
  for (const [key, value] of Object.entries(attributes)) {
    const redacted = redactNamed(key, value, rules);
    if (!Object.is(redacted, value)) changed = true;
    if (redacted !== undefined) out[key] = redacted;
  }
  return changed ? out : attributes;
}

function withAttributes<T extends { readonly attributes: Attributes }>(of: T, rules: Rules): T {
  const attributes = redactAttributes(of.attributes, rules);
  return attributes === of.attributes ? of : { ...of, attributes };
}

function redactEach<T extends { readonly attributes: Attributes }>(
  list: readonly T[],
  rules: Rules,
): readonly T[] {
  const out = list.map((item) => withAttributes(item, rules));
  return out.some((item, index) => item !== list[index]) ? out : list;
}

/** A KeyValue of OTLP. */
function redactPair(pair: Buffer, rules: Rules): Buffer | null {
  const decision = rules.ofKey(pairKey(pair));
  if (decision === 'keep') return pair;
  if (decision === 'remove') return null;
  if (decision === 'mask') {
    const text = anyValue(pairValue(pair));
    return typeof text === 'string' && rules.isAllowed(text) ? pair : withValue(pair, makeValue(MASK));
  }
  return redactPairValues(pair, rules);
}

/** All of them: readers put together the lists of a value that comes twice. */
function redactPairValues(pair: Buffer, rules: Rules): Buffer {
  return editFields(pair, { [PAIR_VALUE]: (value) => redactAnyValue(value, rules) });
}

/** An AnyValue; lists and maps are looked through. They are as deep as the receiver let through at most. */
function redactAnyValue(value: Buffer, rules: Rules): Buffer {
  if (isScalar(value)) {
    const before = anyValue(value);
    const after = redactValue(before, rules);
    return Object.is(after, before) ? value : Buffer.from(makeValue(after));
  }
  const item: Edit = (inner) => redactAnyValue(inner, rules);
  const inPair: Edit = (pair) => redactPairValues(pair, rules);
  return editFields(value, {
    [VALUE.text]: (text) => {
      const before = text.toString();
      const after = redactValue(before, rules);
      return after === before ? text : Buffer.from(String(after));
    },
    [VALUE.list]: (list) => editFields(list, { [ITEMS]: item }),
    [VALUE.map]: (map) => editFields(map, { [ITEMS]: inPair }),
  });
}

/** A text, a number, a boolean: one field of a number below that of lists. */
function isScalar(value: Buffer): boolean {
  const fields = new Fields(value);
  return fields.next() && fields.number < VALUE.list && fields.end === value.length;
}
