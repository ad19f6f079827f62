import { examine } from '../doctor/examine.ts';
import { formatFinding } from '../doctor/finding.ts';
import { thisMachine } from '../doctor/machine.ts';
import type { Trial } from '../doctor/trial.ts';
import { EXIT_ENVIRONMENT } from '../errors.ts';
import { loadProbes } from '../receiver/probes.ts';
import { tryTurns } from '../receiver/turns.ts';
import { type ConfigurationOptions, readConfiguration } from './configuration.ts';

/** `hopspan doctor`: prints what this machine allows; exit code 3 where watching would not work. @throws HopspanError */
export function doctor(options: ConfigurationOptions): void {
  const { config } = readConfiguration(options);
  const failed: string[] = [];
  for (const finding of examine(thisMachine(), trial, config.receivers)) {
    if (finding.status === 'fail') failed.push(finding.item);
    print(...formatFinding(finding));
  }
  if (failed.length > 0) process.exitCode = EXIT_ENVIRONMENT;
  print(
    '',
    failed.length > 0 ? `hopspan cannot watch here: ${failed.join(', ')}.` : 'hopspan can watch here.',
  );
}

const trial: Trial = (options) => {
  const probes = loadProbes(options);
  const turns = options.turns === 'off' ? undefined : tryTurns(probes);
  probes.close();
  return { acceptHook: probes.acceptHook, freezeHooks: probes.freezeHooks, turns };
};

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
