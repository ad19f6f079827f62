import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const SCRIPT = new URL('../../../scripts/test.ts', import.meta.url).pathname;

/** Runs test files of these contents, as `make test` runs the real ones. */
function runTests(t: TestContext, files: readonly string[], { ci = false, timeout = 60 } = {}) {
  const folder = temporaryFolder((remove) => t.after(remove));
  for (const [index, text] of files.entries())
    writeFileSync(
      join(folder, `${index}.test.mjs`),
      `import { after, describe, test } from 'node:test';\n${text}\n`,
    );
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = [SCRIPT, '--file-timeout', String(timeout), join(folder, '*.test.mjs')];
  const { status, stdout } = spawnSync(process.execPath, args, {
    env: { ...env, CI: ci ? 'true' : '' },
    encoding: 'utf8',
  });
  return { status, stdout, last: stdout.trimEnd().split('\n').at(-1) };
}

const GOOD = "test('good', () => {}); describe('suite', () => { test('inner', () => {}); });";
const SKIPPED = "test('later', { skip: 'no Docker' }, () => {});";

describe('the run of all tests', () => {
  test('counts tests, not suites, and ends with the line of counts', (t) => {
    const { status, last } = runTests(t, [GOOD, GOOD]);
    assert.equal(last, '4 passed, 0 failed');
    assert.equal(status, 0);
  });

  test('a failure is shown in full and counted once', (t) => {
    const { status, stdout, last } = runTests(t, [
      GOOD,
      "describe('suite', () => { test('bad', () => { throw new Error('the reason'); }); });",
    ]);
    assert.match(stdout, /✖ .*1\.test\.mjs: suite › bad\n\s+Error: the reason\n/);
    assert.equal(last, '2 passed, 1 failed');
    assert.equal(status, 1);
  });

  test('a file that does not load fails, and shows what it printed', (t) => {
    const { status, stdout, last } = runTests(t, ["import './absent.mjs';"]);
    assert.match(stdout, /ERR_MODULE_NOT_FOUND/);
    assert.equal(last, '0 passed, 1 failed');
    assert.equal(status, 1);
  });

  test('a hook that fails after good tests fails', (t) => {
    const { last } = runTests(t, [`${GOOD} after(() => { throw new Error('clean-up'); });`]);
    assert.equal(last, '2 passed, 1 failed');
  });

  test('a file that does not end is ended, and the next one runs', (t) => {
    const { last } = runTests(t, ["test('endless', () => { for (;;); });", GOOD], { timeout: 10 });
    assert.equal(last, '2 passed, 1 failed');
  });

  test('a skipped test is said, and is a failure in CI', (t) => {
    const local = runTests(t, [GOOD + SKIPPED]);
    assert.match(local.stdout, /later \(skipped: no Docker\)/);
    assert.equal(local.last, '2 passed, 0 failed, 1 skipped');
    assert.equal(local.status, 0);
    const ci = runTests(t, [GOOD + SKIPPED], { ci: true });
    assert.equal(ci.last, '2 passed, 1 failed');
    assert.equal(ci.status, 1);
  });

  test('no test at all is a failure', (t) => {
    const { status, last } = runTests(t, []);
    assert.equal(last, '0 passed, 1 failed');
    assert.equal(status, 1);
  });
});
