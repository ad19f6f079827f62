import type { RequestListener } from 'node:http';
import type { MetricProducer, MetricReader } from '@opentelemetry/sdk-metrics';
import type { MetricsSdk } from './metric-producer.ts';
import { metricsText, OPEN_METRICS, PLAIN_TEXT } from './prometheus-text.ts';

/** A reader that answers with all metrics to Prometheus, in the format that it asks for. */
export function createPrometheusReader(
  { MetricReader }: MetricsSdk,
  producer: MetricProducer,
): { reader: MetricReader; page: RequestListener } {
  class PageReader extends MetricReader {
    protected override async onForceFlush(): Promise<void> {}
    protected override async onShutdown(): Promise<void> {}
  }
  const reader = new PageReader({ metricProducers: [producer] });
  return {
    reader,
    page: (request, response) => {
      const type = accepts(request.headers.accept, 'application/openmetrics-text')
        ? OPEN_METRICS
        : PLAIN_TEXT;
      reader.collect().then(
        ({ resourceMetrics }) => {
          response.writeHead(200, { 'content-type': type });
          response.end(metricsText(resourceMetrics, type));
        },
        () => response.writeHead(503).end('hopspan is ending\n'),
      );
    },
  };
}

/** Whether a request wants this type at all; nobody who can read OpenMetrics prefers the older format. */
function accepts(header: string | undefined, type: string): boolean {
  return (header ?? '').split(',').some((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return name === type && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}
