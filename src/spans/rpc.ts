import type { Side } from '../correlate/side.ts';
import type { HttpMessageRecord } from '../receiver/kernel-record.ts';
import { MESSAGE_FLAGS } from '../records.gen.ts';
import type { Bag } from './hop-attributes.ts';

/** Status codes of gRPC by number (grpc/grpc, doc/statuscodes.md). */
const STATUS_NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];
/** On a SERVER span the others are the client's mistake (semantic conventions, gRPC). */
const SERVER_ERRORS = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

/** Not gRPC-Web, whose bodies are made otherwise. */
const GRPC_TYPE = /^application\/grpc(?:$|[+; ])/;
const NS_PER_S = 1e9;

export function isGrpc(side: Side): boolean {
  return GRPC_TYPE.test(side.http?.request?.headers['content-type'] ?? '');
}

/** `package.Service/Method`, of the path `/package.Service/Method` (grpc/grpc, doc/PROTOCOL-HTTP2.md). */
export function grpcMethod(side: Side): string | undefined {
  return isGrpc(side) ? side.http?.request?.path.slice(1) || undefined : undefined;
}

/** Attributes of a gRPC call; `client` on a CLIENT span. */
export function fillGrpc(bag: Bag, side: Side, client: boolean): void {
  bag['rpc.system.name'] = 'grpc';
  const method = grpcMethod(side);
  if (method) bag['rpc.method'] = method;
  fillMessages(bag, side, client);
  const code = side.http?.answer?.headers['grpc-status'];
  if (code === undefined || !/^\d{1,3}$/.test(code)) return;
  const status = STATUS_NAMES[Number(code)] ?? code;
  bag['rpc.status_code'] = status;
  if (client ? status !== 'OK' : SERVER_ERRORS.has(status)) bag['error.type'] ??= status;
}

function fillMessages(bag: Bag, side: Side, client: boolean): void {
  const { request, answer } = side.http ?? {};
  if (isCounted(request)) bag['hopspan.grpc.request.messages'] = request.messages;
  if (!isCounted(answer)) return;
  bag['hopspan.grpc.response.messages'] = answer.messages;
  const startNs = client ? side.firstWriteNs : side.arrivedNs || side.firstReadNs;
  if (!answer.firstMessageNs || !startNs) return;
  bag['hopspan.first_message.duration'] = Math.max(0, answer.firstMessageNs - startNs) / NS_PER_S;
}

const isCounted = (message: HttpMessageRecord | undefined): message is HttpMessageRecord =>
  message !== undefined && !(message.flags & MESSAGE_FLAGS.UNCOUNTED);
