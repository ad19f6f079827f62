import { elapsedNs } from '../spans/hop-span.ts';
import type { PhaseName } from '../spans/phases.ts';
import type { CohortModel, ListenerModel, ReportModel } from './model.ts';
import { countOf, formatClock, formatCount, formatNs, formatShare } from './page/text.ts';

/** A sentence or two that stand above all charts. */
export interface Finding {
  readonly weight: 'bad' | 'warning' | 'plain';
  /** What it is about, in few words. */
  readonly title: string;
  readonly text: string;
}

/** Whom a long phase accuses. */
const MEANS: Readonly<Record<PhaseName, string>> = {
  'accept wait': 'the proxy was late to accept connections: its workers are busy, or too few',
  'read wait': "the request lay in the kernel until the proxy read it: the proxy's event loop is busy",
  forward: "the proxy's own work: filters, access control, CPU",
  'request transfer': 'a large upload, or an upstream that reads slowly',
  connect: "the network to the upstream, or the upstream's accept queue is full",
  'upstream wait': 'the upstream, or the network to it; not this proxy',
  'answer read wait': "the answer lay in the kernel until the proxy read it: the proxy's event loop is busy",
  'answer forward': "the proxy's own work on the answer",
  'answer transfer': 'a large answer, or a client that reads slowly',
};
/** Listeners that are spoken of. */
const TOLD = 4;
/** So much longer than the median is slow. */
const SLOW = 3;
const UNEVEN = 2;
const MANY = 20;
/** Fewer failures tell nothing of where they come from; so large a share of them does. */
const FEW = 5;
const MOST = 0.8;
const NS_PER_S = 1e9;

/** What somebody should know first; the most telling first. Pure. */
export function findingsOf(model: ReportModel): Finding[] {
  if (model.counts.hops === 0)
    return [
      {
        weight: 'warning',
        title: 'No hops',
        text: 'The input holds no hop of a watched proxy: nothing went through while it was written, or nothing was watched.',
      },
      ...lossesOf(model),
    ];
  return [
    failuresOf(model),
    ...sourcesOf(model),
    ...model.listeners.slice(0, TOLD).flatMap(slownessOf),
    ...eventsOf(model),
    ...balanceOf(model),
    ...ambiguityOf(model),
    ...lossesOf(model),
  ];
}

function failuresOf({ counts, results, listeners }: ReportModel): Finding {
  const kinds = results.filter(({ name }) => name !== 'ok');
  if (counts.failed === 0) {
    const others = kinds.map(({ name, count }) => `${formatCount(count)} ${name}`);
    const beside = others.length > 0 ? `; ${others.join(', ')}, which are no failures` : '';
    return {
      weight: 'plain',
      title: 'No failures',
      text: `None of ${countOf(counts.hops, 'hop')} failed${beside}.`,
    };
  }
  const parts = kinds
    .filter(({ failed }) => failed > 0)
    .map(({ name, failed, first, last }) => {
      const shortly = elapsedNs(first, last) < 2 * NS_PER_S ? 3 : 0;
      const when =
        failed === 1
          ? `at ${formatClock(first, 3)}`
          : `${formatClock(first, shortly)} to ${formatClock(last, shortly)}`;
      return `${formatCount(failed)} ${name} (${when})`;
    });
  return {
    weight: 'bad',
    title: `${formatShare(counts.failed, counts.hops)} failed`,
    text: `${formatCount(counts.failed)} of ${countOf(counts.hops, 'hop')}: ${parts.join('; ')}.${perListener(listeners)}`,
  };
}

/** In a chain a request that fails is a failed hop of each proxy. */
function perListener(listeners: readonly ListenerModel[]): string {
  const failing = listeners.filter(({ failed }) => failed > 0);
  if (listeners.length < 2 || failing.length > TOLD) return '';
  const parts = failing.map(
    ({ name, failed, count }) => `${formatCount(failed)} of ${formatCount(count)} through ${name}`,
  );
  return ` That is ${parts.join(', ')}.`;
}

/** An upstream, or a route, from which nearly all failures of a proxy come, though it has others. */
function sourcesOf({ upstreams, routes }: ReportModel): Finding[] {
  const found: Finding[] = [];
  /* In a chain the next proxy has the same routes. */
  const told = new Set<string>();
  const groups = [
    ...Map.groupBy(upstreams, ({ service }) => service),
    ...Map.groupBy(routes, ({ listener }) => listener),
  ];
  for (const [through, list] of groups) {
    const count = list.reduce((sum, each) => sum + each.count, 0);
    const failed = list.reduce((sum, each) => sum + each.failed, 0);
    const [top] = list.toSorted((a, b) => b.failed - a.failed);
    if (!top || list.length < 2 || failed < FEW || top.failed < MOST * failed) continue;
    if (top.count > MOST * count || told.has(top.name)) continue;
    told.add(top.name);
    const best = list.filter((each) => each !== top).toSorted((a, b) => b.count - a.count)[0];
    const slower =
      best && top.p99 > SLOW * best.p99
        ? ` Its p99 is ${formatNs(top.p99)}, that of ${best.name} ${formatNs(best.p99)}.`
        : '';
    found.push({
      weight: 'bad',
      title: `${through}: failures come from ${top.name}`,
      text: `${top.name} has ${formatShare(top.count, count)} of the requests of ${through}, and ${formatCount(top.failed)} of its ${countOf(failed, 'failure')}.${slower}`,
    });
  }
  return found;
}

