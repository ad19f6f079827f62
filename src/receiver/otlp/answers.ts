import protobuf from 'protobufjs/minimal.js';

const { Writer } = protobuf;

/** ExportTraceServiceResponse; empty where all was taken. */
export function responseBytes(rejected: number, message: string): Uint8Array {
  if (rejected === 0) return new Uint8Array();
  const writer = Writer.create();
  writer.uint32(10).fork().uint32(8).int64(rejected).uint32(18).string(message).ldelim();
  return writer.finish();
}

/** The same as OTLP/JSON. */
export function responseJson(rejected: number, message: string): string {
  if (rejected === 0) return '{}';
  return JSON.stringify({ partialSuccess: { rejectedSpans: String(rejected), errorMessage: message } });
}

/** google.rpc.Status. */
export function statusBytes(code: number, message: string, details?: Uint8Array): Uint8Array {
  const writer = Writer.create().uint32(8).int32(code).uint32(18).string(message);
  if (details) writer.uint32(26).bytes(details);
  return writer.finish();
}

/** google.protobuf.Any with a google.rpc.RetryInfo. */
export function retryInfo(seconds: number): Uint8Array {
  const info = Writer.create().uint32(10).fork().uint32(8).int64(seconds).ldelim().finish();
  return Writer.create()
    .uint32(10)
    .string('type.googleapis.com/google.rpc.RetryInfo')
    .uint32(18)
    .bytes(info)
    .finish();
}
