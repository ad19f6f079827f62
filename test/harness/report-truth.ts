import type { FileSpan } from './hopspan.ts';
import { hopsOf } from './hopspan.ts';

/** What a report must say of some spans, counted without the report's own code. */
export interface ReportTruth {
  readonly hops: number;
  readonly failed: number;
  readonly byOutcome: ReadonlyMap<string, number>;
  readonly byListener: ReadonlyMap<string, readonly number[]>;
  readonly byUpstream: ReadonlyMap<string, number>;
  readonly byWorker: ReadonlyMap<string, number>;
  /** Nanoseconds, the longest last. */
  readonly durations: readonly number[];
  readonly byPhase: (listener: string, phase: string) => number[];
}

export function reportTruth(spans: readonly FileSpan[]): ReportTruth {
  const { hops } = hopsOf(spans);
  const upstreams = spans.filter(
    ({ kind, name }) => kind === 'CLIENT' && !name.startsWith('tcp connection '),
  );
  const listenerOf = ({ service, attributes }: FileSpan): string =>
    `${service} :${attributes['server.port']}`;
  const nsOf = ({ startNs, endNs }: FileSpan): number => Number(endNs - startNs);
  const sizes = (groups: ReadonlyMap<string, readonly unknown[]>): Map<string, number> =>
    new Map([...groups].map(([key, list]) => [key, list.length]));
  const byListener = Map.groupBy(hops, ({ hop }) => listenerOf(hop));
  return {
    hops: hops.length,
    failed: hops.filter(({ hop }) => hop.attributes['error.type'] !== undefined).length,
    byOutcome: sizes(Map.groupBy(hops, ({ hop }) => String(hop.attributes['hopspan.outcome']))),
    byListener: new Map([...byListener].map(([key, list]) => [key, list.map(({ hop }) => nsOf(hop))])),
    byUpstream: sizes(Map.groupBy(upstreams, ({ attributes }) => String(attributes['peer.service']))),
    byWorker: sizes(
      Map.groupBy(hops, ({ hop }) => `${hop.service} ${hop.pid} ${hop.attributes['hopspan.worker']}`),
    ),
    durations: hops.map(({ hop }) => nsOf(hop)).sort((a, b) => a - b),
    byPhase: (listener, phase) =>
      (byListener.get(listener) ?? []).flatMap(({ phases }) => {
        const span = phases.get(phase);
        return span ? [nsOf(span)] : [];
      }),
  };
}

/** The smallest value that the share `q` of all does not exceed. */
export function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)] ?? 0;
}
