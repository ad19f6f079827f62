import { endpointText } from '../spans/addresses.ts';
import { type Attributes, elapsedNs, type HopSpan, type HrTime } from '../spans/hop-span.ts';
import type { PhaseName } from '../spans/phases.ts';
import { Bounded, Counts, OTHER } from './bounded.ts';
import { createChooser } from './choice.ts';
import { Durations } from './durations.ts';
import { type HopFacts, hopFacts, roleOf, serviceName, short, upstreamFacts } from './facts.ts';

const MAX_LISTENERS = 32;
const MAX_ROUTES = 100;
const MAX_UPSTREAMS = 64;
const MAX_WORKERS = 64;
const MAX_NAMES = 24;
const MAX_PROXIES = 32;
const MAX_ADDRESSES = 16;

export interface ListenerSurvey {
  readonly name: string;
  readonly service: string;
  /** `address:port` of the proxy's ends of its clients' connections. */
  readonly addresses: Set<string>;
  readonly durations: Durations;
  failed: number;
}

export interface RouteSurvey {
  readonly listener: string;
  readonly name: string;
  readonly durations: Durations;
  failed: number;
  /** Sum of each phase's time, nanoseconds. */
  readonly phases: Map<PhaseName, number>;
}

export interface UpstreamSurvey {
  readonly service: string;
  readonly name: string;
  readonly durations: Durations;
  failed: number;
}

export interface WorkerSurvey {
  readonly service: string;
  readonly pid: string;
  readonly name: string;
  readonly durations: Durations;
  readonly readWait: Durations;
}

export interface ResultSurvey {
  readonly name: string;
  count: number;
  failed: number;
  first: HrTime;
  last: HrTime;
}

/** What one pass over all spans tells: how many, how long, which ones to draw. Bounded, whatever comes in. */
export interface Survey {
  add(spans: readonly HopSpan[]): void;
  readonly listeners: Bounded<ListenerSurvey>;
  readonly routes: Bounded<RouteSurvey>;
  readonly upstreams: Bounded<UpstreamSurvey>;
  readonly workers: Bounded<WorkerSurvey>;
  readonly results: Bounded<ResultSurvey>;
  readonly proxies: Bounded<{ readonly name: string; hops: number; readonly about: readonly string[] }>;
  readonly statuses: Counts;
  readonly pairings: Counts;
  readonly closes: Counts;
  readonly events: Counts;
  readonly applications: Counts;
  readonly durations: Durations;
  readonly counts: SurveyCounts;
  /** From the first hop's start to the last one's end; undefined without hops. */
  range(): { readonly start: HrTime; readonly end: HrTime } | undefined;
  busiest(): ListenerSurvey[];
  choices(): ReturnType<ReturnType<typeof createChooser>['choices']>;
}

export interface SurveyCounts {
  spans: number;
  hops: number;
  failed: number;
  upstreams: number;
  connections: number;
  /** Hops of which the evidence left more than one upstream; and upstream halves that stand apart for it. */
  ambiguous: number;
  ambiguousUpstreams: number;
  events: number;
}

