import { elapsedNs, type HopSpan, type HrTime } from '../spans/hop-span.ts';
import type { PhaseName } from '../spans/phases.ts';
import { Bounded, OTHER } from './bounded.ts';
import type { Buckets } from './buckets.ts';
import { Durations } from './durations.ts';
import { type HopFacts, hopFacts, roleOf, serviceName, short } from './facts.ts';
import type { ListenerSurvey } from './survey.ts';

/** Listeners whose phases are told over time. */
export const CHARTED = 6;
const MAX_RESULTS = 12;
const MAX_EVENTS = 200;
/** Bars of a histogram to each power of ten. */
export const BARS_PER_DECADE = 5;

/** Hops of a listener that are alike in their duration, and their mean time in each phase. */
export interface Cohort {
  hops: number;
  totalNs: number;
  /** Time that lies in no phase. */
  restNs: number;
  readonly phases: Map<PhaseName, number>;
}

export interface ListenerTally {
  readonly name: string;
  /** Up to the median, and the slowest 1 %, at least one. */
  readonly typical: Cohort;
  readonly slow: Cohort;
  readonly phases: Map<PhaseName, Durations>;
  /** By bucket. */
  readonly hopsOverTime: (Durations | undefined)[];
  readonly phasesOverTime: Map<PhaseName, (Durations | undefined)[]>;
  /** Hops by the number of their bar: floor(5 log10(ns)). */
  readonly histogram: Map<number, number>;
}

export interface EventTally {
  readonly time: HrTime;
  readonly name: string;
  readonly service: string;
  readonly about: string;
  /** Spans that it stands on. */
  spans: number;
}

/** What a second pass tells, once the range and the quantiles are known. Bounded, too. */
export interface Tally {
  add(spans: readonly HopSpan[]): void;
  readonly listeners: ReadonlyMap<string, ListenerTally>;
  /** By bucket, hops of each result. */
  readonly results: Bounded<number[]>;
  readonly hops: readonly number[];
  /** Of the host and of applications, each once, however many spans it stands on. */
  readonly events: () => EventTally[];
  readonly eventsLeftOut: () => number;
}

export function createTally(buckets: Buckets, busiest: readonly ListenerSurvey[]): Tally {
  const charted = busiest.filter(({ name }) => name !== OTHER).slice(0, CHARTED);
  const limits = new Map(
    charted.map(({ name, durations }) => [
      name,
      { median: durations.quantile(0.5), slow: durations.floor(0.99) },
    ]),
  );
  const listeners = new Map(charted.map(({ name }) => [name, emptyListener(name)]));
  const hops = Array.from({ length: buckets.count }, () => 0);
  const results = new Bounded(MAX_RESULTS, () => Array.from({ length: buckets.count }, () => 0));
  const events = new Map<string, EventTally>();
  let leftOut = 0;

  function addHop({ span, listener, durationNs, phases, result }: HopFacts): void {
    const bucket = buckets.indexOf(span.start);
    hops[bucket] = (hops[bucket] ?? 0) + 1;
    const ofResult = results.of(result);
    ofResult[bucket] = (ofResult[bucket] ?? 0) + 1;
    const tally = listeners.get(listener);
    const limit = limits.get(listener);
    if (!tally || !limit) return;
    const bar = barOf(durationNs);
    tally.histogram.set(bar, (tally.histogram.get(bar) ?? 0) + 1);
    at(tally.hopsOverTime, bucket).add(durationNs);
    if (durationNs <= limit.median) addTo(tally.typical, durationNs, phases);
    if (durationNs >= limit.slow) addTo(tally.slow, durationNs, phases);
    for (const [name, ns] of phases) {
      let all = tally.phases.get(name);
      let overTime = tally.phasesOverTime.get(name);
      if (!all || !overTime) {
        all = new Durations();
        overTime = [];
        tally.phases.set(name, all);
        tally.phasesOverTime.set(name, overTime);
      }
      all.add(ns);
      at(overTime, bucket).add(ns);
    }
  }

  return {
    ...{ listeners, results, hops },
    events: () => [...events.values()].sort((a, b) => elapsedNs(b.time, a.time)),
    eventsLeftOut: () => leftOut,
    add(spans) {
      for (const span of spans) {
        if (roleOf(span) === 'hop') addHop(hopFacts(span));
        for (const { name, time, attributes } of span.events) {
          const about = Object.entries(attributes).map(([key, value]) => `${key}=${value}`);
          const said = { name: short(name), about: short(about.join(', '), 300) };
          const key = JSON.stringify([time, said]);
          const known = events.get(key);
          if (known) known.spans++;
          else if (events.size >= MAX_EVENTS) leftOut++;
          else events.set(key, { time, service: serviceName(span), ...said, spans: 1 });
        }
      }
    },
  };
}

export function barOf(ns: number): number {
  return Math.floor(Math.log10(Math.max(1, ns)) * BARS_PER_DECADE + 1e-9);
}

/** Nanoseconds at which a bar begins. */
export const barStart = (bar: number): number => 10 ** (bar / BARS_PER_DECADE);

const emptyCohort = (): Cohort => ({ hops: 0, totalNs: 0, restNs: 0, phases: new Map() });

function emptyListener(name: string): ListenerTally {
  return {
    ...{ name, typical: emptyCohort(), slow: emptyCohort() },
    ...{ phases: new Map(), hopsOverTime: [], phasesOverTime: new Map(), histogram: new Map() },
  };
}

function addTo(cohort: Cohort, totalNs: number, phases: HopFacts['phases']): void {
  let inPhases = 0;
  cohort.hops++;
  cohort.totalNs += totalNs;
  for (const [name, ns] of phases) {
    inPhases += ns;
    cohort.phases.set(name, (cohort.phases.get(name) ?? 0) + ns);
  }
  cohort.restNs += Math.max(0, totalNs - inPhases);
}

function at(list: (Durations | undefined)[], index: number): Durations {
  const known = list[index];
  if (known) return known;
  const made = new Durations();
  list[index] = made;
  return made;
}
