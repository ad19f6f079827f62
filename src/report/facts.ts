import { describeName } from '../exporter/console/describe.ts';
import { elapsedNs, type HopSpan } from '../spans/hop-span.ts';
import { PHASES, type PhaseName } from '../spans/phases.ts';

export const PHASE_NAMES = Object.keys(PHASES) as readonly PhaseName[];
const DURATIONS = PHASE_NAMES.map((name) => [name, `hopspan.${name.replaceAll(' ', '_')}.duration`] as const);
const NS_PER_S = 1e9;
/** Of names that come from spans and stand in tables. */
const MAX_NAME = 120;
const MAX_SEGMENTS = 8;
/** Some thirty years: what is longer is no phase of a hop. */
const MAX_SECONDS = 1e9;

/** What a hop's SERVER span says, in the words of the report. */
export interface HopFacts {
  readonly span: HopSpan;
  readonly service: string;
  /** `edge :8000` */
  readonly listener: string;
  /** `GET /orders/{id}`: method and path, in which what looks like an id is one; else the name of the span. */
  readonly route: string;
  readonly durationNs: number;
  readonly phases: readonly (readonly [PhaseName, number])[];
  /** The outcome; of an answer that came and is an error, `status 503`. */
  readonly result: string;
  readonly failed: boolean;
}

/** What an upstream's CLIENT span says. */
export interface UpstreamFacts {
  readonly span: HopSpan;
  readonly service: string;
  /** `10.0.0.7:8080` */
  readonly upstream: string;
  readonly durationNs: number;
  readonly failed: boolean;
}

/** Made by hopspan, whatever processors took away. */
const isOwn = ({ attributes, resource }: HopSpan): boolean =>
  attributes['hopspan.outcome'] !== undefined || resource.attributes['telemetry.distro.name'] === 'hopspan';

/** A connection's own span is none of an exchange; docs/spans.md has its name. */
const isConnection = ({ name }: HopSpan): boolean => name.startsWith('tcp connection ');

export type SpanRole = 'hop' | 'upstream' | 'connection' | 'phase' | 'application';

export function roleOf(span: HopSpan): SpanRole {
  if (!isOwn(span)) return 'application';
  if (span.kind === 'INTERNAL') return 'phase';
  if (isConnection(span)) return 'connection';
  return span.kind === 'SERVER' ? 'hop' : 'upstream';
}

export function hopFacts(span: HopSpan): HopFacts {
  const service = serviceName(span);
  const port = span.attributes['network.local.port'] ?? span.attributes['server.port'];
  const phases: [PhaseName, number][] = [];
  for (const [name, attribute] of DURATIONS) {
    const seconds = span.attributes[attribute];
    if (typeof seconds === 'number' && seconds >= 0 && seconds < MAX_SECONDS)
      phases.push([name, Math.round(seconds * NS_PER_S)]);
  }
  return {
    ...{ span, service, phases, failed: span.error !== undefined },
    listener: short(port === undefined ? service : `${service} :${port}`),
    route: routeOf(span),
    durationNs: Math.max(0, elapsedNs(span.start, span.end)),
    result: resultOf(span) || 'ok',
  };
}

export function upstreamFacts(span: HopSpan): UpstreamFacts {
  const { attributes } = span;
  const upstream =
    attributes['peer.service'] ??
    `${attributes['server.address'] ?? '?'}:${attributes['server.port'] ?? '?'}`;
  return {
    ...{ span, service: serviceName(span), upstream: short(String(upstream)) },
    ...{ durationNs: Math.max(0, elapsedNs(span.start, span.end)), failed: span.error !== undefined },
  };
}

export function serviceName(span: HopSpan): string {
  return short(String(span.resource.attributes['service.name'] ?? '?'));
}

export function resultOf(span: HopSpan): string {
  const outcome = short(String(span.attributes['hopspan.outcome'] ?? ''));
  if (outcome !== 'ok' && outcome !== '') return outcome;
  if (span.error === undefined) return outcome;
  return `status ${short(String(span.attributes['error.type'] ?? '?'))}`;
}

function routeOf(span: HopSpan): string {
  if (span.attributes['hopspan.tls.handshake'] === true) return 'TLS handshake';
  const path = span.attributes['url.path'];
  if (span.attributes['rpc.method'] !== undefined || typeof path !== 'string')
    return short(describeName(span));
  const segments = path.split('/').map((part) => (isId(part) ? '{id}' : part));
  const kept = segments.length > MAX_SEGMENTS ? [...segments.slice(0, MAX_SEGMENTS), '…'] : segments;
  return short(`${span.name} ${kept.join('/')}`);
}

/** A number, a UUID, or a long token with digits in it. */
const isId = (part: string): boolean =>
  /^\d+$/.test(part) || (part.length >= 16 && /\d/.test(part) && /^[\w.=-]+$/.test(part));

/** One line, of bounded length. */
export function short(line: string, limit = MAX_NAME): string {
  const text = line.replaceAll('\n', ' ');
  return text.length <= limit ? text : `${text.slice(0, limit - 1).toWellFormed()}…`;
}
