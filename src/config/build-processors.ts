import type { z } from 'zod';
import { buildTailSampling } from './build-tail-sampling.ts';
import type { Check } from './check.ts';
import type { Component } from './components.ts';
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
  }
}
