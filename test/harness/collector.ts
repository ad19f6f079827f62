import { readOtelcolConfig, startOtelcol } from './otelcol.ts';
import { freePort } from './ports.ts';

export interface Collector {
  readonly otlpGrpcEndpoint: string;
  /** What the binary at hand lacks of the file. */
  readonly lacking: readonly string[];
  /** `HOST:PORT` for Prometheus to scrape. */
  readonly prometheusTarget: string;
  /** The text at its Prometheus endpoint. */
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * otel-config/collector.yaml in a real Collector. Ports are free ones, metrics are given out every second, and whole
 * traces are kept after two. They go to Jaeger at `jaegerEndpoint`, without it nowhere.
 */
export async function startCollector(folder: string, jaegerEndpoint?: string): Promise<Collector> {
  const { config, lacking } = readOtelcolConfig('otel-config/collector.yaml');
  const [prometheus, nobody] = await Promise.all([freePort(), freePort()]);
  const { exporters = {}, connectors = {}, processors = {} } = config;
  exporters.prometheus = { ...(exporters.prometheus as object), endpoint: `127.0.0.1:${prometheus}` };
  connectors.span_metrics = { ...(connectors.span_metrics as object), metrics_flush_interval: '1s' };
  processors.tail_sampling = { ...(processors.tail_sampling as object), decision_wait: '2s' };
  const otelcol = await startOtelcol({
    ...{ folder, config },
    env: {
      JAEGER_ENDPOINT: jaegerEndpoint ? new URL(jaegerEndpoint).host : `127.0.0.1:${nobody}`,
      TEMPO_ENDPOINT: `127.0.0.1:${nobody}`,
      KEEP_PERCENT: '100',
    },
  });
  const metrics = async (): Promise<string> => {
    const exit = otelcol.child.exit();
    if (exit) throw new Error(`the Collector ended:\n${otelcol.child.stderr()}`);
    return (await fetch(`http://127.0.0.1:${prometheus}/metrics`)).text();
  };
  return {
    ...{ lacking, metrics },
    otlpGrpcEndpoint: otelcol.otlpGrpcEndpoint,
    prometheusTarget: `127.0.0.1:${prometheus}`,
    stop: otelcol.stop,
  };
}
