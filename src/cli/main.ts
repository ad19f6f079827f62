import { Command } from 'commander';
import { EXIT_USAGE, HopspanError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { run } from './run.ts';

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
  return program;
}

try {
  await createProgram().parseAsync();
} catch (error) {
  if (!(error instanceof HopspanError)) throw error;
  process.stderr.write(`hopspan: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
