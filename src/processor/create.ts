import type { ProcessorConfig } from '../config/types.ts';
import { createHopParent } from './hop-parent.ts';
import type { Processor } from './processor.ts';

/** Makes the processor that a configuration names; each pipeline has its own. */
export function createProcessor(config: ProcessorConfig): Processor {
  return createHopParent(config);
}
