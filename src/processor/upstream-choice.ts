import { type Attributes, type AttributeValue, elapsedNs, type HrTime } from '../spans/hop-span.ts';

type Maybe = AttributeValue | undefined;

/** A CLIENT span of a hop, beneath which an application's SERVER span may belong. */
export interface HopEnd {
  readonly spanId: string;
  readonly start: HrTime;
  readonly end: HrTime;
  /** The proxy's end of the connection. */
  readonly address: Maybe;
  readonly port: Maybe;
  /** Of the HTTP request. */
  readonly method: Maybe;
  readonly resource: Attributes;
}

/** What an application's SERVER span tells of itself. */
export interface ServerSpan {
  readonly start: HrTime;
  readonly end: HrTime;
  readonly attributes: Attributes;
  readonly resource: Attributes;
}

export interface Choice<E extends HopEnd> {
  readonly end: E;
  /** What the choice rests on. */
  readonly by: 'connection' | 'time';
}

/**
 * Clocks of one host agree, but some SDKs begin spans at a whole millisecond, and an application may note the beginning
 * or the end of its work somewhat apart from the bytes.
 */
const SLACK_NS = 5_000_000;

/** The other end of the application's connection, in today's names and in older ones. */
const PEER_ADDRESS = ['network.peer.address', 'net.sock.peer.addr', 'net.peer.ip'] as const;
const PEER_PORT = ['network.peer.port', 'net.sock.peer.port', 'net.peer.port'] as const;
const METHOD = ['http.request.method', 'http.method'] as const;

/** The attributes of an application's span that are looked at. */
export const EVIDENCE: readonly string[] = [...PEER_ADDRESS, ...PEER_PORT, ...METHOD];

/**
 * The only CLIENT span to which the evidence points. The address and port from which the application was called name
 * the connection, and the time the exchange on it. Where the application does not tell a port, its span must lie within
 * the CLIENT span's time, and nothing else that both tell may differ. Undefined where there is a doubt.
 */
export function chooseUpstream<E extends HopEnd>(
  server: ServerSpan,
  ends: readonly E[],
): Choice<E> | undefined {
  const port = portOf(first(server.attributes, PEER_PORT));
  const by = port === undefined ? 'time' : 'connection';
  const fitting = ends.filter(
    (end) =>
      !isSameProcess(server.resource, end.resource) &&
      addressFits(server, end) &&
      (port === undefined ? fitsByTime(server, end) : port === end.port && beginsWithin(server, end)),
  );
  const [only, second] = fitting;
  return only && !second ? { end: only, by } : undefined;
}

/** The proxy's own span, of its own tracing, lies above the hop. */
function isSameProcess(server: Attributes, proxy: Attributes): boolean {
  const service = server['service.name'];
  if (service !== undefined && service === proxy['service.name']) return true;
  const pid = server['process.pid'];
  return pid !== undefined && pid === proxy['process.pid'] && server['host.name'] === proxy['host.name'];
}

/** Applications may go on after their answer; they cannot begin before the request or after its end. */
function beginsWithin(server: ServerSpan, { start, end }: HopEnd): boolean {
  return elapsedNs(start, server.start) >= -SLACK_NS && elapsedNs(server.start, end) >= -SLACK_NS;
}

function fitsByTime(server: ServerSpan, { start, end, method: sent }: HopEnd): boolean {
  const method = first(server.attributes, METHOD);
  if (method !== undefined && sent !== undefined && method !== sent) return false;
  const after = elapsedNs(start, server.start);
  const before = elapsedNs(server.end, end);
  /* What holds the whole CLIENT span is rather something above it. */
  if (after < 0 && before < 0) return false;
  return after >= -SLACK_NS && before >= -SLACK_NS;
}

/** False where the application was called from another address than the proxy called from. */
function addressFits(server: ServerSpan, end: HopEnd): boolean {
  const address = first(server.attributes, PEER_ADDRESS);
  return address === undefined || plain(String(address)) === plain(String(end.address));
}

/** An IPv4 peer of a dual-stack socket in its IPv4 form (RFC 4291, section 2.5.5.2). */
function plain(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
}

function first(attributes: Attributes, names: readonly string[]): Maybe {
  for (const name of names) if (attributes[name] !== undefined) return attributes[name];
  return undefined;
}

/** Some write it as text. */
function portOf(value: Maybe): number | undefined {
  const port = Number(value);
  return Number.isInteger(port) && port > 0 ? port : undefined;
}
