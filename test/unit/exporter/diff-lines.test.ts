import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diffLines } from '../../../src/exporter/console/diff-lines.ts';
import { waterfall } from '../../../src/exporter/console/waterfall.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeExchange } from '../../harness/make-spans.ts';

const [SPAN] = makeExchange() as [HopSpan];

function changed(attributes: HopSpan['attributes']): HopSpan {
  return { ...SPAN, attributes: { ...SPAN.attributes, ...attributes } };
}

describe('what a proxy changed, beneath its waterfall', () => {
  const hop = changed({
    'url.path': '/api/a',
    'hopspan.path.rewritten': true,
    'hopspan.headers.added': ['x-edge', 'x-id'],
    'hopspan.headers.recased': ['Host → host'],
    'hopspan.response.headers.rewritten': ['server'],
  });
  const upstream = changed({ 'url.full': 'http://app.test/v1/a' });

  test('is a line for each kind, the request first', () => {
    assert.deepEqual(diffLines(hop, upstream, 80), [
      '  request rewrote     the path /api/a to http://app.test/v1/a',
      '  request added       x-edge, x-id',
      '  request re-cased    Host → host',
      '  answer rewrote      server',
    ]);
  });

  test('is nothing where nothing is told', () => {
    assert.deepEqual(diffLines(SPAN, undefined, 80), []);
  });

  test('goes on in a further line where it is long', () => {
    const names = ['a'.repeat(10), 'b'.repeat(10), 'c'.repeat(10)];
    assert.deepEqual(diffLines(changed({ 'hopspan.headers.added': names }), undefined, 48), [
      '  request added       aaaaaaaaaa, bbbbbbbbbb,',
      '                      cccccccccc',
    ]);
  });

  test('shows no control character, and no line longer than the terminal', () => {
    const nasty = changed({ 'hopspan.headers.added': ['x\x1b[1m', '\u202ey', 'z'.repeat(200)] });
    for (let width = 1; width < 100; width++) {
      for (const line of waterfall([nasty], { width, color: false })) {
        assert.doesNotMatch(line, /[\p{Cc}\u202e]/u);
        assert.ok(line.length <= width, `${width}: ${line}`);
      }
    }
  });
});
