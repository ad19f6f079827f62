import type { PipelineSpan } from '../spans/foreign-span.ts';
import type { AttributeValue } from '../spans/hop-span.ts';
import { type AttributeBag, openBag } from './attribute-bag.ts';
import { compilePattern } from './pattern.ts';
import type { Processor } from './processor.ts';

/** One change of spans' attributes, in the shape of the Collector's `attributes`. */
export type AttributeAction =
  | {
      readonly action: 'insert' | 'update' | 'upsert';
      readonly key: string;
      readonly from: { readonly value: AttributeValue } | { readonly attribute: string };
    }
  | {
      readonly action: 'delete' | 'hash';
      /** At least one of the two is there. */
      readonly key?: string;
      /** Of names; one that `compilePattern` takes. */
      readonly pattern?: string;
    };

export interface AttributesOptions {
  /** Done in this order, each on what the one before left. */
  readonly actions: readonly AttributeAction[];
}

/** Since the start. */
export type AttributesStats = { changedSpans: number };

type Act = (bag: AttributeBag) => void;

/** Changes attributes of spans; of applications' spans everything else stays byte for byte. */
export function createAttributes(options: AttributesOptions): Processor {
  const stats: AttributesStats = { changedSpans: 0 };
  const acts = options.actions.map(createAct);
  const change = (span: PipelineSpan): PipelineSpan => {
    const bag = openBag(span);
    for (const act of acts) act(bag);
    const changed = bag.finish();
    if (changed !== span) stats.changedSpans++;
    return changed;
  };
  return {
    stats,
    process: (spans) => spans.map(change),
    advance: () => [],
    flush: () => [],
    held: () => 0,
  };
}

function createAct(action: AttributeAction): Act {
  switch (action.action) {
    case 'insert':
    case 'update':
    case 'upsert': {
      const { key, from, action: when } = action;
      return (bag) => {
        if (when !== 'upsert' && bag.has(key) !== (when === 'update')) return;
        if ('value' in from) bag.set(key, from.value);
        else bag.copy(from.attribute, key);
      };
    }
    case 'delete':
    case 'hash': {
      const { key, action: what } = action;
      const pattern = action.pattern === undefined ? undefined : compilePattern(action.pattern);
      return (bag) => {
        if (key !== undefined) bag[what](key);
        if (!pattern) return;
        for (const name of bag.keys()) if (name !== key && pattern.test(name)) bag[what](name);
      };
    }
  }
}
