import type { z } from 'zod';
import { ConditionError, parseCondition } from '../processor/condition.ts';
import { buildTailSampling } from './build-tail-sampling.ts';
import { type Check, mistakeAtKey, mistakeAtValue, type Path, pathName } from './check.ts';
import type { Component } from './components.ts';
import { didYouMean, found } from './mistakes.ts';
import type { PROCESSORS } from './schema-processors.ts';
import type { ProcessorConfig } from './types.ts';

type Schemas = typeof PROCESSORS;
type Parsed<T extends keyof Schemas> = z.infer<Schemas[T]>;
export type ProcessorComponent = { [T in keyof Schemas]: Component<T, Parsed<T>> }[keyof Schemas];

/** Notes what is wrong between keys; the result counts only where nothing was noted. */
export function buildProcessor(check: Check, component: ProcessorComponent): ProcessorConfig {
  const { type, name } = component;
  const path = ['processors', name];
  switch (type) {
    case 'hop_parent': {
      const { wait, remember, max_spans } = component.parsed;
      return { type, name, waitMs: wait, rememberMs: remember, maxSpans: max_spans };
    }
    case 'tail_sampling':
      return { type, name, ...buildTailSampling(check, path, component.parsed) };
    case 'filter': {
      const conditions = component.parsed.traces.span ?? [];
      checkConditions(check, [...path, 'traces', 'span'], conditions);
      return { type, name, conditions };
    }
  }
}

/** Notes those that cannot be read, each at its place, with the character from which on. */
function checkConditions(check: Check, path: Path, conditions: readonly string[]): void {
  if (conditions.length === 0)
    mistakeAtKey(check, path, `found no condition in ${pathName(path)}, expected at least one`);
  for (const [index, text] of conditions.entries()) {
    try {
      parseCondition(text);
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
      const at = [...path, index];
      const expected = `${error.message}, at character ${error.at + 1}${didYouMean(error.word, error.candidates)}`;
      mistakeAtValue(check, at, `found ${found(text)} for ${pathName(at)}, expected ${expected}`);
    }
  }
}
