import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ATTRIBUTES } from '../../../src/spans/attributes.ts';
import { SPANS_BEGIN, SPANS_END, spansMarkdown } from '../../../src/spans/reference.ts';

describe('docs/spans.md', () => {
  it('has the tables of the code', () => {
    const page = readFileSync(new URL('../../../docs/spans.md', import.meta.url), 'utf8');
    const written = page
      .slice(page.indexOf(SPANS_BEGIN) + SPANS_BEGIN.length, page.indexOf(SPANS_END))
      .trim();
    assert.equal(written, spansMarkdown(), 'write them anew: node scripts/spans-reference.ts');
  });
});

describe('the attribute table', () => {
  it('has no name that no span sets', () => {
    const folder = new URL('../../../src/spans/', import.meta.url);
    const code = [
      'hop-attributes.ts',
      'header-diff.ts',
      'host-events.ts',
      'http.ts',
      'rpc.ts',
      'tls.ts',
      'resource.ts',
      '../processor/hop-parent.ts',
    ]
      .map((file) => readFileSync(new URL(file, folder), 'utf8'))
      .join('');
    const unused = Object.keys(ATTRIBUTES).filter(
      (name) => !code.includes(`'${name}'`) && !name.endsWith('.duration'),
    );
    assert.deepEqual(unused, []);
  });
});
