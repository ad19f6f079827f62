import { Command } from 'commander';
import { EXIT_USAGE, HopspanError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { addTargetFlags } from './configuration.ts';
import { doctor } from './doctor.ts';
import { record } from './record.ts';
import { replay } from './replay.ts';
import { report } from './report.ts';
import { run } from './run.ts';
import { validate } from './validate.ts';
import { watch } from './watch.ts';

function createProgram(): Command {
  const program = new Command('hopspan')
    .description("Turns an unmodified proxy's hops into OpenTelemetry spans with kernel timings.")
    .version(VERSION)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));
  program
    .command('run')
    .description('watch the configured proxies and export spans until SIGTERM or Ctrl-C')
    .option('--config <file>', 'configuration; without it: known proxies, exporter by OTEL_* variables')
    .action(run);
  program
    .command('validate')
    .description('check a configuration as "run" would, and print what would run; starts nothing')
    .option('--config <file>', 'configuration; without it: known proxies, exporter by OTEL_* variables')
    .action(validate);
  addTargetFlags(program.command('watch'))
    .description('show live waterfalls until Ctrl-C, then a summary; without flags: envoy, nginx, haproxy')
    .option('--json', 'print OTLP/JSON, one export request a line')
    .option('--diff', 'name the headers that the proxy added, removed, re-cased or rewrote')
    .action(watch);
  addTargetFlags(program.command('doctor'))
    .description('tell what this kernel, this user and these processes allow, and what mends what fails')
    .option('--config <file>', 'look for the targets of this configuration')
    .action(doctor);
  addTargetFlags(
    program
      .command('record')
      .description('write the kernel records of proxies to a file until SIGTERM or Ctrl-C')
      .requiredOption('--output <file>', 'the recording; what stood there is replaced')
      .option('--config <file>', 'configuration whose receiver to record; without it: known proxies'),
  ).action(record);
  program
    .command('replay')
    .description('export the spans of a recording; needs no root and no kernel support')
    .argument('<file>', 'what "hopspan record" wrote')
    .option('--config <file>', 'configuration; without it: exporter by OTEL_* variables')
    .action(replay);
  program
    .command('report')
    .description('write one page about a recording or spans: waterfalls, phases over time, outcomes')
    .argument('<file>', 'what "hopspan record", "hopspan watch --json" or the exporter "file" wrote')
    .requiredOption('--html <file>', 'the page; what stood there is replaced')
    .action(report);
  return program;
}

try {
  await createProgram().parseAsync();
} catch (error) {
  if (!(error instanceof HopspanError)) throw error;
  process.stderr.write(`hopspan: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
