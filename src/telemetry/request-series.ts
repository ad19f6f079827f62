import type { Hop } from '../correlate/hop.ts';
import { isTls, type Side } from '../correlate/side.ts';
import type { Bag } from '../spans/hop-attributes.ts';
import type { HopSpan } from '../spans/hop-span.ts';
import { fillHttpClient, fillHttpServer, KNOWN_METHODS } from '../spans/http.ts';
import { errorText, OUTCOMES, type Outcome } from '../spans/outcome.ts';
import { isGrpc } from '../spans/rpc.ts';
import { type Buckets, createHistogram, type DurationHistogram, recordDuration } from './histogram.ts';
import type { Labels, Point } from './metric-family.ts';

/** Series of one metric of requests; what is beyond counts under OTHER. */
export const MAX_REQUEST_SERIES = 1000;
export const OTHER = 'other';

/** Attributes of the spans that become labels (semantic conventions, HTTP metrics and RPC metrics). */
const HTTP_LABELS = [
  'http.request.method',
  'http.response.status_code',
  'url.scheme',
  'network.protocol.version',
  'error.type',
] as const;
const RPC_LABELS = ['rpc.system.name', 'rpc.method', 'rpc.status_code', 'error.type'] as const;

const METHODS = new Map([...KNOWN_METHODS].map((method, index) => [method, index + 1]));
const VERSIONS = new Map(['1.0', '1.1', '2'].map((version, index) => [version, index + 1]));
const OUTCOME_INDEX = new Map(Object.keys(OUTCOMES).map((outcome, index) => [outcome, index]));

type Kind = 'http' | 'rpc';
type Series = Point<DurationHistogram>;

/** Series of requests that have the same listener or upstream. */
export interface Requests {
  readonly labels: Labels;
  readonly http: Map<number, Series>;
  readonly rpc: Map<string, Map<string, Series>>;
  /** What was beyond the bound. */
  readonly others: { [K in Kind]?: Series };
}

export const createRequests = (labels: Labels): Requests => ({
  labels,
  http: new Map(),
  rpc: new Map(),
  others: {},
});

/** Durations of requests on one side of the proxies, by what was asked and answered; bounded. */
export interface RequestSeries {
  /** A side without a request counts nowhere. */
  record(requests: Requests, hop: Hop, side: Side, outcome: Outcome, ns: number, span?: HopSpan): void;
  points(kind: Kind): readonly Series[];
}

export function createRequestSeries(role: 'server' | 'client', buckets: Buckets): RequestSeries {
  const all: { [K in Kind]: Series[] } = { http: [], rpc: [] };

  /** Labels are the attributes that the span has, by the same code. */
  function labelsOf(kind: Kind, { labels }: Requests, hop: Hop, side: Side, outcome: Outcome): Labels {
    const bag: Bag = errorText(hop, outcome) ? { 'error.type': outcome } : {};
    if (role === 'server') fillHttpServer(bag, side);
    else fillHttpClient(bag, side);
    const found: Record<string, string | number | boolean> = { ...labels };
    for (const name of kind === 'http' ? HTTP_LABELS : RPC_LABELS) {
      const value = bag[name];
      if (typeof value === 'string' || typeof value === 'number') found[name] = value;
    }
    if (kind === 'http') found['url.scheme'] = isTls(side) ? 'https' : 'http';
    if (!VERSIONS.has(String(found['network.protocol.version']))) delete found['network.protocol.version'];
    return found;
  }

  function add(kind: Kind, requests: Requests, labels: () => Labels): Series {
    const full = all[kind].length >= MAX_REQUEST_SERIES;
    const other = requests.others[kind];
    if (full && other) return other;
    const beyond = { [kind === 'http' ? 'http.request.method' : 'rpc.method']: OTHER };
    const series = {
      labels: full ? { ...requests.labels, ...beyond } : labels(),
      value: createHistogram(buckets),
    };
    if (full) requests.others[kind] = series;
    all[kind].push(series);
    return series;
  }

  function httpSeries(requests: Requests, hop: Hop, side: Side, outcome: Outcome): Series {
    const { request, answer } = side.http ?? {};
    /* Each part has its own digits. */
    let key = errorText(hop, outcome) ? (OUTCOME_INDEX.get(outcome) ?? 0) : 0;
    key = key * 1000 + Math.min(answer?.statusCode ?? 0, 999);
    key = key * 16 + (METHODS.get(request?.method ?? '') ?? 0);
    key = key * 4 + (VERSIONS.get(request?.version || answer?.version || '') ?? 0);
    key = key * 2 + (isTls(side) ? 1 : 0);
    const known = requests.http.get(key);
    if (known) return known;
    const series = add('http', requests, () => labelsOf('http', requests, hop, side, outcome));
    if (series !== requests.others.http) requests.http.set(key, series);
    return series;
  }

  function rpcSeries(requests: Requests, hop: Hop, side: Side, outcome: Outcome): Series {
    const path = side.http?.request?.path ?? '';
    let ofMethod = requests.rpc.get(path);
    const status = side.http?.answer?.headers['grpc-status'];
    const key = `${status} ${errorText(hop, outcome) ? outcome : ''} ${side.http?.answer?.statusCode ?? 0}`;
    const known = ofMethod?.get(key);
    if (known) return known;
    const series = add('rpc', requests, () => labelsOf('rpc', requests, hop, side, outcome));
    if (series === requests.others.rpc) return series;
    ofMethod ??= new Map();
    requests.rpc.set(path, ofMethod.set(key, series));
    return series;
  }

  return {
    record(requests, hop, side, outcome, ns, span) {
      if (!side.http?.request?.method) return;
      const series = isGrpc(side)
        ? rpcSeries(requests, hop, side, outcome)
        : httpSeries(requests, hop, side, outcome);
      recordDuration(series.value, ns, span);
    },
    points: (kind) => all[kind],
  };
}
