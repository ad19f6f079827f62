import { elapsedNs, type HrTime } from '../spans/hop-span.ts';
import { Bounded } from './bounded.ts';
import type { Durations } from './durations.ts';
import type { HopFacts } from './facts.ts';

export const SLOWEST = 3;
/** Beside these, of the hops that ended ok. */
export const SLOWEST_OK = 2;
/** Of listeners, the busiest first. */
export const TYPICAL = 3;
const MAX_RESULTS = 12;
/** Hops of one listener of which the typical one is taken. */
const DRAWN = 64;

/** A hop whose trace is to be drawn, and why. */
export interface Choice {
  readonly traceId: string;
  readonly spanId: string;
  readonly start: HrTime;
  readonly end: HrTime;
  readonly durationNs: number;
  readonly reasons: string[];
}

type Candidate = Omit<Choice, 'reasons'>;

/** Chooses hops in one pass, in bounded memory: what is chosen does not depend on the order of the spans. */
export interface Chooser {
  add(facts: HopFacts): void;
  /** At most one choice for each trace; the slowest first, then by result, then the typical ones. */
  choices(listeners: readonly { readonly name: string; readonly durations: Durations }[]): Choice[];
}

export function createChooser(): Chooser {
  const slowest: Candidate[] = [];
  const slowestOk: Candidate[] = [];
  const results = new Bounded(MAX_RESULTS, (name) => ({
    name,
    first: undefined as Candidate | undefined,
    longest: undefined as Candidate | undefined,
  }));
  const drawn = new Map<string, { readonly lot: number; readonly candidate: Candidate }[]>();

  function keepSlowest(slowest: Candidate[], limit: number, candidate: Candidate): void {
    const last = slowest.at(-1);
    if (slowest.length >= limit && last && candidate.durationNs <= last.durationNs) return;
    const same = slowest.findIndex(({ traceId }) => traceId === candidate.traceId);
    const known = slowest[same];
    if (known) {
      if (known.durationNs >= candidate.durationNs) return;
      slowest.splice(same, 1);
    }
    slowest.push(candidate);
    slowest.sort((a, b) => b.durationNs - a.durationNs);
    slowest.length = Math.min(slowest.length, limit);
  }

  function keepResult(result: string, candidate: Candidate): void {
    const entry = results.of(result);
    if (!entry.first || elapsedNs(candidate.start, entry.first.start) > 0) entry.first = candidate;
    if (!entry.longest || candidate.durationNs > entry.longest.durationNs) entry.longest = candidate;
  }

  /** Those with the lowest lots: an even sample, whatever the order. */
  function draw(listener: string, candidate: Candidate): void {
    const lots = drawn.get(listener) ?? [];
    if (lots.length === 0) drawn.set(listener, lots);
    const lot = lotOf(candidate.spanId);
    const last = lots.at(-1);
    if (lots.length >= DRAWN && last && lot >= last.lot) return;
    const at = lots.findIndex((each) => each.lot > lot);
    lots.splice(at < 0 ? lots.length : at, 0, { lot, candidate });
    lots.length = Math.min(lots.length, DRAWN);
  }

  return {
    add({ span, durationNs, result, failed, listener }) {
      const { traceId, spanId, start, end } = span;
      const candidate = { traceId, spanId, start, end, durationNs };
      keepSlowest(slowest, SLOWEST, candidate);
      if (failed || result !== 'ok') {
        keepResult(result, candidate);
        return;
      }
      keepSlowest(slowestOk, SLOWEST + SLOWEST_OK, candidate);
      if (drawn.has(listener) || drawn.size < DRAWN) draw(listener, candidate);
    },
    choices(listeners) {
      const byTrace = new Map<string, Choice>();
      const choose = (candidate: Candidate, reason: string): void => {
        const known = byTrace.get(candidate.traceId);
        if (known) known.reasons.push(reason);
        else byTrace.set(candidate.traceId, { ...candidate, reasons: [reason] });
      };
      for (const [index, candidate] of slowest.entries())
        choose(candidate, index === 0 ? 'the slowest of all' : `number ${index + 1} of the slowest`);
      /* Those that are among the slowest of all leave their places. */
      const others = slowestOk.filter(({ traceId }) => !byTrace.has(traceId));
      for (const candidate of others.slice(0, SLOWEST_OK))
        choose(candidate, 'among the slowest that ended ok');
      for (const { name, first, longest } of results.values()) {
        if (first) choose(first, `the first that ended ${name}`);
        if (longest && longest.spanId !== first?.spanId) choose(longest, `the longest that ended ${name}`);
      }
      for (const { name, durations } of listeners.slice(0, TYPICAL)) {
        const median = durations.quantile(0.5);
        const near = (drawn.get(name) ?? [])
          .map(({ candidate }) => candidate)
          .filter(({ traceId }) => !byTrace.has(traceId))
          .sort((a, b) => Math.abs(a.durationNs - median) - Math.abs(b.durationNs - median));
        if (near[0]) choose(near[0], `typical of ${name}: next to the median`);
      }
      return [...byTrace.values()];
    },
  };
}

/** Ids look random, but those of applications may be counted up: FNV-1a mixes them. */
function lotOf(spanId: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < spanId.length; i++) hash = Math.imul(hash ^ spanId.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
