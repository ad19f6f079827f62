import type { Exporter } from '../exporter/exporter.ts';

/** Spans waiting in one exporter from which on the source should pause. */
const HIGH_SPANS = 4096;
/** An exporter that sent nothing for so long is stuck: it drops, and nobody waits for it. */
const STUCK_MS = 500;

/**
 * Tells a source to pause while an exporter is busy and getting on: the ring in the kernel holds records more
 * cheaply than an exporter's queue holds spans. An exporter that is stuck holds nobody up.
 */
export function createPressure(
  exporters: readonly Exporter[],
  nowMs: () => number = () => performance.now(),
): () => boolean {
  const progress = new Map(exporters.map((exporter) => [exporter, { through: -1, sinceMs: 0 }]));
  return () => {
    let busy = false;
    for (const [exporter, last] of progress) {
      const { exported, waiting: all, stored = 0 } = exporter.stats();
      // What is on disk is out of the way.
      const waiting = all - stored;
      const through = exported + stored;
      if (through !== last.through || waiting < HIGH_SPANS) {
        last.through = through;
        last.sinceMs = nowMs();
      }
      if (waiting >= HIGH_SPANS && nowMs() - last.sinceMs < STUCK_MS) busy = true;
    }
    return busy;
  };
}
