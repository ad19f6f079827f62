import { Metadata, Server, ServerCredentials, type ServiceDefinition, status } from '@grpc/grpc-js';
import type { OtlpReceiverConfig } from '../../config/types.ts';
import { responseBytes, retryInfo, statusBytes } from './answers.ts';
import { type Intake, RETRY_AFTER_S, type Verdict } from './intake.ts';
import { addressText, type Listening } from './listening.ts';

const MAX_STREAMS = 64;

/** Bytes in and out: what is in them is the intake's to read. */
const SERVICE: ServiceDefinition = {
  Export: {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: (value: Buffer) => value,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (value: Buffer) => value,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};

/** Serves OTLP/gRPC. Rejects where the address cannot be listened on. */
export async function listenGrpc(
  { listen, maxMessageBytes }: NonNullable<OtlpReceiverConfig['grpc']>,
  intake: Intake,
): Promise<Listening> {
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': MAX_STREAMS,
  });
  server.addService(SERVICE, {
    Export(
      call: { readonly request: Buffer },
      callback: (error: object | null, answer?: Uint8Array) => void,
    ) {
      const verdict = intake.takeProtobuf(call.request);
      const failure = failureOf(verdict);
      if (failure) callback(failure);
      else if (verdict.kind === 'taken')
        callback(null, Buffer.from(responseBytes(verdict.rejected, verdict.message)));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(addressText(listen), ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    address: addressText({ ...listen, port }),
    close: (timeoutMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.forceShutdown(), timeoutMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}

function failureOf(verdict: Verdict): { code: number; details: string; metadata?: Metadata } | undefined {
  if (verdict.kind === 'malformed') return { code: status.INVALID_ARGUMENT, details: verdict.message };
  if (verdict.kind !== 'busy') return undefined;
  const details = 'no room for these spans now; send them again later';
  const metadata = new Metadata();
  const rpcStatus = statusBytes(status.UNAVAILABLE, details, retryInfo(RETRY_AFTER_S));
  metadata.set('grpc-status-details-bin', Buffer.from(rpcStatus));
  return { code: status.UNAVAILABLE, details, metadata };
}
