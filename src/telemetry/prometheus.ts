import type { RequestListener } from 'node:http';
import type { MetricProducer, MetricReader } from '@opentelemetry/sdk-metrics';
import { prometheusUnit } from './metric-table.ts';

/** A reader that answers with all metrics in Prometheus' text format. Its module is loaded only here. */
export async function createPrometheusReader(
  producer: MetricProducer,
): Promise<{ reader: MetricReader; page: RequestListener }> {
  const { PrometheusExporter } = await import('@opentelemetry/exporter-prometheus');

  /** Units at the end of names (OpenTelemetry, Prometheus compatibility): the exporter leaves them out. */
  class NamingExporter extends PrometheusExporter {
    override async collect(options?: Parameters<MetricReader['collect']>[0]) {
      const result = await super.collect(options);
      for (const scope of result.resourceMetrics.scopeMetrics) {
        scope.metrics = scope.metrics.map((metric) => {
          const { name, unit } = metric.descriptor;
          return { ...metric, descriptor: { ...metric.descriptor, name: `${name}${prometheusUnit(unit)}` } };
        });
      }
      return result;
    }
  }
  const reader = new NamingExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    metricProducers: [producer],
  });
  return { reader, page: (request, response) => reader.getMetricsRequestHandler(request, response) };
}
