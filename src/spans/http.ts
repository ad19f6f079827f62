import { isTls, type Side } from '../correlate/side.ts';
import type { Bag } from './hop-attributes.ts';
import { fillGrpc, grpcMethod, isGrpc } from './rpc.ts';

/** Methods that a span's name may hold: those of RFC 9110 and RFC 5789 (semantic conventions, HTTP spans). */
export const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
]);
const OTHER_METHOD = '_OTHER';

/**
 * A span's name by the semantic conventions: gRPC's full method, else HTTP's method, or `HTTP` for one that is not well
 * known.
 */
export function httpName(side: Side): string | undefined {
  const method = side.http?.request?.method;
  if (!method) return undefined;
  const call = grpcMethod(side);
  if (call) return call;
  return KNOWN_METHODS.has(method) ? method : 'HTTP';
}

/** What both kinds of span say of their request and answer. */
function fillHttp(bag: Bag, side: Side): void {
  const { request, answer } = side.http ?? {};
  const version = request?.version || answer?.version;
  bag['network.protocol.name'] = 'http';
  if (version) bag['network.protocol.version'] = version;
  if (request?.method && !isGrpc(side)) {
    const known = KNOWN_METHODS.has(request.method);
    bag['http.request.method'] = known ? request.method : OTHER_METHOD;
    if (!known) bag['http.request.method_original'] = request.method;
  }
  const agent = request?.headers['user-agent'];
  if (agent) bag['user_agent.original'] = agent;
  /* A gRPC call that was answered at all has status 200. */
  if (answer?.statusCode && !(isGrpc(side) && answer.statusCode === 200)) {
    bag['http.response.status_code'] = answer.statusCode;
  }
  const authority = request && splitAuthority(request.authority);
  if (authority) {
    bag['server.address'] = authority.address;
    if (authority.port) bag['server.port'] = authority.port;
  }
}

/** Attributes of an HTTP SERVER span. */
export function fillHttpServer(bag: Bag, side: Side): void {
  if (!side.http) return;
  fillHttp(bag, side);
  const { request } = side.http;
  if (isGrpc(side)) {
    fillGrpc(bag, side, false);
  } else if (request) {
    if (request.path) bag['url.path'] = request.path;
    if (request.query) bag['url.query'] = request.query;
    bag['url.scheme'] = schemeOf(side);
  }
  fillErrorType(bag, statusOf(side) >= 500, side);
}

/** Attributes of an HTTP CLIENT span. */
export function fillHttpClient(bag: Bag, side: Side): void {
  if (!side.http) return;
  fillHttp(bag, side);
  const { request } = side.http;
  if (isGrpc(side)) fillGrpc(bag, side, true);
  else if (request?.path && request.authority) {
    const query = request.query && `?${request.query}`;
    bag['url.full'] = `${schemeOf(side)}://${request.authority}${request.path}${query}`;
  }
  fillErrorType(bag, statusOf(side) >= 400, side);
}

const schemeOf = (side: Side): string => (isTls(side) ? 'https' : 'http');
const statusOf = (side: Side): number => side.http?.answer?.statusCode ?? 0;

/** An outcome that is an error says more than a status code. */
function fillErrorType(bag: Bag, failed: boolean, side: Side): void {
  if (failed) bag['error.type'] ??= String(statusOf(side));
}

/** `host`, `host:port`, `[v6]:port` (RFC 3986, section 3.2). */
function splitAuthority(authority: string): { address: string; port: number } | undefined {
  const found = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(authority);
  const address = found?.[1] ?? found?.[2];
  return address ? { address, port: Number(found?.[3] ?? 0) } : undefined;
}
