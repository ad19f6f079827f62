import type { ExporterStats } from './exporter.ts';

/** The counters behind `ExporterStats`: accepted = exported + dropped + waiting, always. */
export class Counts {
  accepted = 0;
  exported = 0;
  dropped = 0;

  get waiting(): number {
    return this.accepted - this.exported - this.dropped;
  }
  /** Whether a queue has room; more than it holds at all would never find any. Those that are `stored` take none. */
  hasRoom(count: number, queueSize: number, stored = 0): boolean {
    const waiting = this.waiting - stored;
    return waiting <= 0 || waiting + count <= queueSize;
  }
  stats(name: string): ExporterStats {
    const { accepted, exported, dropped, waiting } = this;
    return { name, accepted, exported, dropped, waiting };
  }
}

/** Bytes of applications' spans that may wait in one exporter; there is no bound to the length of one. */
export const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** `1 span`, `2 spans`. */
export function spanCount(count: number): string {
  return `${count} ${count === 1 ? 'span' : 'spans'}`;
}