export function createSurvey(): Survey {
  const chooser = createChooser();
  let start: HrTime | undefined;
  let end: HrTime | undefined;
  const survey: Survey = {
    listeners: new Bounded(MAX_LISTENERS, (key) => {
      const [name = OTHER, service = ''] = key.split('\n');
      return { name, service, addresses: new Set<string>(), durations: new Durations(), failed: 0 };
    }),
    routes: new Bounded(MAX_ROUTES, (key) => {
      const [listener = OTHER, name = OTHER] = key === OTHER ? [] : key.split('\n');
      return { listener, name, durations: new Durations(), failed: 0, phases: new Map() };
    }),
    upstreams: new Bounded(MAX_UPSTREAMS, (key) => {
      const [service = '', name = OTHER] = key === OTHER ? [] : key.split('\n');
      return { service, name, durations: new Durations(), failed: 0 };
    }),
    workers: new Bounded(MAX_WORKERS, (key) => {
      const [service = '', pid = '', name = OTHER] = key === OTHER ? [] : key.split('\n');
      return { service, pid, name, durations: new Durations(), readWait: new Durations() };
    }),
    results: new Bounded(MAX_NAMES, (name) => ({ name, count: 0, failed: 0, first: [0, 0], last: [0, 0] })),
    proxies: new Bounded(MAX_PROXIES, (key) => {
      const [name = OTHER, ...about] = key.split('\n');
      return { name, hops: 0, about };
    }),
    statuses: new Counts(MAX_NAMES),
    pairings: new Counts(MAX_NAMES),
    closes: new Counts(MAX_NAMES),
    events: new Counts(MAX_NAMES),
    applications: new Counts(MAX_NAMES),
    durations: new Durations(),
    counts: {
      ...{ spans: 0, hops: 0, failed: 0, upstreams: 0, connections: 0, ambiguous: 0 },
      ...{ ambiguousUpstreams: 0, events: 0 },
    },
    add(spans) {
      for (const span of spans) addSpan(span);
    },
    range: () => (start && end ? { start, end } : undefined),
    busiest: () =>
      survey.listeners
        .values()
        .sort(
          (a, b) =>
            Number(a.name === OTHER) - Number(b.name === OTHER) || b.durations.count - a.durations.count,
        ),
    choices: () => chooser.choices(survey.busiest()),
  };
  const { counts } = survey;

  function addSpan(span: HopSpan): void {
    counts.spans++;
    for (const event of span.events) {
      counts.events++;
      survey.events.add(short(event.name));
    }
    const role = roleOf(span);
    if (role === 'connection') counts.connections++;
    else if (role === 'application') survey.applications.add(serviceName(span));
    else if (role === 'upstream') addUpstream(span);
    else if (role === 'hop') addHop(hopFacts(span));
  }

  function addHop(facts: HopFacts): void {
    const { span, service, listener, route, durationNs, phases, failed } = facts;
    const { attributes } = span;
    if (!start || elapsedNs(span.start, start) > 0) start = span.start;
    if (!end || elapsedNs(end, span.end) > 0) end = span.end;
    counts.hops++;
    if (failed) counts.failed++;
    if (attributes['hopspan.pairing.ambiguous'] === true) counts.ambiguous++;
    survey.durations.add(durationNs);
    survey.proxies.of(proxyKey(span)).hops++;
    survey.pairings.add(short(String(attributes['hopspan.pairing'] ?? 'none')));
    const status = attributes['http.response.status_code'] ?? attributes['rpc.status_code'];
    if (status !== undefined) survey.statuses.add(short(String(status)));
    const by = attributes['hopspan.close.by'];
    if (by !== undefined) survey.closes.add(short(`${by}, by ${attributes['hopspan.close.how']}`));
    addResult(facts);
    const ofListener = survey.listeners.of(`${listener}\n${service}`);
    if (ofListener.addresses.size < MAX_ADDRESSES) ofListener.addresses.add(localAddress(attributes));
    const ofRoute = survey.routes.of(`${listener}\n${route}`);
    for (const each of [ofListener, ofRoute]) {
      each.durations.add(durationNs);
      if (failed) each.failed++;
    }
    const worker = short(String(attributes['hopspan.worker'] ?? '?'));
    const pid = short(String(span.resource.attributes['process.pid'] ?? '?'));
    const ofWorker = survey.workers.of(`${service}\n${pid}\n${worker}`);
    ofWorker.durations.add(durationNs);
    for (const [phase, ns] of phases) {
      ofRoute.phases.set(phase, (ofRoute.phases.get(phase) ?? 0) + ns);
      if (phase === 'read wait') ofWorker.readWait.add(ns);
    }
    chooser.add(facts);
  }

  function addResult({ span, result, failed }: HopFacts): void {
    const entry = survey.results.of(result);
    if (entry.count === 0 || elapsedNs(span.start, entry.first) > 0) entry.first = span.start;
    if (entry.count === 0 || elapsedNs(entry.last, span.start) > 0) entry.last = span.start;
    entry.count++;
    if (failed) entry.failed++;
  }

  function addUpstream(span: HopSpan): void {
    const { service, upstream, durationNs, failed } = upstreamFacts(span);
    counts.upstreams++;
    const ambiguous = span.attributes['hopspan.pairing.ambiguous'] === true;
    if (ambiguous && span.attributes['hopspan.pairing'] === 'none') counts.ambiguousUpstreams++;
    const entry = survey.upstreams.of(`${service}\n${upstream}`);
    entry.durations.add(durationNs);
    if (failed) entry.failed++;
  }

  return survey;
}

function localAddress(attributes: Attributes): string {
  const address = short(String(attributes['network.local.address'] ?? ''));
  return endpointText({ address, port: Number(attributes['network.local.port'] ?? 0) });
}

/** A process by its name and what else its resource says. */
function proxyKey(span: HopSpan): string {
  const of = (key: string): string => short(String(span.resource.attributes[key] ?? ''));
  const about = [
    ['process.executable.name', 'process'],
    ['process.pid', 'pid'],
    ['host.name', 'host'],
    ['k8s.pod.name', 'pod'],
  ] as const;
  const known = about.flatMap(([key, word]) => (of(key) ? [`${word} ${of(key)}`] : []));
  return [serviceName(span), ...known].join('\n');
}
