import type { Clock } from '../../src/exporter/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until `advance`. */
export interface ManualClock extends Clock {
  /** Moves on, running each timer at its time. */
  advance(ms: number): void;
  /** How many timers are armed. */
  readonly armed: number;
}

export function createManualClock(): ManualClock {
  const timers = new Set<Timer>();
  let nowMs = 0;
  return {
    now: () => nowMs,
    after(ms, callback) {
      const timer = { atMs: nowMs + ms, callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const [next] = [...timers].filter((t) => t.atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = next.atMs;
        next.callback();
      }
      nowMs = endMs;
    },
    get armed() {
      return timers.size;
    },
  };
}
