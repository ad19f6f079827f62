import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { formatNs } from '../../src/exporter/console/text.ts';
import { toOtlpJson } from '../../src/exporter/otlp-json.ts';
import { chromiumPath, closeBrowser, type OpenPage, openPage } from '../harness/browser.ts';
import { fixturePaths } from '../harness/fixtures.ts';
import { type FileSpan, readSpans } from '../harness/hopspan.ts';
import { HOSTILE_TEXTS, hostileSpans } from '../harness/hostile-spans.ts';
import { at, makeExchange, makeResource } from '../harness/make-spans.ts';
import { type Child, startChild, stopLeftovers } from '../harness/process.ts';
import { quantile, type ReportTruth, reportTruth } from '../harness/report-truth.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const folder = temporaryFolder(after);
after(stopLeftovers);
after(closeBrowser);

const noBrowser = chromiumPath()
  ? false
  : 'no Chromium on this machine: the page was not opened; scripts/install-deps.sh test installs it';

interface Ended {
  readonly child: Child;
  readonly code: number | null;
}

async function hopspan(args: readonly string[], flags: readonly string[] = []): Promise<Ended> {
  const child = await startChild(process.execPath, [...flags, MAIN, ...args], {
    env: { PATH: process.env.PATH },
  });
  return { child, code: (await child.exited).code };
}

async function report(input: string, name: string): Promise<string> {
  const file = join(folder, `${name}.html`);
  const { child, code } = await hopspan(['report', input, '--html', file]);
  assert.equal(code, 0, child.stderr());
  return file;
}

