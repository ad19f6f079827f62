import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { Reader } from 'protobufjs/minimal.js';
import type { SendResult } from './send-result.ts';

// https://opentelemetry.io/docs/specs/otlp/#failures: RESOURCE_EXHAUSTED only where the server gives a time.
const RETRYABLE: ReadonlySet<number> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/** The values of one length-delimited or varint field of a protobuf message. */
function fields(bytes: Uint8Array, wanted: number): (Uint8Array | number)[] {
  const reader = Reader.create(bytes);
  const found: (Uint8Array | number)[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 !== wanted) reader.skipType(tag & 7);
    else found.push((tag & 7) === 2 ? reader.bytes() : Number(reader.int64()));
  }
  return found;
}

function messageField(bytes: Uint8Array, wanted: number): Uint8Array[] {
  return fields(bytes, wanted).filter((value) => typeof value !== 'number');
}

/** google.rpc.RetryInfo's delay in milliseconds, from the trailers' google.rpc.Status. */
function retryDelayMs(metadata: Metadata): number | undefined {
  const [details] = metadata.get('grpc-status-details-bin');
  if (!(details instanceof Uint8Array)) return undefined;
  try {
    for (const any of messageField(details, 3)) {
      const [type] = messageField(any, 1);
      const [info] = messageField(any, 2);
      if (type === undefined || info === undefined || Buffer.from(type).toString() !== RETRY_INFO) continue;
      const [delay] = messageField(info, 1);
      if (delay === undefined) return 0;
      const [seconds = 0] = fields(delay, 1);
      const [nanos = 0] = fields(delay, 2);
      return Math.max(0, Number(seconds) * 1000 + Number(nanos) / 1e6);
    }
  } catch {
    // A status that cannot be read says nothing about a time.
  }
  return undefined;
}

function isServiceError(error: Error): error is ServiceError {
  return 'code' in error && typeof error.code === 'number';
}

/** Whether a failed request may be sent again, and when at the earliest. */
export function classifyFailure(error: Error): SendResult {
  if (!isServiceError(error)) return { outcome: 'refused', reason: error.message };
  // grpc-js ends some details with a note that is empty.
  const details = error.details.replace(/\.? Resolution note:\s*$/, '');
  const reason = `${status[error.code] ?? error.code}: ${details}`;
  const delayMs = error.metadata instanceof Metadata ? retryDelayMs(error.metadata) : undefined;
  if (!RETRYABLE.has(error.code) && !(error.code === status.RESOURCE_EXHAUSTED && delayMs !== undefined)) {
    return { outcome: 'refused', reason };
  }
  return { outcome: 'retry', reason, afterMs: delayMs ?? 0, connected: error.code !== status.UNAVAILABLE };
}
