import type { Batch } from './batch.ts';
import type { OtlpOptions } from './options.ts';
import type { SendResult } from './send-result.ts';

/** Sends batches; nothing here queues or retries. */
export interface OtlpClient {
  /** Never rejects. */
  send(batch: Batch): Promise<SendResult>;
  /** Takes a new connection for the next `send`, with certificates as they are now. */
  renew(): void;
  /** Requests under way end by themselves, at their timeout at the latest. */
  close(): void;
}

/**
 * Makes the client that the protocol asks for. Only that one is loaded: gRPC is a quarter of what hopspan holds in
 * memory, and other exporters do without.
 * @throws HopspanError CONFIG_INVALID, EXPORTER_START_FAILED
 */
export async function createOtlpClient(options: OtlpOptions): Promise<OtlpClient> {
  if (options.protocol === 'grpc') return (await import('./grpc-client.ts')).createGrpcClient(options);
  return (await import('./http-client.ts')).createHttpClient(options);
}
