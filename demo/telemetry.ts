import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

/**
 * Sets up the official OpenTelemetry SDK as any application would, traces only: OTLP over gRPC to
 * OTEL_EXPORTER_OTLP_ENDPOINT (the SDK's default is http://localhost:4317). The returned function sends what waits.
 */
export function startTelemetry(serviceName: string): () => Promise<void> {
  const sdk = new NodeSDK({
    serviceName,
    autoDetectResources: false,
    textMapPropagator: new W3CTraceContextPropagator(),
    // A short delay, so that a waterfall can be drawn soon after its last span ended.
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(), { scheduledDelayMillis: 200 })],
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  // With nobody at the endpoint the demo goes on without these spans.
  return () => sdk.shutdown().catch((error: unknown) => console.error(`spans not sent: ${error}`));
}
