import { Command } from 'commander';
import { EXIT_USAGE, HopspanError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { addTargetFlags } from './configuration.ts';

/** A command's modules are loaded when it is given: hopspan starts twice (docs/adr/0010). */
function createProgram(): Command {
  const program = new Command('hopspan')
    .description("Turns an unmodified proxy's hops into OpenTelemetry spans with kernel timings.")
    .version(VERSION)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));
  program
    .command('run')
    .description('watch the configured proxies and export spans until SIGTERM or Ctrl-C')
    .option('--config <file>', 'configuration; without it: known proxies, exporter by OTEL_* variables')
    .action(async (options) => (await import('./run.ts')).run(options));
  program
    .command('validate')
    .description('check a configuration as "run" would, and print what would run; starts nothing')
    .option('--config <file>', 'configuration; without it: known proxies, exporter by OTEL_* variables')
    .action(async (options) => (await import('./validate.ts')).validate(options));
  addTargetFlags(program.command('watch'))
    .description('show live waterfalls until Ctrl-C, then a summary; without flags: envoy, nginx, haproxy')
    .option('--json', 'print OTLP/JSON, one export request a line')
    .option('--diff', 'name the headers that the proxy added, removed, re-cased or rewrote')
    .action(async (options) => (await import('./watch.ts')).watch(options));
  addTargetFlags(program.command('doctor'))
    .description('tell what this kernel, this user and these processes allow, and what mends what fails')
    .option('--config <file>', 'look for the targets of this configuration')
    .action(async (options) => (await import('./doctor.ts')).doctor(options));
  addTargetFlags(
    program
      .command('record')
      .description('write the kernel records of proxies to a file until SIGTERM or Ctrl-C')
      .requiredOption('--output <file>', 'the recording; what stood there is replaced')
      .option('--config <file>', 'configuration whose receiver to record; without it: known proxies'),
  ).action(async (options) => (await import('./record.ts')).record(options));
  program
    .command('replay')
    .description('export the spans of a recording; needs no root and no kernel support')
    .argument('<file>', 'what "hopspan record" wrote')
    .option('--config <file>', 'configuration; without it: exporter by OTEL_* variables')
    .action(async (file, options) => (await import('./replay.ts')).replay(file, options));
  program
    .command('report')
    .description('write one page about a recording or spans: waterfalls, phases over time, outcomes')
    .argument('<file>', 'what "hopspan record", "hopspan watch --json" or the exporter "file" wrote')
    .requiredOption('--html <file>', 'the page; what stood there is replaced')
    .action(async (file, options) => (await import('./report.ts')).report(file, options));
  return program;
}

try {
  await createProgram().parseAsync();
} catch (error) {
  if (!(error instanceof HopspanError)) throw error;
  process.stderr.write(`hopspan: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
