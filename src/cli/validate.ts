import { defaultConfig } from '../config/defaults.ts';
import { describeConfig } from '../config/describe.ts';
import { checkNamed } from '../config/files.ts';
import { loadFile } from '../config/load.ts';
import { configInvalid } from '../config/mistakes.ts';
import { escapeControl } from '../telemetry/escape.ts';

/**
 * `hopspan validate`: reads a configuration as `run` would, looks at what it names, and prints what would run.
 * @throws HopspanError CONFIG_INVALID, a line for each mistake
 */
export function validate({ config: file }: { readonly config?: string }): void {
  const { config, warnings, mistakes } = file ? examineFile(file) : examineDefault();
  for (const warning of warnings) process.stderr.write(`hopspan: warning: ${warning}\n`);
  if (mistakes.length > 0) throw configInvalid(mistakes);
  const lines = [`${file ?? 'the default configuration'} is valid`, ...describeConfig(config)];
  process.stdout.write(`${lines.map(escapeControl).join('\n')}\n`);
}

function examineFile(file: string) {
  const loaded = loadFile(file, process.env);
  return { ...loaded, mistakes: checkNamed(loaded.config, loaded.line) };
}

function examineDefault() {
  const found = defaultConfig(process.env);
  return { ...found, mistakes: checkNamed(found.config, (_, text) => text) };
}
