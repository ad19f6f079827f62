import type { z } from 'zod';
import type { AttributeAction } from '../processor/attributes.ts';
import { ConditionError, parseCondition } from '../processor/condition.ts';
import { buildMemoryLimiter } from './build-memory-limiter.ts';
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
    case 'attributes':
      return {
        type,
        name,
        actions: buildActions(check, [...path, 'actions'], component.parsed.actions ?? []),
      };
    case 'probabilistic_sampler': {
      const { sampling_percentage: percent, sampling_precision: precision } = component.parsed;
      return { type, name, percent, precision };
    }
    case 'memory_limiter':
      return { type, name, ...buildMemoryLimiter(check, path, component.parsed) };
    case 'batch': {
      const { timeout: timeoutMs, send_batch_size: sendBatchSize } = component.parsed;
      return { type, name, timeoutMs, sendBatchSize };
    }
    case 'resourcedetection': {
      const { detectors, timeout: timeoutMs, override } = component.parsed;
      return { type, name, detectors: detectors ?? ['env'], timeoutMs, override };
    }
    case 'redaction': {
      const { parsed } = component;
      return {
        type,
        name,
        allowAllKeys: parsed.allow_all_keys,
        allowedKeys: parsed.allowed_keys ?? [],
        ignoredKeys: parsed.ignored_keys ?? [],
        blockedKeyPatterns: parsed.blocked_key_patterns ?? [],
        blockedValues: parsed.blocked_values ?? [],
        allowedValues: parsed.allowed_values ?? [],
        redactAllTypes: parsed.redact_all_types,
      };
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

type ParsedAction = NonNullable<Parsed<'attributes'>['actions']>[number];

function buildActions(check: Check, path: Path, actions: readonly ParsedAction[]): AttributeAction[] {
  if (actions.length === 0)
    mistakeAtKey(check, path, `found no action in ${pathName(path)}, expected at least one`);
  return actions.flatMap((action, index) => buildAction(check, [...path, index], action) ?? []);
}

/** Undefined where keys are missing or do not belong together; that is noted. */
function buildAction(check: Check, path: Path, parsed: ParsedAction): AttributeAction | undefined {
  const { action, key, pattern, value, from_attribute: attribute } = parsed;
  const refuse = (what: string, expected: string): undefined =>
    mistakeAtKey(check, path, `found ${what} in ${pathName(path)}, expected ${expected}`) as undefined;
  if (action === 'delete' || action === 'hash') {
    if (value !== undefined || attribute !== undefined)
      return refuse(`a value for ${action}`, 'key or pattern only');
    if (key === undefined && pattern === undefined) return refuse('no key', 'key or pattern');
    const named = key === undefined ? {} : { key };
    return { action, ...named, ...(pattern === undefined ? {} : { pattern }) };
  }
  if (pattern !== undefined) return refuse(`a pattern for ${action}`, 'key with value or from_attribute');
  if (key === undefined) return refuse('no key', 'key with value or from_attribute');
  if ((value === undefined) === (attribute === undefined))
    return refuse(
      value === undefined ? 'no value' : 'value and from_attribute',
      'one of value and from_attribute',
    );
  return { action, key, from: value === undefined ? { attribute: attribute ?? '' } : { value } };
}
