import { listenersOf } from '../config/listeners.ts';
import type { Config } from '../config/types.ts';
import { examine } from '../doctor/examine.ts';
import { formatFinding } from '../doctor/finding.ts';
import { thisMachine } from '../doctor/machine.ts';
import type { Trial } from '../doctor/trial.ts';
import { EXIT_ENVIRONMENT } from '../errors.ts';
import { processImage } from '../native/process-image.ts';
import { trialsOf } from '../privileges/attach-first.ts';
import { ownCredentials } from '../privileges/capabilities.ts';
import { neededLater, usesOf } from '../privileges/needed.ts';
import { attachProbes, openProbes } from '../receiver/probes.ts';
import { tryTurns } from '../receiver/turns.ts';
import { type ConfigurationOptions, readConfiguration } from './configuration.ts';

/** `hopspan doctor`: prints what this machine allows; exit code 3 where watching would not work. @throws HopspanError */
export function doctor(options: ConfigurationOptions): void {
  const { config } = readConfiguration(options);
  const failed: string[] = [];
  for (const finding of examine(thisMachine(), trialOf(config), config.receivers, listenersOf(config))) {
    if (finding.status === 'fail') failed.push(finding.item);
    print(...formatFinding(finding));
  }
  if (failed.length > 0) process.exitCode = EXIT_ENVIRONMENT;
  print(
    '',
    failed.length > 0 ? `hopspan cannot watch here: ${failed.join(', ')}.` : 'hopspan can watch here.',
  );
}

/** Attaches, looks what that gave and what would be kept, and lets go of it all again. */
function trialOf(config: Config): Trial {
  return (options) => {
    const attached = attachProbes(options);
    const own = ownCredentials();
    const needs = neededLater(usesOf(config), own.permitted, trialsOf(processImage, own, [attached]));
    const probes = openProbes(attached);
    const turns = options.turns === 'off' ? undefined : tryTurns(probes);
    probes.close();
    return { acceptHook: attached.acceptHook, freezeHooks: probes.freezeHooks, turns, needs };
  };
}

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