function slownessOf(listener: ListenerModel): Finding[] {
  const { name, charts, count, p50, p99, max } = listener;
  if (!charts) return [];
  const { typical, slow } = charts;
  const said = `Half of ${countOf(count, 'hop')} took up to ${formatNs(p50)}, one in a hundred ${formatNs(p99)} or longer, the longest ${formatNs(max)}.`;
  const top = longestOf(slow);
  if (!top || slow.totalNs < SLOW * Math.max(p50, typical.totalNs))
    return [{ weight: 'plain', title: name, text: said }];
  const usual = typical.phases.find(({ phase }) => phase === top.phase)?.ns ?? 0;
  const share = formatShare(Math.min(top.ns, slow.totalNs), slow.totalNs);
  const { next } = listener;
  const isNext = top.phase === 'upstream wait' && next.length > 0;
  const means = isNext ? `Its upstream is ${next.join(', ')}: read on there` : `That is ${MEANS[top.phase]}`;
  return [
    {
      weight: isNext ? 'plain' : 'warning',
      title: `${name}: slow in ${top.phase}`,
      text: `${said} Of the time of the slowest 1 %, ${share} is ${top.phase}: ${formatNs(top.ns)} on average, against ${formatNs(usual)} in the faster half. ${means}.`,
    },
  ];
}

export function longestOf(cohort: CohortModel): CohortModel['phases'][number] | undefined {
  let longest: CohortModel['phases'][number] | undefined;
  for (const each of cohort.phases) if (each.ns > (longest?.ns ?? 0)) longest = each;
  return longest;
}

function eventsOf({ events, eventNames }: ReportModel): Finding[] {
  const [first] = events;
  if (!first) return [];
  const names = eventNames.map(({ name }) => name).join(', ');
  const when =
    events.length === 1 ? `at ${formatClock(first.time)}` : `the first at ${formatClock(first.time)}`;
  return [
    {
      weight: 'warning',
      title: 'Events',
      text: `${countOf(events.length, 'event')} in the time of these spans, ${when}: ${names}.`,
    },
  ];
}

/** An upstream that got much more than its even share of a proxy's requests. */
function balanceOf({ upstreams }: ReportModel): Finding[] {
  const byService = Map.groupBy(upstreams, ({ service }) => service);
  return [...byService].flatMap(([service, list]) => {
    const total = list.reduce((sum, { count }) => sum + count, 0);
    const [top] = list;
    if (!top || list.length < 2 || total < MANY * list.length) return [];
    if (top.count < (UNEVEN * total) / list.length && !(list.length === 2 && top.count > 0.75 * total))
      return [];
    return [
      {
        weight: 'warning' as const,
        title: `${service}: uneven`,
        text: `${top.name} got ${formatShare(top.count, total)} of ${countOf(total, 'request')} to ${list.length} upstreams.`,
      },
    ];
  });
}

function ambiguityOf({ counts }: ReportModel): Finding[] {
  if (counts.ambiguous === 0) return [];
  return [
    {
      weight: 'plain',
      title: 'Unpaired',
      text: `${countOf(counts.ambiguous, 'hop')} (${formatShare(counts.ambiguous, counts.hops)}) stand without their upstream: the evidence left more than one candidate, so none was taken.`,
    },
  ];
}

/** What is missing in all that the page says. */
export function lossesOf({ input }: ReportModel): Finding[] {
  const losses: string[] = [];
  if (input.dropped)
    losses.push(
      `${countOf(input.dropped, 'record')} are missing, since the disk was too slow for the recorder`,
    );
  if (input.cut) losses.push(input.cut.replace(/\.$/, ''));
  if (input.brokenLines > 0)
    losses.push(
      `${countOf(input.brokenLines, 'line')} of the file could not be read and ${input.brokenLines === 1 ? 'was' : 'were'} left out`,
    );
  if (input.brokenSpans > 0)
    losses.push(
      `${countOf(input.brokenSpans, 'span')} had ids or times that cannot be and ${input.brokenSpans === 1 ? 'was' : 'were'} left out`,
    );
  return losses.length === 0
    ? []
    : [{ weight: 'warning', title: 'Incomplete', text: `${losses.join('; ')}.` }];
}
