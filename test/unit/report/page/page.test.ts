import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseHTML } from 'linkedom';
import { toOtlpJson } from '../../../../src/exporter/otlp-json.ts';
import { collect } from '../../../../src/report/collect.ts';
import { openInput } from '../../../../src/report/input/source.ts';
import { type Charts, createCharts } from '../../../../src/report/page/charts.ts';
import { escapeHtml, html } from '../../../../src/report/page/html.ts';
import { pageOf } from '../../../../src/report/page/page.ts';
import { fixtureNames, fixturePaths } from '../../../harness/fixtures.ts';
import { HOSTILE_TEXTS, hostileSpans } from '../../../harness/hostile-spans.ts';
import { temporaryFolder } from '../../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
let charts: Charts;
before(async () => {
  charts = await createCharts();
});

async function pageFor(path: string, name = 'test'): Promise<string> {
  return pageOf(
    await collect(await openInput(path, { phaseFloorNs: 0, resourceAttributes: {} }), name),
    charts,
  );
}

/** What a page must never hold, however it came about. */
function assertInert(page: string): void {
  const { document } = parseHTML(page);
  const names = new Set([...document.querySelectorAll('*')].map(({ localName }) => localName));
  for (const name of ['script', 'iframe', 'img', 'link', 'object', 'embed', 'form', 'base', 'foreignObject'])
    assert.ok(!names.has(name), name);
  assert.equal(document.querySelectorAll('style').length, 1);
  for (const element of document.querySelectorAll('*')) {
    for (const { name, value } of element.attributes) {
      assert.ok(!/^on/i.test(name) && name !== 'style', `${element.localName} has ${name}`);
      if (name === 'href') assert.match(value, /^#[\w-]+$/);
      if (name === 'src' || name === 'xlink:href') assert.fail(name);
    }
  }
}

describe('the page', () => {
  test('is the same for the same input, and holds nothing that runs or loads', async () => {
    for (const name of fixtureNames()) {
      const page = await pageFor(fixturePaths(name).recording);
      assert.equal(await pageFor(fixturePaths(name).recording), page);
      assertInert(page);
    }
  });

  test('its policy allows its one style sheet by hash, and nothing else', async () => {
    const page = await pageFor(fixturePaths('envoy-chain').recording);
    const style = /<style>(.*?)<\/style>/s.exec(page)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1];
    assert.equal(
      policy,
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`,
    );
    assert.ok(page.indexOf('Content-Security-Policy') < page.indexOf('<style>'));
  });

  test('hostile text is text, wherever it comes from', async () => {
    const path = join(folder, 'hostile.jsonl');
    writeFileSync(path, `${toOtlpJson(hostileSpans())}\n`);
    const page = await pageFor(path, HOSTILE_TEXTS.join(' '));
    assertInert(page);
    for (const text of HOSTILE_TEXTS.filter((each) => /[<>"']/.test(each)))
      assert.ok(!page.includes(text), text);
    assert.ok(page.includes(escapeHtml(HOSTILE_TEXTS[0])));
    for (const char of ['\u2028', '\u2029', '\u202e', '\0', '\x1b', '\r', '\ud800'])
      assert.ok(!page.includes(char));
  });

  test('ids are there once, and what refers to them finds them', async () => {
    const { document } = parseHTML(await pageFor(fixturePaths('envoy-chain').recording));
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    const known = new Set(ids);
    for (const link of document.querySelectorAll('a'))
      assert.ok(known.has(link.getAttribute('href')?.slice(1) ?? ''));
    for (const { fill } of [...document.querySelectorAll('[fill^="url("]')].map((each) => ({
      fill: each.getAttribute('fill'),
    })))
      assert.ok(known.has(/^url\(#(.+)\)$/.exec(fill ?? '')?.[1] ?? ''), fill ?? '');
  });

  test('of a recording without hops says so', async () => {
    const path = join(folder, 'none.jsonl');
    writeFileSync(path, '{"resourceSpans":[]}\n');
    const page = await pageFor(path);
    assert.match(page, /The input holds no hop/);
    assertInert(page);
  });

  test('spans with odd times and numbers are drawn, too', async () => {
    const path = join(folder, 'odd.jsonl');
    const [first] = hostileSpans();
    assert.ok(first);
    const spans = [
      { ...first, end: first.start },
      { ...first, traceId: 'a'.repeat(32), end: [0, 0] as const },
      { ...first, traceId: 'b'.repeat(32), start: [0, 0] as const, end: [9_999_999_999, 1] as const },
      {
        ...first,
        traceId: 'c'.repeat(32),
        attributes: {
          ...first.attributes,
          'hopspan.read_wait.duration': 1e300,
          'hopspan.forward.duration': -1,
        },
      },
    ].map((span) => ({
      ...span,
      start: [...span.start] as [number, number],
      end: [...span.end] as [number, number],
    }));
    writeFileSync(path, `${toOtlpJson(spans)}\n`);
    const page = await pageFor(path);
    assertInert(page);
    assert.doesNotMatch(page, /NaN|Infinity|undefined/);
  });
});

test('markup in templates: parts are escaped, nested markup is not, nothing is nothing', () => {
  assert.equal(
    html`<p title="${'"a" & \'b\''}">${['<', html`<b>${1}</b>`]}${undefined}${false}</p>`.text,
    '<p title="&quot;a&quot; &amp; &#39;b&#39;">&lt;<b>1</b></p>',
  );
});
