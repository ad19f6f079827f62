import { availableMemory } from '../processor/memory.ts';
import type { MemoryLimiterOptions } from '../processor/memory-limiter.ts';
import { type Check, mistakeAtKey, type Path, pathName } from './check.ts';
import type { ParsedMemoryLimiter } from './schema-processors.ts';

const MIB = 1024 * 1024;
/** The Collector's. */
const DEFAULT_SPIKE = 0.2;

/** Notes what is wrong between keys; the result counts only where nothing was noted. */
export function buildMemoryLimiter(
  check: Check,
  path: Path,
  parsed: ParsedMemoryLimiter,
): MemoryLimiterOptions {
  const bytes = (mib: number | undefined, percentage: number | undefined): number | undefined => {
    if (mib !== undefined) return mib * MIB;
    return percentage === undefined ? undefined : Math.floor((availableMemory() * percentage) / 100);
  };
  const limit = bytes(parsed.limit_mib, parsed.limit_percentage);
  if (limit === undefined)
    mistakeAtKey(check, path, `found no limit in ${pathName(path)}, expected limit_mib or limit_percentage`);
  const limitBytes = limit ?? 0;
  const spike = bytes(parsed.spike_limit_mib, parsed.spike_limit_percentage);
  const spikeLimitBytes = spike ?? Math.floor(limitBytes * DEFAULT_SPIKE);
  if (limit !== undefined && spikeLimitBytes >= limitBytes) {
    const key = parsed.spike_limit_mib === undefined ? 'spike_limit_percentage' : 'spike_limit_mib';
    const at = [...path, key];
    mistakeAtKey(check, at, `found a ${key} that is not below the limit in ${pathName(path)}, expected less`);
  }
  return {
    checkIntervalMs: parsed.check_interval,
    limitBytes,
    spikeLimitBytes,
    minGcIntervalSoftMs: parsed.min_gc_interval_when_soft_limited,
    minGcIntervalHardMs: parsed.min_gc_interval_when_hard_limited,
  };
}
