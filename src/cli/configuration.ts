import { type Command, Option } from 'commander';
import { defaultConfig } from '../config/defaults.ts';
import { loadConfig, readConfigText } from '../config/load.ts';
import { parseTargetFlag, type SelectorFlag } from '../config/target-rules.ts';
import type { Config, Target } from '../config/types.ts';
import type { Handover } from '../privileges/handover.ts';
import { createLog, type Log, type Logger } from '../telemetry/log.ts';

/** Options of every command that takes a configuration; the flags only of those that `addTargetFlags` gave them. */
export interface ConfigurationOptions {
  readonly config?: string;
  readonly executable?: readonly string[];
  readonly path?: readonly string[];
  readonly pid?: readonly string[];
  readonly listenPort?: readonly string[];
}

const TARGET_FLAGS = [
  { flag: '--executable', value: '<name>', key: 'executable', what: 'watch processes of this executable' },
  { flag: '--path', value: '<file>', key: 'path', what: 'watch processes of the executable with this path' },
  { flag: '--pid', value: '<id>', key: 'pid', what: 'watch this process' },
  {
    flag: '--listen-port',
    value: '<port>',
    key: 'listenPort',
    what: 'watch whatever listens on this TCP port',
  },
] as const satisfies readonly {
  flag: SelectorFlag;
  value: string;
  key: keyof ConfigurationOptions;
  what: string;
}[];

/** Flags that say what to watch, instead of a configuration; each may be given several times. */
export function addTargetFlags(command: Command): Command {
  for (const { flag, value, what } of TARGET_FLAGS) {
    const collect = (text: string, before: readonly string[] = []): string[] => [...before, text];
    command.addOption(new Option(`${flag} ${value}`, what).argParser(collect).conflicts('config'));
  }
  return command;
}

/** The targets that the flags select; empty when none was given. @throws HopspanError CONFIG_INVALID */
export function targetsOf(options: ConfigurationOptions): Target[] {
  return TARGET_FLAGS.flatMap(({ flag, key }) =>
    (options[key] ?? []).map((text) => parseTargetFlag(flag, text)),
  );
}

/** A configuration, the log that it asks for, and its file's text where it has one. */
export interface ReadConfiguration {
  readonly config: Config;
  readonly log: Logger;
  readonly logging: Log;
  readonly configText: string | undefined;
}

/**
 * The configuration that the options name, or the default one. With a handover it is the one that was read before, whose
 * warnings were told. @throws HopspanError
 */
export function readConfiguration(options: ConfigurationOptions, handover?: Handover): ReadConfiguration {
  const warnings: string[] = [];
  const configText = options.config ? (handover?.configText ?? readConfigText(options.config)) : undefined;
  const config = options.config
    ? loadConfig(options.config, process.env, (line) => warnings.push(line), configText)
    : configByDefault(targetsOf(options), warnings);
  const logging = createLog(config.telemetry.logs);
  const { log } = logging;
  if (!handover) for (const warning of warnings) log.warn(warning);
  return { config, log, logging, configText };
}

function configByDefault(targets: readonly Target[], warnings: string[]): Config {
  const { config, warnings: found } = defaultConfig(process.env, targets.length > 0 ? targets : undefined);
  warnings.push(...found);
  return config;
}
