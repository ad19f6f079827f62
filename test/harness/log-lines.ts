import type { ExporterLog } from '../../src/exporter/log.ts';

/** A log that keeps its lines, each with `info ` or `warn ` before it. */
export interface LogLines extends ExporterLog {
  readonly lines: string[];
}

export function createLogLines(): LogLines {
  const lines: string[] = [];
  return {
    lines,
    info: (message) => void lines.push(`info ${message}`),
    warn: (message) => void lines.push(`warn ${message}`),
  };
}
