import { endpointText } from '../spans/addresses.ts';
import type { Config, EbpfReceiverConfig, ExporterConfig, ListenAddress, Target } from './types.ts';

/** What a configuration makes hopspan do: a line for each pipeline, and one for what hopspan tells of itself. */
export function describeConfig(config: Config): string[] {
  const receivers = new Map<string, string>([
    ...config.receivers.map((receiver): [string, string] => [receiver.name, describeEbpf(receiver)]),
    ...config.otlpReceivers.map(({ name, grpc, http }): [string, string] => {
      const listens = [grpc && `grpc ${address(grpc.listen)}`, http && `http ${address(http.listen)}`];
      return [name, `${name} (${listens.filter((each) => each).join(', ')})`];
    }),
  ]);
  const exporters = new Map(config.exporters.map((exporter) => [exporter.name, describeExporter(exporter)]));
  const named = (names: readonly string[], known: ReadonlyMap<string, string>): string =>
    names.map((name) => known.get(name) ?? name).join(', ') || 'nobody';
  const lines = config.pipelines.map((pipeline) => {
    const steps = [
      named(pipeline.receivers, receivers),
      ...pipeline.processors,
      named(pipeline.exporters, exporters),
    ];
    return `${pipeline.name}: ${steps.join(' → ')}`;
  });
  const { telemetry, healthCheck } = config;
  const readers = telemetry.metricReaders.map((reader) =>
    reader.kind === 'otlp' ? 'metrics over OTLP' : `metrics at ${address(reader.listen)}`,
  );
  const own = [...readers, ...(healthCheck ? [`health at ${address(healthCheck.listen)}`] : [])];
  return own.length === 0 ? lines : [...lines, `telemetry: ${own.join(', ')}`];
}

function describeEbpf({ name, targets }: EbpfReceiverConfig): string {
  return `${name} (${targets.map(describeTarget).join(', ')})`;
}

/** As the file has it: `executable envoy`. */
export function describeTarget(target: Target): string {
  switch (target.by) {
    case 'executable':
      return `executable ${target.executable}`;
    case 'path':
      return `path ${target.path}`;
    case 'pid':
      return `pid ${target.pid}`;
    case 'listen_port':
      return `listen_port ${target.listenPort}`;
  }
}

function describeExporter(exporter: ExporterConfig): string {
  switch (exporter.type) {
    case 'otlp': {
      const queue = exporter.disk ? `, queue in ${exporter.disk.directory}` : '';
      return `${exporter.name} (${exporter.endpoint}${queue})`;
    }
    case 'file':
      return `${exporter.name} (${exporter.path})`;
    case 'console':
      return exporter.name;
  }
}

function address({ host, port }: ListenAddress): string {
  return endpointText({ address: host, port });
}