/** Two proxies in a chain, two outcomes beside ok, three upstreams, an application and an event. */
function mixedSpans(): string {
  const path = join(folder, 'mixed.jsonl');
  const outcomes = ['ok', 'ok', 'ok', 'ok', 'upstream_reset', 'ok', 'ok', 'client_aborted'];
  const edge = makeResource('edge');
  const inner = makeResource('inner', 4712);
  const lines = Array.from({ length: 200 }, (_, n) => {
    const outcome = outcomes[n % outcomes.length] ?? 'ok';
    const attributes = {
      ...{ 'hopspan.outcome': outcome, 'http.request.method': 'GET', 'url.path': `/orders/${n}` },
      ...{ 'hopspan.worker': `wrk:worker_${n % 2}`, 'hopspan.upstream_wait.duration': 0.00001 * (n + 1) },
      ...(outcome === 'ok' ? {} : { 'error.type': outcome }),
    };
    const numbers = { traceNumber: n, startUs: n * 250_000 };
    const failed = outcome === 'ok' ? {} : { error: `it was ${outcome}` };
    const outer = makeExchange({
      ...numbers,
      firstSpanNumber: n * 32,
      resource: edge,
      attributes,
      ...failed,
    });
    const [hop, ...rest] = outer;
    const upstream = outer.find(({ kind }) => kind === 'CLIENT');
    assert.ok(hop && upstream);
    const behind = makeExchange({
      ...{ ...numbers, firstSpanNumber: n * 32 + 16, resource: inner, attributes, ...failed },
      parentSpanId: upstream.spanId,
    }).map((span) =>
      span.kind === 'CLIENT'
        ? {
            ...span,
            attributes: {
              ...span.attributes,
              'peer.service': `10.0.0.${n % 3}:80`,
              'hopspan.outcome': outcome,
            },
          }
        : span,
    );
    const events =
      n === 100
        ? [
            {
              name: 'interface lost its carrier',
              time: at(n * 250_000 + 10),
              attributes: { interface: 'eth0' },
            },
          ]
        : [];
    const asUpstream = { ...upstream, attributes: { ...upstream.attributes, 'hopspan.outcome': outcome } };
    const spans = [{ ...hop, events, end: at(n * 250_000 + 12_410 + n * 100) }, ...rest, ...behind];
    return toOtlpJson(spans.map((span) => (span === upstream ? asUpstream : span)));
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** Cells of the table with this caption, one list a row. */
async function rowsOf({ page }: OpenPage, caption: string): Promise<string[][]> {
  const tables = page.locator('table');
  const captions = await tables.evaluateAll((all) =>
    all.map((each) => each.querySelector('caption')?.textContent),
  );
  const at = captions.indexOf(caption);
  assert.ok(at >= 0, `no table "${caption}"`);
  const rows = await tables.nth(at).locator('tbody tr').all();
  return Promise.all(rows.map((row) => row.locator('th,td').allTextContents()));
}

/** All that can be opened. */
async function unfold({ page }: OpenPage): Promise<void> {
  await page.evaluate('for (const fold of document.querySelectorAll("details")) fold.open = true');
}

const numberOf = (text: string | undefined): number => Number((text ?? '').replace(/\s/g, ''));
const count = (opened: OpenPage, selector: string): Promise<number> => opened.page.locator(selector).count();

async function closeQuietly(opened: OpenPage): Promise<void> {
  assert.deepEqual([opened.requests, opened.complaints, opened.dialogs], [[], [], []]);
  await opened.close();
}

describe('the page in Chromium, without a network', { skip: noBrowser }, () => {
  let file: string;
  let spans: FileSpan[];
  let truth: ReportTruth;
  before(async () => {
    const input = mixedSpans();
    spans = await readSpans(input);
    truth = reportTruth(spans);
    file = await report(input, 'mixed');
  });

  test('tables say what the spans say', async () => {
    const opened = await openPage(file);
    const results = await rowsOf(opened, 'Results');
    assert.deepEqual(new Map(results.map(([name = '', hops]) => [name, numberOf(hops)])), truth.byOutcome);
    const listeners = await rowsOf(opened, 'Listeners');
    for (const [name = '', hops, , p50, p99, longest] of listeners) {
      const durations = truth.byListener.get(name) ?? [];
      assert.equal(numberOf(hops), durations.length);
      const said = [quantile(durations, 0.5), quantile(durations, 0.99), Math.max(...durations)];
      assert.deepEqual([p50, p99, longest], said.map(formatNs));
    }
    assert.equal(listeners.length, truth.byListener.size);
    const upstreams = await rowsOf(opened, 'Requests per upstream');
    assert.deepEqual(
      new Map(upstreams.map(([name = '', , requests]) => [name, numberOf(requests)])),
      truth.byUpstream,
    );
    const workers = await rowsOf(opened, 'Hops per worker (thread of the proxy)');
    assert.equal(
      workers.reduce((sum, [, , hops]) => sum + numberOf(hops), 0),
      truth.hops,
    );
    assert.equal(workers.length, truth.byWorker.size);
    const [event] = await rowsOf(opened, 'Events, the first first');
    assert.equal(event?.[1], 'interface lost its carrier');
    const tile = opened.page.locator('.tiles div', { hasText: 'Failed' }).locator('dd');
    assert.equal(numberOf((await tile.innerText()).split('\n')[0]), truth.failed);
    await closeQuietly(opened);
  });

  test('charts draw one bar for each count, one dot for each quantile, one line for each event', async () => {
    const opened = await openPage(file);
    const [results = [], ...more] = await Promise.all([
      rowsOf(opened, (await opened.page.locator('#time table caption').first().textContent()) ?? ''),
    ]);
    assert.equal(more.length, 0);
    const withHops = results.filter(([, hops]) => numberOf(hops) > 0);
    assert.equal(
      results.reduce((sum, [, hops]) => sum + numberOf(hops), 0),
      truth.hops,
    );
    const hopsChart = '#time svg[aria-label^="Hops over time"]';
    assert.equal(await count(opened, `${hopsChart} [data-mark=rect] rect`), withHops.length);
    assert.equal(
      await count(opened, `${hopsChart} [data-mark=rule] line`),
      1 + 1,
      'the base line and the event',
    );
    /* Columns 3 and 4 are the results that are not ok. */
    const parts = results.flatMap((row) => row.slice(3, 5)).filter((cell) => numberOf(cell) > 0);
    const resultsChart = '#time svg[aria-label^="Hops that did not end ok"]';
    assert.equal(await count(opened, `${resultsChart} [data-mark=rect] rect`), parts.length);
    for (const listener of truth.byListener.keys()) {
      const bars = await rowsOf(opened, `Durations of ${listener}`);
      assert.equal(
        bars.reduce((sum, [, , hops]) => sum + numberOf(hops), 0),
        truth.byListener.get(listener)?.length,
      );
      const histogram = `svg[aria-label*=" of ${listener}: p50"][aria-label^="Durations"]`;
      const drawn = bars.filter(([, , hops]) => numberOf(hops) > 0).length;
      assert.equal(await count(opened, `${histogram} [data-mark=rect] rect`), drawn);
      const overTime = await rowsOf(opened, `Phases of ${listener} over time, p50 / p99`);
      const panel = `svg[aria-label^="upstream wait of ${listener}"]`;
      assert.equal(await count(opened, `${panel} [data-mark=line] path`), 2);
      assert.equal(await count(opened, `${panel} [data-mark=dot] circle`), 2 * overTime.length);
    }
    await closeQuietly(opened);
  });

  test('waterfalls have a bar to scale for every span of their traces', async () => {
    const opened = await openPage(file);
    const traces = await opened.page.locator('.fall .under').allInnerTexts();
    const ids = (
      await opened.page
        .locator('.fall .under')
        .evaluateAll((all) => all.map((each) => each.textContent ?? ''))
    ).map((text) => /trace ([0-9a-f]{32})/.exec(text)?.[1]);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.length >= 8 && ids.length <= 12, String(traces.length));
    for (const [index, id] of ids.entries()) {
      const own = spans.filter(({ traceId }) => traceId === id);
      const events =
        id === spans.find(({ attributes }) => attributes['url.path'] === '/orders/100')?.traceId ? 1 : 0;
      const rows = opened.page.locator(`#waterfall-${index + 1} .rows tbody tr`);
      assert.equal(await rows.count(), own.length + events);
      const startNs = own.reduce(
        (least, span) => (span.startNs < least ? span.startNs : least),
        own[0]?.startNs ?? 0n,
      );
      const endNs = own.reduce((most, span) => (span.endNs > most ? span.endNs : most), 0n);
      const drawn = await rows.evaluateAll((all) =>
        all.map((row) => ({
          name: row.querySelector('th')?.textContent ?? '',
          x: Number.parseFloat(row.querySelector('.bar rect')?.getAttribute('x') ?? ''),
          width: Number.parseFloat(row.querySelector('.bar rect')?.getAttribute('width') ?? ''),
        })),
      );
      for (const { name, durationMs, startNs: from } of own.filter(({ kind }) => kind === 'INTERNAL')) {
        const percent = (100 * durationMs * 1e6) / Number(endNs - startNs);
        const x = (100 * Number(from - startNs)) / Number(endNs - startNs);
        const isIt = (bar: { name: string; x: number; width: number }): boolean =>
          bar.name === name &&
          Math.abs(bar.width - Math.max(0.4, percent)) < 0.01 &&
          Math.abs(bar.x - Math.min(x, 100 - bar.width)) < 0.01;
        assert.ok(drawn.some(isIt), `${name} of ${id}`);
      }
    }
    await closeQuietly(opened);
  });

  test('every fold opens by keyboard, and what is too wide scrolls by it', async () => {
    const opened = await openPage(file, { width: 390 });
    const { page } = opened;
    const second = page.locator('.fall').nth(1);
    assert.equal(await second.getAttribute('open'), null);
    await second.locator('summary').first().focus();
    await page.keyboard.press('Enter');
    assert.notEqual(await second.getAttribute('open'), null);
    const attributes = second.locator('details > summary', { hasText: 'All attributes' });
    let hops = 0;
    while (!(await attributes.evaluate((each) => each.matches(':focus'))) && hops++ < 10)
      await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    assert.ok(await second.locator('.attributes').isVisible());
    await page.keyboard.press('Shift+Tab');
    const scrolled = (await page.locator(':focus').getAttribute('aria-label')) ?? '';
    assert.match(scrolled, /^Waterfall 2: /);
    const overflow = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
    assert.ok(overflow <= 0, `the page is ${overflow} px too wide`);
    await closeQuietly(opened);
  });

  test('light and dark differ, by what the reader prefers', async () => {
    const background = async (scheme: 'light' | 'dark'): Promise<string> => {
      const opened = await openPage(file, { scheme });
      const color = String(await opened.page.evaluate('getComputedStyle(document.body).backgroundColor'));
      await closeQuietly(opened);
      return color;
    };
    const [light = 0, dark = 0] = (await Promise.all([background('light'), background('dark')])).map(
      (color) => Number(/\d+/.exec(color)?.[0]),
    );
    assert.ok(light > 200 && dark < 60, `${light} ${dark}`);
  });

  for (const look of [
    { scheme: 'light', width: 1200 },
    { scheme: 'dark', width: 390 },
  ] as const) {
    test(`axe finds nothing to complain of, ${look.scheme}, ${look.width} px wide`, async () => {
      const opened = await openPage(file, look);
      const { page } = opened;
      await unfold(opened);
      /* Through the debugger, which the page's policy does not hold back. */
      await page.evaluate(readFileSync(AXE, 'utf8'));
      const violations = await page.evaluate(async () => {
        const { axe } = globalThis as unknown as {
          axe: {
            run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>;
          };
        };
        return (await axe.run()).violations.map(
          ({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0]?.html}`,
        );
      });
      assert.deepEqual(violations, []);
      await opened.close();
    });
  }

  test('hostile paths, attributes and names run nothing and ask for nothing', async () => {
    const path = join(folder, `${'<img src=x onerror=alert(9)>'.replaceAll('/', '')}.jsonl`);
    writeFileSync(path, `${toOtlpJson(hostileSpans())}\n`);
    const opened = await openPage(await report(path, 'hostile'));
    const { page } = opened;
    await unfold(opened);
    for (const row of await page.locator('.fall summary').all()) await row.hover();
    assert.equal(await page.locator('script, img, iframe, link, object, form, main a, main h1').count(), 0);
    const shown = await page.locator('body').innerText();
    for (const text of HOSTILE_TEXTS.filter((each) => /^[\x20-\x7e]+$/.test(each)))
      assert.ok(shown.includes(text), text);
    await closeQuietly(opened);
  });

  test('what got through all escaping would still not run: the policy forbids it', async () => {
    const broken = join(folder, 'broken-escaping.html');
    const runs = 'document.title = "ran"';
    const put = `<main><script>${runs}</script><img src="https://attacker.test/x.png" onerror='${runs}'><style>body{display:none}</style>`;
    writeFileSync(broken, readFileSync(file, 'utf8').replace('<main>', put));
    const opened = await openPage(broken);
    await opened.page.locator('main img').waitFor({ state: 'attached' });
    assert.notEqual(await opened.page.title(), 'ran');
    assert.ok(await opened.page.locator('main').isVisible());
    const refused = opened.complaints.filter((text) => text.includes('Content Security Policy'));
    for (const what of [/inline script/, /inline event handler/, /inline style/, /attacker\.test\/x\.png/])
      assert.ok(
        refused.some((text) => what.test(text)),
        `${what} in ${refused.join('\n')}`,
      );
    await opened.close();
  });
});

describe('the command', () => {
  test('a recording becomes a page, and one line on stderr says so', async () => {
    const file = join(folder, 'echo.html');
    const { child, code } = await hopspan(['report', fixturePaths('envoy-echo').recording, '--html', file]);
    assert.equal(code, 0);
    assert.match(child.stderr(), /^hopspan: written file=\S+echo\.html hops=60 failed=0 waterfalls=\d+\n$/);
    assert.ok(statSync(file).size < 1_000_000);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith('.partial')),
      [],
    );
  });

  test('broken lines are counted, on stderr and on the page', async () => {
    const input = join(folder, 'broken.jsonl');
    writeFileSync(input, `${toOtlpJson(makeExchange())}\nbroken\n{"half":\n`);
    const file = join(folder, 'broken.html');
    const { child, code } = await hopspan(['report', input, '--html', file]);
    assert.equal(code, 0);
    assert.match(child.stderr(), /2 lines of the file could not be read and were left out/);
    assert.match(readFileSync(file, 'utf8'), /2 lines of the file could not be read/);
  });

  test('what cannot be is one sentence, and leaves an earlier page alone', async () => {
    const file = join(folder, 'earlier.html');
    writeFileSync(file, 'earlier');
    const wrong = join(folder, 'wrong');
    writeFileSync(wrong, 'no spans\n');
    const refused = await hopspan(['report', wrong, '--html', file]);
    assert.equal(refused.code, 2);
    assert.match(refused.child.stderr(), /^hopspan: \S+wrong is neither a recording nor spans [^\n]+\.\n$/);
    assert.equal(readFileSync(file, 'utf8'), 'earlier');
    const { recording } = fixturePaths('envoy-echo');
    const nowhere = await hopspan(['report', recording, '--html', join(folder, 'none', 'x.html')]);
    assert.equal(nowhere.code, 3);
    assert.match(
      nowhere.child.stderr(),
      /^hopspan: The report \S+ cannot be written: its folder \S+ does not exist; create it\.\n$/,
    );
    const without = await hopspan(['report', recording]);
    assert.equal(without.code, 2);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith('.partial')),
      [],
    );
  });

  test('many hops take no more memory, and no larger a page, than some', async () => {
    const input = join(folder, 'many.jsonl');
    const lines: string[] = [];
    for (let n = 0; n < 250; n++) {
      const spans = Array.from({ length: 100 }, (_, index) => {
        const number = n * 100 + index;
        const attributes = {
          ...{ 'url.path': `/p${number}/x`, 'http.request.method': 'GET', 'hopspan.worker': `w${number}` },
          ...{ 'hopspan.outcome': `made_up_${number}`, 'hopspan.read_wait.duration': number / 1e6 },
        };
        const [hop] = makeExchange({
          traceNumber: number,
          startUs: number * 1000,
          resource: makeResource(`s${number % 500}`),
          attributes,
        });
        return hop ? [hop] : [];
      }).flat();
      lines.push(toOtlpJson(spans));
    }
    writeFileSync(input, `${lines.join('\n')}\n`);
    assert.ok(statSync(input).size > 25e6);
    const file = join(folder, 'many.html');
    const { child, code } = await hopspan(['report', input, '--html', file], ['--max-old-space-size=80']);
    assert.equal(code, 0, child.stderr());
    assert.match(child.stderr(), /hops=25000 /);
    assert.ok(statSync(file).size < 3e6, String(statSync(file).size));
  });
});
