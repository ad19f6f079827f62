import type { ExporterStats } from './exporter.ts';

/** The counters behind `ExporterStats`: accepted = exported + dropped + waiting, always. */
export class Counts {
  accepted = 0;
  exported = 0;
  dropped = 0;

  get waiting(): number {
    return this.accepted - this.exported - this.dropped;
  }
  stats(name: string): ExporterStats {
    const { accepted, exported, dropped, waiting } = this;
    return { name, accepted, exported, dropped, waiting };
  }
}

/** `1 span`, `2 spans`. */
export function spanCount(count: number): string {
  return `${count} ${count === 1 ? 'span' : 'spans'}`;
}
