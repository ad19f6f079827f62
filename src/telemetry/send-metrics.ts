import type { OnSent } from '../exporter/exporter.ts';
import { type Buckets, createHistogram, type DurationHistogram, recordDuration } from './histogram.ts';
import type { MetricFamily } from './metric-family.ts';

const NS_PER_MS = 1e6;

/** How long requests to backends took. */
export interface SendMetrics {
  readonly onSent: OnSent;
  families(): MetricFamily[];
}

export function createSendMetrics(buckets: Buckets): SendMetrics {
  const byExporter = new Map<string, DurationHistogram>();
  return {
    onSent(exporter, durationMs) {
      const histogram = byExporter.get(exporter) ?? createHistogram(buckets);
      byExporter.set(exporter, histogram);
      recordDuration(histogram, durationMs * NS_PER_MS);
    },
    families() {
      const points = [...byExporter].map(([exporter, value]) => ({ labels: { exporter }, value }));
      return points.length > 0 ? [{ name: 'hopspan.exporter.send.duration', kind: 'histogram', points }] : [];
    },
  };
}
