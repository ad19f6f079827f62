/** How often the configuration was read anew, and with what success; as Prometheus tells it of itself. */
export interface ReloadStats {
  succeeded: number;
  failed: number;
  /** Whether the last one was; true before the first. */
  lastSuccessful: boolean;
  /** When a configuration was put in force last, the start's among them. Seconds since the epoch. */
  lastSuccessS: number;
}

export function createReloadStats(nowMs: () => number = Date.now): {
  readonly stats: Readonly<ReloadStats>;
  note(successful: boolean): void;
} {
  const stats: ReloadStats = { succeeded: 0, failed: 0, lastSuccessful: true, lastSuccessS: nowMs() / 1000 };
  return {
    stats,
    note(successful) {
      stats.lastSuccessful = successful;
      if (successful) {
        stats.succeeded++;
        stats.lastSuccessS = nowMs() / 1000;
      } else stats.failed++;
    },
  };
}
