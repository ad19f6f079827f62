import { totalmem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Memory } from './memory-limiter.ts';

/** The memory of this process that spans take: JavaScript's heap, and buffers outside of it. */
export function processMemory(): Memory {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  return {
    used() {
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    },
    collect,
  };
}

/** Bytes that this process may take: of its cgroup, where that has a limit, else of the machine. */
export function availableMemory(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}
