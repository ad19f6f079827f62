import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS, HopspanError } from '../../src/errors.ts';

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ code: text.slice(0, text.indexOf('\n')).trim(), text }));

test('docs/errors.md has a section for every code, in alphabetical order, and no other', () => {
  assert.deepEqual(
    sections.map(({ code }) => code),
    Object.keys(ERRORS).toSorted(),
  );
});

test('the table itself is alphabetical', () => {
  assert.deepEqual(Object.keys(ERRORS), Object.keys(ERRORS).toSorted());
});

for (const [code, { exit }] of Object.entries(ERRORS)) {
  test(`the section of ${code} has its exit code, a typical message and a remedy`, () => {
    const text = sections.find((section) => section.code === code)?.text ?? '';
    assert.match(text, new RegExp(`^Exit ${exit}\\. \\S`, 'm'));
    assert.match(text, /^Typical: `.+/m);
    assert.match(text, /^What to do: \S/m);
  });
}

test('an error carries the exit code of its code, its message and its cause', () => {
  const cause = new Error('EACCES');
  const error = new HopspanError('NOT_PRIVILEGED', 'run it as root.', { cause });
  assert.equal(error.exitCode, 3);
  assert.equal(error.code, 'NOT_PRIVILEGED');
  assert.equal(error.message, 'run it as root.');
  assert.equal(error.cause, cause);
  assert.equal(new HopspanError('CONFIG_INVALID', 'x').exitCode, 2);
});
