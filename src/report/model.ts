import type { HrTime } from '../spans/hop-span.ts';
import type { PhaseName } from '../spans/phases.ts';
import { type Count, OTHER } from './bounded.ts';
import type { Buckets } from './buckets.ts';
import type { Durations } from './durations.ts';
import { PHASE_NAMES } from './facts.ts';
import type { InputReport } from './input/source.ts';
import type { ResultSurvey, Survey, SurveyCounts } from './survey.ts';
import { barStart, type Cohort, type EventTally, type ListenerTally, type Tally } from './tally.ts';
import type { Gatherer, Waterfall } from './waterfalls.ts';

/** Nanoseconds. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface CohortModel {
  readonly hops: number;
  /** Means, nanoseconds. */
  readonly totalNs: number;
  readonly restNs: number;
  readonly phases: readonly { readonly phase: PhaseName; readonly ns: number }[];
}

export interface PhaseModel extends Quantiles {
  readonly phase: PhaseName;
  /** By bucket; undefined where no hop had it. */
  readonly overTime: readonly (Quantiles | undefined)[];
}

export interface ListenerModel extends Quantiles {
  readonly name: string;
  /** Of its service's upstreams, those that are listeners of this page, too. */
  readonly next: readonly string[];
  readonly failed: number;
  /** Undefined of those beyond the busiest. */
  readonly charts:
    | {
        readonly typical: CohortModel;
        readonly slow: CohortModel;
        readonly overTime: readonly (Quantiles | undefined)[];
        readonly phases: readonly PhaseModel[];
        readonly histogram: readonly {
          readonly fromNs: number;
          readonly toNs: number;
          readonly count: number;
        }[];
      }
    | undefined;
}

export interface RouteModel extends Quantiles {
  readonly listener: string;
  readonly name: string;
  readonly failed: number;
  /** The phase that took most of the route's time, and its share of all phases' time. */
  readonly longest: { readonly phase: PhaseName; readonly share: number } | undefined;
}

export interface UpstreamModel extends Quantiles {
  readonly service: string;
  readonly name: string;
  readonly failed: number;
}

export interface WorkerModel extends Quantiles {
  readonly service: string;
  readonly pid: string;
  readonly name: string;
  readonly readWait: Quantiles;
}

/** All that the page says, as plain data. */
export interface ReportModel {
  readonly source: string;
  readonly input: InputReport;
  readonly counts: Readonly<SurveyCounts>;
  readonly all: Quantiles;
  readonly range: { readonly start: HrTime; readonly end: HrTime } | undefined;
  readonly buckets: Pick<Buckets, 'start' | 'widthNs' | 'count'> | undefined;
  readonly hopsOverTime: readonly number[];
  readonly results: readonly (ResultSurvey & { readonly overTime: readonly number[] })[];
  readonly proxies: readonly {
    readonly name: string;
    readonly hops: number;
    readonly about: readonly string[];
  }[];
  readonly statuses: readonly Count[];
  readonly pairings: readonly Count[];
  readonly closes: readonly Count[];
  readonly applications: readonly Count[];
  readonly listeners: readonly ListenerModel[];
  readonly routes: readonly RouteModel[];
  readonly upstreams: readonly UpstreamModel[];
  readonly workers: readonly WorkerModel[];
  readonly waterfalls: readonly Waterfall[];
  readonly events: readonly EventTally[];
  readonly eventsLeftOut: number;
  readonly eventNames: readonly Count[];
}

export interface Collected {
  readonly source: string;
  readonly input: InputReport;
  readonly survey: Survey;
  readonly buckets: Buckets | undefined;
  readonly tally: Tally | undefined;
  readonly gatherer: Gatherer;
}

