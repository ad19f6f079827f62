import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { jaegerBinary } from './jaeger.ts';
import { freePort } from './ports.ts';
import { type Child, startChild, until } from './process.ts';

/** What otel-config/collector.yaml has and Jaeger's build of the Collector has not. */
const MISSING = { connector: 'service_graph', extension: 'health_check' } as const;
/** The same components under the names that they had in the release that Jaeger is built of. */
const FORMER_NAMES: readonly (readonly [string, string])[] = [
  ['span_metrics', 'spanmetrics'],
  ['otlp_grpc/', 'otlp/'],
];

interface CollectorConfig {
  receivers: { otlp: { protocols: Record<'grpc' | 'http', { endpoint: string }> } };
  exporters: Record<string, { endpoint: string }> & { prometheus: { endpoint: string } };
  connectors: Record<string, Record<string, unknown>>;
  processors: { tail_sampling: { decision_wait: string } };
  extensions?: object;
  service: {
    extensions?: readonly string[];
    telemetry?: object;
    pipelines: Record<string, Record<'receivers' | 'exporters', string[]>>;
  };
}

export interface Collector {
  readonly otlpGrpcEndpoint: string;
  /** `HOST:PORT` for Prometheus to scrape. */
  readonly prometheusTarget: string;
  /** The text at its Prometheus endpoint. */
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * otel-config/collector.yaml in a real Collector: the one that Jaeger's binary is. What that lacks is left out; ports
 * are free ones, metrics are given out every second, and whole traces are kept after two. They go to Jaeger at
 * `jaegerEndpoint`, without it nowhere.
 */
export async function startCollector(folder: string, jaegerEndpoint?: string): Promise<Collector> {
  const binary = jaegerBinary();
  if ('missing' in binary) throw new Error(binary.missing);
  const [grpc, http, prometheus, nobody] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const config = adapted();
  config.receivers.otlp.protocols = {
    grpc: { endpoint: `127.0.0.1:${grpc}` },
    http: { endpoint: `127.0.0.1:${http}` },
  };
  config.exporters.prometheus.endpoint = `127.0.0.1:${prometheus}`;
  config.connectors.spanmetrics = { ...config.connectors.spanmetrics, metrics_flush_interval: '1s' };
  config.processors.tail_sampling.decision_wait = '2s';
  config.service.telemetry = { metrics: { level: 'none' }, logs: { level: 'fatal' } };
  const file = join(folder, 'collector.yaml');
  writeFileSync(file, stringify(config));
  const jaeger = jaegerEndpoint ? new URL(jaegerEndpoint).host : `127.0.0.1:${nobody}`;
  const backends = { JAEGER_ENDPOINT: jaeger, TEMPO_ENDPOINT: `127.0.0.1:${nobody}`, KEEP_PERCENT: '100' };
  const child: Child = await startChild(binary.path, ['--config', `file:${file}`], {
    env: { ...process.env, ...backends, OTEL_TRACES_SAMPLER: 'always_off' },
  });
  const metrics = async (): Promise<string> => {
    if (child.exit()) throw new Error(`the Collector ended:\n${child.stderr()}`);
    return (await fetch(`http://127.0.0.1:${prometheus}/metrics`)).text();
  };
  await until('the Collector to answer', () =>
    child.exit()
      ? metrics().then(() => true)
      : metrics().then(
          () => true,
          () => false,
        ),
  );
  return {
    otlpGrpcEndpoint: `http://127.0.0.1:${grpc}`,
    prometheusTarget: `127.0.0.1:${prometheus}`,
    metrics,
    stop: async () => void (await child.stop()),
  };
}

function adapted(): CollectorConfig {
  let text = readFileSync(new URL('../../otel-config/collector.yaml', import.meta.url), 'utf8');
  for (const [name, former] of FORMER_NAMES) text = text.replaceAll(name, former);
  const config = parse(text) as CollectorConfig;
  delete config.connectors[MISSING.connector];
  delete config.extensions;
  delete config.service.extensions;
  for (const pipeline of Object.values(config.service.pipelines)) {
    for (const role of ['receivers', 'exporters'] as const) {
      pipeline[role] = pipeline[role].filter((name) => name !== MISSING.connector);
    }
  }
  return config;
}
