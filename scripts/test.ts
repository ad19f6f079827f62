/**
 * Runs test files one after the other, each in a process of its own, which is ended after --file-timeout seconds:
 * `node scripts/test.ts [--file-timeout 600] 'test/unit/**\/*.test.ts'...`. node:test itself has a limit for each
 * test, but none for a file that does not end. Exit: 0, or 1 when something failed (with CI=true: or was skipped).
 */
import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { createReport } from './reporter.ts';

const { values, positionals } = parseArgs({
  options: { 'file-timeout': { type: 'string', default: '600' } },
  allowPositionals: true,
});
const timeoutMs = Number(values['file-timeout']) * 1000;
const report = createReport({
  skipFails: process.env.CI === 'true',
  print: (line) => void process.stdout.write(`${line}\n`),
});
/* In the order given: unit tests tell sooner and more exactly what is wrong. */
const files = new Set(positionals.flatMap((pattern) => globSync(pattern).sort()));
for (const file of files) {
  report.file(file);
  const signal = AbortSignal.timeout(timeoutMs);
  for await (const event of run({ files: [resolve(file)], concurrency: 1, signal })) report.event(event);
}
process.exitCode = report.end();
