import type { DurationHistogram } from './histogram.ts';
import type { MetricName } from './metric-table.ts';

/** What tells the series of a metric apart. */
export type Labels = Readonly<Record<string, string | number | boolean>>;

export interface Point<T> {
  readonly labels: Labels;
  readonly value: T;
}

/** One metric and all of its series; counts since the start. */
export type MetricFamily =
  | {
      readonly name: MetricName;
      readonly kind: 'histogram';
      readonly points: readonly Point<DurationHistogram>[];
    }
  | { readonly name: MetricName; readonly kind: 'counter'; readonly points: readonly Point<number>[] };
