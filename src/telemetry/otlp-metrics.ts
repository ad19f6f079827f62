import type { IExportMetricsServiceResponse, ISerializer } from '@opentelemetry/otlp-transformer';
import type { PushMetricExporter, ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { OtlpProtocol } from '../exporter/otlp/options.ts';
import { ProtoWriter } from '../exporter/otlp/proto-writer.ts';
import { type Edit, editFields, lengthDelimited } from '../otlp/edit.ts';
import { WIRE } from '../otlp/schema.ts';
import type { Exemplar } from './histogram.ts';
import type { WithExemplars } from './metric-producer.ts';

const NS_PER_S = 1e9;
const EXEMPLAR_BYTES = 64;

/* Field numbers of metrics.proto and metrics_service.proto (OTLP 1.x). */
const REQUEST = { resourceMetrics: 1 } as const;
const RESOURCE_METRICS = { scopeMetrics: 2 } as const;
const SCOPE_METRICS = { metrics: 2 } as const;
const METRIC = { histogram: 9, exponentialHistogram: 10 } as const;
const HISTOGRAM = { dataPoints: 1 } as const;
const POINT_EXEMPLARS = { histogram: 8, exponentialHistogram: 11 } as const;
const EXEMPLAR = { time: 2, asDouble: 3, spanId: 4, traceId: 5 } as const;

/**
 * The official OTLP metric exporter, put together from its own parts, since its serialiser leaves exemplars out. Where
 * and how it sends is what the OTEL_EXPORTER_OTLP_* variables say. Its modules are loaded only here.
 */
export async function createOtlpMetricExporter(protocol: OtlpProtocol): Promise<PushMetricExporter> {
  const [{ OTLPMetricExporterBase }, transformer] = await Promise.all([
    import('@opentelemetry/exporter-metrics-otlp-http'),
    import('@opentelemetry/otlp-transformer'),
  ]);
  const serializer = withExemplars(transformer.ProtobufMetricsSerializer);
  const { MetricsExporterMetricsHelper: helper } = transformer;
  if (protocol === 'grpc') {
    const grpc = await import('@opentelemetry/otlp-grpc-exporter-base');
    return new OTLPMetricExporterBase(
      grpc.createOtlpGrpcExportDelegate(
        grpc.convertLegacyOtlpGrpcOptions({}, 'METRICS'),
        serializer,
        'otlp_grpc_metric_exporter',
        helper,
        undefined,
        'MetricsExportService',
        '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
      ),
    );
  }
  const http = await import('@opentelemetry/otlp-exporter-base/node-http');
  const headers = { 'Content-Type': 'application/x-protobuf' };
  return new OTLPMetricExporterBase(
    http.createOtlpHttpExportDelegate(
      http.convertLegacyHttpOptions({}, 'METRICS', 'v1/metrics', headers),
      serializer,
      'otlp_http_metric_exporter',
      helper,
      undefined,
    ),
  );
}

type MetricsSerializer = ISerializer<ResourceMetrics, IExportMetricsServiceResponse>;

/** A serialiser that writes the exemplars, too. */
export function withExemplars(official: MetricsSerializer): MetricsSerializer {
  return {
    serializeRequest(metrics) {
      const bytes = official.serializeRequest(metrics);
      return bytes && addExemplars(Buffer.from(bytes), exemplarsOf(metrics));
    },
    deserializeResponse: (data) => official.deserializeResponse(data),
  };
}

/** Of each point of a histogram, in the order in which they are written. */
function* exemplarsOf({ scopeMetrics }: ResourceMetrics): Generator<readonly Exemplar[]> {
  for (const { metrics } of scopeMetrics) {
    for (const { dataPoints } of metrics) {
      for (const point of dataPoints as readonly ({ readonly value: unknown } & WithExemplars)[])
        if (typeof point.value === 'object') yield point.exemplars ?? [];
    }
  }
}

function addExemplars(request: Buffer, points: Generator<readonly Exemplar[]>): Buffer {
  const histogram =
    (kind: keyof typeof POINT_EXEMPLARS): Edit =>
    (value) =>
      editFields(value, {
        [HISTOGRAM.dataPoints]: (point) => {
          const exemplars: readonly Exemplar[] = points.next().value ?? [];
          const written = exemplars.map((exemplar) =>
            lengthDelimited(POINT_EXEMPLARS[kind], exemplarBytes(exemplar)),
          );
          return written.length > 0 ? Buffer.concat([point, ...written]) : point;
        },
      });
  const within =
    (field: number, edit: Edit): Edit =>
    (value) =>
      editFields(value, { [field]: edit });
  const metric: Edit = (value) =>
    editFields(value, {
      [METRIC.histogram]: histogram('histogram'),
      [METRIC.exponentialHistogram]: histogram('exponentialHistogram'),
    });
  return editFields(request, {
    [REQUEST.resourceMetrics]: within(RESOURCE_METRICS.scopeMetrics, within(SCOPE_METRICS.metrics, metric)),
  });
}

function exemplarBytes({ traceId, spanId, ns, time }: Exemplar): Uint8Array {
  const writer = new ProtoWriter(EXEMPLAR_BYTES);
  writer.byte((EXEMPLAR.time << 3) | WIRE.FIXED64);
  writer.fixed64Nanos(time[0], time[1]);
  writer.byte((EXEMPLAR.asDouble << 3) | WIRE.FIXED64);
  writer.double(ns / NS_PER_S);
  writer.byte((EXEMPLAR.spanId << 3) | WIRE.BYTES);
  writer.byte(spanId.length / 2);
  writer.hex(spanId);
  writer.byte((EXEMPLAR.traceId << 3) | WIRE.BYTES);
  writer.byte(traceId.length / 2);
  writer.hex(traceId);
  return writer.finish();
}
