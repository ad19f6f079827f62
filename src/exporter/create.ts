import type { ExporterConfig } from '../config/types.ts';
import type { PipelineSpan } from '../spans/foreign-span.ts';
import { type ConsoleStream, createConsoleExporter } from './console/console-exporter.ts';
import type { Exporter, OnSent } from './exporter.ts';
import { createFileExporter } from './file/file-exporter.ts';
import type { ExporterLog } from './log.ts';
import { createOtlpExporter } from './otlp/otlp-exporter.ts';

export interface ExporterDeps {
  readonly log: ExporterLog;
  readonly stdout: ConsoleStream;
  /** Sees every batch that goes to an exporter. */
  readonly observe?: (spans: readonly PipelineSpan[]) => void;
  readonly onSent?: OnSent | undefined;
}

/** Makes the exporter that a configuration names; nothing is opened before its `start`. */
export function createExporter(config: ExporterConfig, deps: ExporterDeps): Exporter {
  const exporter = create(config, deps);
  const { observe } = deps;
  if (observe === undefined) return exporter;
  return {
    start: () => exporter.start(),
    export: (spans) => {
      observe(spans);
      exporter.export(spans);
    },
    shutdown: (timeoutMs, heir) => exporter.shutdown(timeoutMs, heir),
    stats: () => exporter.stats(),
    hasRoom: (count) => exporter.hasRoom(count),
  };
}

function create(config: ExporterConfig, { log, stdout, onSent }: ExporterDeps): Exporter {
  switch (config.type) {
    case 'otlp':
      return createOtlpExporter(config.name, config, { log, onSent });
    case 'console':
      return createConsoleExporter(config.name, config, { log, stream: stdout });
    case 'file':
      return createFileExporter(config.name, config, { log });
  }
}
