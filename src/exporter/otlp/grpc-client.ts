import { type ChannelCredentials, credentials, type Metadata } from '@grpc/grpc-js';
import { ExportResultCode } from '@opentelemetry/core';
import { createOtlpGrpcExportDelegate } from '@opentelemetry/otlp-grpc-exporter-base';
import {
  type IExportTraceServiceResponse,
  type ISerializer,
  ProtobufTraceSerializer,
} from '@opentelemetry/otlp-transformer';
import { INSTRUMENTATION_SCOPE } from '../scope.ts';
import type { Batch } from './batch.ts';
import type { OtlpClient } from './client.ts';
import { parseEndpoint } from './endpoint.ts';
import { classifyFailure } from './grpc-failure.ts';
import { headerMetadata } from './grpc-metadata.ts';
import type { OtlpOptions } from './options.ts';
import { type Connection, createRenewable } from './renewable.ts';
import type { SendResult } from './send-result.ts';
import { createTlsReader } from './tls-files.ts';

interface Access {
  readonly creds: ChannelCredentials;
  readonly metadata: Metadata;
}

/**
 * The official gRPC trace exporter, put together from its own parts: `OTLPTraceExporter` is this delegate with
 * a fixed serialiser, whose answer (how many spans the server refused) it logs and then throws away. It
 * retries nothing itself, and without a service config neither does grpc-js.
 */
function createExporter(options: OtlpOptions, address: string, { creds, metadata }: Access): Connection {
  let rejected = 0;
  let message = '';
  const serializer: ISerializer<Batch, IExportTraceServiceResponse> = {
    serializeRequest: ({ bytes }) => bytes,
    deserializeResponse(data) {
      const { partialSuccess } = ProtobufTraceSerializer.deserializeResponse(data);
      rejected = Number(partialSuccess?.rejectedSpans ?? 0);
      message = partialSuccess?.errorMessage ?? '';
      // Said by our own log; the delegate would log it a second time.
      return {};
    },
  };
  const delegate = createOtlpGrpcExportDelegate(
    {
      url: address,
      credentials: () => creds,
      metadata: () => metadata,
      compression: options.compression,
      timeoutMillis: options.timeoutMs,
      concurrencyLimit: Number.POSITIVE_INFINITY,
      userAgent: `hopspan/${INSTRUMENTATION_SCOPE.version}`,
    },
    serializer,
    'otlp_grpc_span_exporter',
    { name: 'span', countItems: (batch: Batch) => batch.count },
    undefined,
    'TraceExportService',
    '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  );
  return {
    send: (batch: Batch) =>
      new Promise<SendResult>((resolve) => {
        delegate.export(batch, ({ code, error }) => {
          // The delegate reads the answer and calls back in one go, so these two belong to this batch.
          const answer: SendResult = { outcome: 'taken', rejected, message };
          rejected = 0;
          message = '';
          if (code === ExportResultCode.SUCCESS) resolve(answer);
          else resolve(classifyFailure(error ?? new Error('the exporter gave no reason')));
        });
      }),
    close: () => void delegate.shutdown(),
  };
}

/**
 * Reads certificates and makes a gRPC client; connecting is left to the first `send`.
 * @throws HopspanError CONFIG_INVALID, EXPORTER_START_FAILED
 */
export async function createGrpcClient(options: OtlpOptions): Promise<OtlpClient> {
  const { address, plainText } = parseEndpoint(options.endpoint, options.tls.insecure);
  const metadata = headerMetadata(options.headers);
  const readTls = createTlsReader(options.tls);
  return createRenewable(async () => {
    if (plainText) return createExporter(options, address, { creds: credentials.createInsecure(), metadata });
    const { ca, cert, key } = await readTls();
    return createExporter(options, address, { creds: credentials.createSsl(ca, key, cert), metadata });
  });
}