export function modelOf({ source, input, survey, buckets, tally, gatherer }: Collected): ReportModel {
  return {
    ...{ source, input, counts: survey.counts, all: quantilesOf(survey.durations), range: survey.range() },
    buckets: buckets && { start: buckets.start, widthNs: buckets.widthNs, count: buckets.count },
    hopsOverTime: tally?.hops ?? [],
    results: survey.results
      .values()
      .map((result) => ({ ...result, overTime: tally?.results.get(result.name) ?? [] }))
      .sort((a, b) => Number(b.name === 'ok') - Number(a.name === 'ok') || b.count - a.count),
    proxies: survey.proxies.values().sort((a, b) => b.hops - a.hops),
    statuses: survey.statuses.sorted(),
    pairings: survey.pairings.sorted(),
    closes: survey.closes.sorted(),
    applications: survey.applications.sorted(),
    listeners: survey.busiest().map(({ name, service, durations, failed }) => ({
      ...quantilesOf(durations),
      ...{
        name,
        failed,
        next: nextOf(service, survey),
        charts: chartsOf(tally?.listeners.get(name), buckets?.count ?? 0),
      },
    })),
    routes: survey.routes
      .values()
      .map((route) => ({
        ...quantilesOf(route.durations),
        ...{
          listener: route.listener,
          name: route.name,
          failed: route.failed,
          longest: longestOf(route.phases),
        },
      }))
      .sort(byCount),
    upstreams: survey.upstreams
      .values()
      .map(({ service, name, failed, durations }) => ({ ...quantilesOf(durations), service, name, failed }))
      .sort(byCount),
    workers: survey.workers
      .values()
      .map(({ service, pid, name, durations, readWait }) => ({
        ...quantilesOf(durations),
        ...{ service, pid, name, readWait: quantilesOf(readWait) },
      }))
      .sort((a, b) => a.service.localeCompare(b.service) || byCount(a, b)),
    waterfalls: gatherer.waterfalls(),
    events: tally?.events() ?? [],
    eventsLeftOut: tally?.eventsLeftOut() ?? 0,
    eventNames: survey.events.sorted(),
  };
}

function nextOf(service: string, survey: Survey): string[] {
  const upstreams = new Set(
    survey.upstreams.values().flatMap((upstream) => (upstream.service === service ? upstream.name : [])),
  );
  return survey.listeners
    .values()
    .filter(({ addresses }) => [...addresses].some((address) => upstreams.has(address)))
    .map(({ name }) => name);
}

function byCount(a: { name: string; count: number }, b: { name: string; count: number }): number {
  return Number(a.name === OTHER) - Number(b.name === OTHER) || b.count - a.count;
}

export function quantilesOf(durations: Durations): Quantiles {
  const { count, max } = durations;
  return { count, p50: durations.quantile(0.5), p99: durations.quantile(0.99), max };
}

function chartsOf(tally: ListenerTally | undefined, buckets: number): ListenerModel['charts'] {
  if (!tally) return undefined;
  const overTime = (list: readonly (Durations | undefined)[]): (Quantiles | undefined)[] =>
    Array.from({ length: buckets }, (_, index) => list[index] && quantilesOf(list[index]));
  const bars = [...tally.histogram.keys()];
  const [first, last] = [Math.min(...bars), Math.max(...bars)];
  return {
    ...{ typical: meansOf(tally.typical), slow: meansOf(tally.slow) },
    overTime: overTime(tally.hopsOverTime),
    phases: PHASE_NAMES.flatMap((phase) => {
      const all = tally.phases.get(phase);
      const list = tally.phasesOverTime.get(phase);
      return all && list ? [{ phase, ...quantilesOf(all), overTime: overTime(list) }] : [];
    }),
    histogram: Array.from({ length: bars.length === 0 ? 0 : last - first + 1 }, (_, index) => ({
      ...{ fromNs: barStart(first + index), toNs: barStart(first + index + 1) },
      count: tally.histogram.get(first + index) ?? 0,
    })),
  };
}

function meansOf({ hops, totalNs, restNs, phases }: Cohort): CohortModel {
  const mean = (sum: number): number => (hops === 0 ? 0 : sum / hops);
  return {
    ...{ hops, totalNs: mean(totalNs), restNs: mean(restNs) },
    phases: PHASE_NAMES.flatMap((phase) => {
      const sum = phases.get(phase);
      return sum === undefined ? [] : [{ phase, ns: mean(sum) }];
    }),
  };
}

function longestOf(phases: ReadonlyMap<PhaseName, number>): RouteModel['longest'] {
  let total = 0;
  let longest: [PhaseName, number] | undefined;
  for (const [phase, ns] of phases) {
    total += ns;
    if (ns > (longest?.[1] ?? 0)) longest = [phase, ns];
  }
  return longest && { phase: longest[0], share: longest[1] / total };
}
