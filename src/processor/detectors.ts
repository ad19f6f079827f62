import type { Attributes, AttributeValue } from '../spans/hop-span.ts';
import type { DetectorName } from './resource-detection.ts';

/** By OpenTelemetry's own detectors, which are loaded only here. */
export async function detectResource(detector: DetectorName): Promise<Attributes> {
  const { envDetector, hostDetector, osDetector } = await import('@opentelemetry/resources');
  const detectors = { env: [envDetector], system: [hostDetector, osDetector] }[detector];
  const pairs: [string, AttributeValue][] = [];
  for (const { attributes = {} } of detectors.map((each) => each.detect())) {
    for (const [key, promised] of Object.entries(attributes)) {
      const value = await promised;
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
        pairs.push([key, value]);
    }
  }
  return Object.fromEntries(pairs);
}
