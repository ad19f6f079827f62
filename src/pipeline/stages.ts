import { isDeepStrictEqual } from 'node:util';
import type { ProcessorConfig } from '../config/types.ts';
import { createProcessor } from '../processor/create.ts';
import type { Processor } from '../processor/processor.ts';

type Counts = Readonly<Record<string, number>>;

/** A processor in its place in a pipeline. */
export interface Stage {
  readonly config: ProcessorConfig;
  readonly processor: Processor;
  /** What the ones before it in this place have counted. */
  past: Counts;
}

/**
 * The stages of a pipeline by its new configuration. Those that are configured as before are the same ones, with all that
 * they hold, as long as they follow one another as before: what a stage holds must not miss one that came to stand before
 * it.
 */
export function arrangeStages(
  before: readonly Stage[],
  configs: readonly ProcessorConfig[],
  create: (config: ProcessorConfig) => Processor = createProcessor,
): Stage[] {
  let from = 0;
  return configs.map((config) => {
    const at = before.findIndex((stage, index) => index >= from && isDeepStrictEqual(stage.config, config));
    const kept = before[at];
    if (!kept) return { config, processor: create(config), past: {} };
    from = at + 1;
    return kept;
  });
}

/** Since hopspan's start, so that no counter goes back at a replacement. */
export function countsOf({ config, processor, past }: Stage): Counts {
  if (config.type === 'resourcedetection') return processor.stats;
  const sums: Record<string, number> = { ...past };
  for (const [key, count] of Object.entries(processor.stats)) sums[key] = (sums[key] ?? 0) + count;
  return sums;
}
