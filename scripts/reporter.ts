import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** What a run of node:test comes to, as lines for people. */
export interface Report {
  /** The next file's events follow. */
  file(path: string): void;
  event(event: TestEvent): void;
  /** Prints every failure in full and, as the last line, `N passed, N failed`. Returns the exit code. */
  end(): number;
}

export interface ReportOptions {
  /** A test that was skipped has not shown anything: it counts as a failure then. */
  readonly skipFails: boolean;
  readonly print: (line: string) => void;
}

const OUTPUT_LINES = 60;
/** Errors that only repeat what their children said. */
const REPEATED = 'subtestsFailed';

interface Failure {
  readonly title: string;
  readonly text: string;
}

export function createReport({ skipFails, print }: ReportOptions): Report {
  let file = '';
  let fileFailures = 0;
  let output: string[] = [];
  const names: string[] = [];
  const failures: Failure[] = [];
  const tally = { passed: 0, failed: 0, skipped: 0 };

  function fail(title: string, text: string): void {
    tally.failed++;
    fileFailures++;
    failures.push({ title: `${file}: ${title}`, text });
    print(`  ✖ ${title}`);
    print(`      ${text.split('\n')[0]}`);
  }

  function skip(title: string, reason: string | boolean | undefined): void {
    const why = typeof reason === 'string' ? `skipped: ${reason}` : 'skipped';
    if (skipFails) fail(title, `${why}; nothing may be skipped here (CI=true)`);
    else {
      tally.skipped++;
      print(`  - ${title} (${why})`);
    }
  }

  function finished({ type, data }: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>): void {
    names.length = data.nesting;
    const title = [...names, data.name].join(' › ');
    const isSuite = data.details.type === 'suite';
    if (data.skip !== undefined || data.todo !== undefined) {
      if (!isSuite || data.skip !== undefined) skip(title, data.skip ?? data.todo);
    } else if (type === 'test:fail') {
      const error = data.details.error as Error & { failureType?: string };
      if (error.failureType !== REPEATED)
        fail(title === file ? 'the file as a whole' : title, describe(error));
    } else if (!isSuite) {
      tally.passed++;
      print(`  ✔ ${title} (${Math.round(data.details.duration_ms)} ms)`);
    }
  }

  return {
    file(path) {
      [file, fileFailures, output] = [path, 0, []];
      print(path);
    },
    event(event) {
      if (event.type === 'test:start') names[event.data.nesting] = event.data.name;
      else if (event.type === 'test:pass' || event.type === 'test:fail') finished(event);
      else if (event.type === 'test:stdout' || event.type === 'test:stderr') {
        output.push(...event.data.message.trimEnd().split('\n'));
        output.splice(0, output.length - OUTPUT_LINES);
      } else if (event.type === 'test:summary' && event.data.file === undefined) {
        if (!event.data.success && fileFailures === 0)
          fail('the file as a whole', 'it failed, no test of it did');
        if (fileFailures > 0 && output.length > 0)
          failures.push({ title: `${file}: the end of what it printed`, text: output.join('\n') });
      }
    },
    end() {
      for (const { title, text } of failures) {
        print('');
        print(`✖ ${title}`);
        for (const line of text.split('\n')) print(`    ${line}`);
      }
      if (tally.passed + tally.failed + tally.skipped === 0) {
        print('no test ran');
        tally.failed++;
      }
      print('');
      print(
        `${tally.passed} passed, ${tally.failed} failed${tally.skipped > 0 ? `, ${tally.skipped} skipped` : ''}`,
      );
      return tally.failed > 0 ? 1 : 0;
    },
  };
}

/** node:test wraps what a test threw; a time-out or an abort has no such cause. */
function describe(error: Error): string {
  return error.cause instanceof Error ? inspect(error.cause) : String(error.cause ?? error.message);
}
