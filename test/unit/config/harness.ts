import assert from 'node:assert/strict';
import { parseConfig } from '../../../src/config/load.ts';
import type { LoadedConfig } from '../../../src/config/types.ts';
import { HopspanError } from '../../../src/errors.ts';

/** A configuration with every part that must be there; `parts` replaces them, as text. */
export function yaml(
  parts: { receivers?: string; exporters?: string; service?: string; more?: string } = {},
): string {
  return [
    `receivers: ${parts.receivers ?? '{ebpf: }'}`,
    `exporters: ${parts.exporters ?? '{console: }'}`,
    `service: ${parts.service ?? '{pipelines: {traces: {receivers: [ebpf], exporters: [console]}}}'}`,
    parts.more ?? '',
  ].join('\n');
}

/** As `yaml`, with one exporter of this name and value and a pipeline that uses it. */
export function yamlWithExporter(name: string, value: string): string {
  return yaml({
    exporters: `{${name}: ${value}}`,
    service: `{pipelines: {traces: {receivers: [ebpf], exporters: [${name}]}}}`,
  });
}

export function parse(text: string, env: NodeJS.ProcessEnv = {}): LoadedConfig {
  return parseConfig(text, 'f.yaml', env);
}

/** The lines of the CONFIG_INVALID that something throws. */
export function mistakesOf(run: () => unknown): string[] {
  let lines: string[] = [];
  assert.throws(run, (error) => {
    assert.ok(error instanceof HopspanError, String(error));
    assert.equal(error.code, 'CONFIG_INVALID');
    lines = error.message.split('\n');
    return true;
  });
  return lines;
}
