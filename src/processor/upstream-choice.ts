import type { Attributes, HopSpan, HrTime } from '../spans/hop-span.ts';

/** A CLIENT span of a hop beneath which an application's SERVER span may belong. */
export interface Candidate {
  readonly span: Pick<HopSpan, 'spanId' | 'start' | 'end'>;
  readonly attributes: Attributes;
  readonly resource: Attributes;
}

/** What an application's SERVER span tells of itself. */
export interface ServerSpan {
  readonly start: HrTime;
  readonly end: HrTime;
  readonly attributes: Attributes;
  readonly resource: Attributes;
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

/**
 * The id of the only CLIENT span to which the evidence points. The address and port from which the application was
 * called name the connection, and the time the exchange on it. Where the application does not tell a port, the span must
 * lie within the CLIENT span's time, and nothing else that both tell may differ. Undefined where there is a doubt.
 */
export function chooseUpstream(server: ServerSpan, candidates: readonly Candidate[]): string | undefined {
  const others = candidates.filter((candidate) => !isSameProcess(server.resource, candidate.resource));
  const port = number(first(server.attributes, PEER_PORT));
  const fitting = others.filter((candidate) =>
    port === undefined ? fitsByTime(server, candidate) : fitsByConnection(server, port, candidate),
  );
  const [only, second] = fitting;
  return second ? undefined : only?.span.spanId;
}

/** The proxy's own span, of its own tracing, lies above the hop. */
function isSameProcess(server: Attributes, proxy: Attributes): boolean {
  const service = server['service.name'];
  if (service !== undefined && service === proxy['service.name']) return true;
  const pid = server['process.pid'];
  return pid !== undefined && pid === proxy['process.pid'] && server['host.name'] === proxy['host.name'];
}

function fitsByConnection(server: ServerSpan, port: number, { span, attributes }: Candidate): boolean {
  if (port !== attributes['network.local.port']) return false;
  if (!addressFits(server, attributes)) return false;
  /* Applications may go on after their answer; they cannot begin before the request or after its end. */
  return ns(span.start, server.start) >= -SLACK_NS && ns(server.start, span.end) >= -SLACK_NS;
}

function fitsByTime(server: ServerSpan, { span, attributes }: Candidate): boolean {
  if (!addressFits(server, attributes)) return false;
  const method = first(server.attributes, METHOD);
  const sent = attributes['http.request.method'];
  if (method !== undefined && sent !== undefined && method !== sent) return false;
  const after = ns(span.start, server.start);
  const before = ns(server.end, span.end);
  /* What holds the whole CLIENT span is rather something above it. */
  if (after < 0 && before < 0) return false;
  return after >= -SLACK_NS && before >= -SLACK_NS;
}

/** False where the application was called from another address than the proxy called from. */
function addressFits(server: ServerSpan, attributes: Attributes): boolean {
  const address = first(server.attributes, PEER_ADDRESS);
  const local = attributes['network.local.address'];
  return address === undefined || plain(String(address)) === plain(String(local));
}

/** An IPv4 peer of a dual-stack socket in its IPv4 form (RFC 4291, section 2.5.5.2). */
function plain(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
}

function first(attributes: Attributes, names: readonly string[]): Attributes[string] | undefined {
  for (const name of names) if (attributes[name] !== undefined) return attributes[name];
  return undefined;
}

/** A port, which some write as text. */
function number(value: Attributes[string] | undefined): number | undefined {
  const port = Number(value);
  return Number.isInteger(port) && port > 0 ? port : undefined;
}

/** Nanoseconds from one time to another, exact below some days. */
function ns(from: HrTime, to: HrTime): number {
  return (to[0] - from[0]) * 1e9 + (to[1] - from[1]);
}
