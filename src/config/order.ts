import type { Policy } from '../processor/policies.ts';
import type { AttributeName } from '../spans/attributes.ts';
import { type Check, warnAtValue } from './check.ts';
import { found } from './mistakes.ts';
import type { PipelineConfig, ProcessorConfig } from './types.ts';

/** Of a hop's CLIENT span, by which `hop_parent` knows the connection. */
const CONNECTION: readonly AttributeName[] = ['network.local.address', 'network.local.port'];

/** What is wrong with `later` behind `earlier` in one pipeline; undefined where nothing is. */
type Objection = (earlier: ProcessorConfig, later: ProcessorConfig) => string | undefined;

const OBJECTIONS: readonly Objection[] = [
  (earlier, later) =>
    earlier.type === 'batch' && later.type !== 'batch'
      ? `${later.name} takes apart what ${earlier.name} put together; put ${earlier.name} last`
      : undefined,
  (earlier, later) =>
    isSampler(earlier) && later.type === 'tail_sampling'
      ? `${later.name} sees only what ${earlier.name} left, so errors and slow traces are lost; leave one of them out`
      : undefined,
  (earlier, later) =>
    earlier.type === 'tail_sampling' && isSampler(later)
      ? `${later.name} drops a part of what ${earlier.name} kept for a reason; put its percentage among the policies`
      : undefined,
  (earlier, later) =>
    earlier.type === 'redaction' && later.type === 'attributes' && adds(later)
      ? `${earlier.name} does not look at what ${later.name} adds behind it; put ${earlier.name} behind ${later.name}`
      : undefined,
  (earlier, later) => {
    const missing = later.type === 'hop_parent' ? CONNECTION.find((key) => removes(earlier, key)) : undefined;
    return missing && `${earlier.name} removes ${missing}, by which ${later.name} decides; put it behind`;
  },
  (earlier, later) => {
    const keys = later.type === 'tail_sampling' ? later.policies.flatMap(keysOf) : [];
    const missing = keys.find((key) => removes(earlier, key));
    return missing && `${earlier.name} removes ${missing}, by which ${later.name} decides; put it behind`;
  },
];

/** Warns of processors that stand in an order that undoes what one of them is for. */
export function warnOfOrder(
  check: Check,
  pipelines: readonly PipelineConfig[],
  processors: readonly ProcessorConfig[],
): void {
  const byName = new Map(processors.map((processor) => [processor.name, processor]));
  for (const { name, processors: names } of pipelines) {
    for (const [index, laterName] of names.entries()) {
      const later = byName.get(laterName);
      for (const earlierName of names.slice(0, index)) {
        const earlier = byName.get(earlierName);
        if (!earlier || !later) continue;
        const text = OBJECTIONS.map((objection) => objection(earlier, later)).find((each) => each);
        const path = ['service', 'pipelines', name, 'processors', String(index)];
        if (text)
          warnAtValue(check, path, `the order of ${found(earlierName)} and ${found(laterName)}: ${text}`);
      }
    }
  }
}

/** One that keeps everything only marks it. */
function isSampler(processor: ProcessorConfig): boolean {
  return processor.type === 'probabilistic_sampler' && processor.percent < 100;
}

function adds({ actions }: ProcessorConfig & { type: 'attributes' }): boolean {
  return actions.some(({ action }) => action !== 'delete' && action !== 'hash');
}

function removes(processor: ProcessorConfig, key: string): boolean {
  if (processor.type === 'redaction')
    return !processor.allowAllKeys && ![...processor.allowedKeys, ...processor.ignoredKeys].includes(key);
  return (
    processor.type === 'attributes' &&
    processor.actions.some((each) => each.action === 'delete' && each.key === key)
  );
}

function keysOf(policy: Policy): string[] {
  switch (policy.type) {
    case 'string_attribute':
    case 'numeric_attribute':
    case 'boolean_attribute':
      return [policy.key];
    case 'and':
      return policy.policies.flatMap(keysOf);
    default:
      return [];
  }
}
