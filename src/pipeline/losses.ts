import type { Losses } from '../receiver/ebpf.ts';
import type { Logger } from '../telemetry/log.ts';

/** Between two looks at the counters. */
export const LOOK_EVERY_MS = 1000;
/** Between two warnings of one cause. */
export const WARN_EVERY_MS = 60_000;

const CAUSES: Readonly<Record<keyof Losses, string>> = {
  ringFull:
    'exchanges are lost: the ring between kernel and hopspan was full; raise ring_buffer_bytes, or leave hopspan more processor time',
  tableFull: 'connections are not watched: more than max_connections are open',
  storageFailed: 'connections are not watched: the kernel had no memory for them',
  targetsFull: 'processes are not watched: more than 4096 belong to the targets',
  pairConflicts: 'evidence that named a connection which has its pair already was not believed',
  sampleMismatches: 'evidence of a buffer that held other bytes by then was not believed',
  freezesFull: 'freezes of processes are not told: more than 4096 are under way',
  networkEventsLost:
    'changes of the network are not told: there were more at once than are read, or than the kernel keeps',
  undrained: 'exchanges are lost: they were still in the ring at the end',
  turnsRefused:
    'exchanges of a proxy that ends TLS stay unpaired: its turns cannot be counted; run "hopspan doctor"',
};

/** Says while hopspan runs what its probes count as lost: one line for each cause, at most once a minute. */
export interface LossWarnings {
  look(counters: Losses): void;
}

export function createLossWarnings(
  log: Pick<Logger, 'warn'>,
  nowMs: () => number = () => performance.now(),
): LossWarnings {
  const told = new Map<string, { count: number; atMs: number }>();
  return {
    look(counters) {
      for (const [cause, meaning] of Object.entries(CAUSES)) {
        const count = counters[cause as keyof Losses];
        const last = told.get(cause);
        if (count === (last?.count ?? 0) || (last && nowMs() - last.atMs < WARN_EVERY_MS)) continue;
        told.set(cause, { count, atMs: nowMs() });
        log.warn({ [cause]: count }, meaning);
      }
    },
  };
}
