import type { Exporter } from '../exporter/exporter.ts';

/** Spans waiting in one exporter from which on the source should pause. */
const HIGH_SPANS = 4096;
/** An exporter that sent nothing for so long is stuck: it drops, and nobody waits for it. */
const STUCK_MS = 500;
/** An exporter that is full and sent nothing for so long loses spans of applications, rather than that all lose them. */
const HOPELESS_MS = 5000;

/** How the exporters get on. */
export interface Pressure {
  /**
   * An exporter is busy and getting on: the source should pause, for the ring in the kernel holds records more cheaply
   * than an exporter's queue holds spans. An exporter that is stuck holds nobody up. To be called often.
   */
  busy(): boolean;
  /** Whether others should go on without it, as of the last call of `busy`. */
  hopeless(exporter: Exporter): boolean;
}

interface Progress {
  through: number;
  sinceMs: number;
  movedMs: number;
}

/** Of the exporters that there are whenever it is asked. */
export function createPressure(
  exporters: () => Iterable<Exporter>,
  nowMs: () => number = () => performance.now(),
): Pressure {
  const known = new WeakMap<Exporter, Progress>();

  function progressOf(exporter: Exporter): Progress {
    let progress = known.get(exporter);
    if (!progress) {
      progress = { through: -1, sinceMs: 0, movedMs: nowMs() };
      known.set(exporter, progress);
    }
    return progress;
  }

  return {
    busy() {
      let busy = false;
      for (const exporter of exporters()) {
        const last = progressOf(exporter);
        const { exported, waiting: all, stored = 0 } = exporter.stats();
        // What is on disk is out of the way.
        const waiting = all - stored;
        const through = exported + stored;
        const moved = through !== last.through;
        if (moved || waiting <= 0) last.movedMs = nowMs();
        if (moved || waiting < HIGH_SPANS) last.sinceMs = nowMs();
        last.through = through;
        if (waiting >= HIGH_SPANS && nowMs() - last.sinceMs < STUCK_MS) busy = true;
      }
      return busy;
    },
    hopeless(exporter) {
      return nowMs() - progressOf(exporter).movedMs >= HOPELESS_MS;
    },
  };
}
