import type { Side } from '../correlate/side.ts';
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

export function isGrpc(side: Side): boolean {
  return side.http?.request?.headers['content-type']?.startsWith('application/grpc') ?? false;
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
  const code = side.http?.answer?.headers['grpc-status'];
  if (code === undefined || !/^\d{1,3}$/.test(code)) return;
  const status = STATUS_NAMES[Number(code)] ?? code;
  bag['rpc.status_code'] = status;
  if (client ? status !== 'OK' : SERVER_ERRORS.has(status)) bag['error.type'] ??= status;
}
