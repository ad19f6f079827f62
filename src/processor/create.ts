import type { ProcessorConfig } from '../config/types.ts';
import { createAttributes } from './attributes.ts';
import { createBatch } from './batch.ts';
import { detectResource } from './detectors.ts';
import { createFilter } from './filter.ts';
import { createHopParent } from './hop-parent.ts';
import { processMemory } from './memory.ts';
import { createMemoryLimiter } from './memory-limiter.ts';
import { createProbabilisticSampler } from './probabilistic-sampler.ts';
import type { Processor } from './processor.ts';
import { createRedaction } from './redaction.ts';
import { createResourceDetection } from './resource-detection.ts';
import { createTailSampling } from './tail-sampling.ts';

/** Makes the processor that a configuration names; each pipeline has its own. */
export function createProcessor(config: ProcessorConfig): Processor {
  switch (config.type) {
    case 'hop_parent':
      return createHopParent(config);
    case 'tail_sampling':
      return createTailSampling(config);
    case 'filter':
      return createFilter(config);
    case 'attributes':
      return createAttributes(config);
    case 'probabilistic_sampler':
      return createProbabilisticSampler(config);
    case 'memory_limiter':
      return createMemoryLimiter(config, processMemory());
    case 'batch':
      return createBatch(config);
    case 'resourcedetection':
      return createResourceDetection(config, detectResource);
    case 'redaction':
      return createRedaction(config);
  }
}
