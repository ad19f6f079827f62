import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Histogram } from '../../../src/exporter/console/histogram.ts';
import { createSummary } from '../../../src/exporter/console/summary.ts';
import { textWidth } from '../../../src/exporter/console/text.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { makeExchange, makeResource } from '../../harness/make-spans.ts';
import { createRandom } from '../../harness/random.ts';

const PLAIN = { width: 100, color: false };

function renamed(spans: readonly HopSpan[], name: string): HopSpan[] {
  return spans.map((span) => (span.kind === 'SERVER' ? { ...span, name } : span));
}

describe('histogram', () => {
  test('quantiles of any distribution are right to 1 %', () => {
    const random = createRandom(7);
    const values = Array.from({ length: 20_000 }, () => Math.floor(10 ** (random() * 11)));
    const histogram = new Histogram();
    for (const value of values) histogram.add(value);
    values.sort((a, b) => a - b);
    for (const q of [0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1]) {
      const exact = values[Math.ceil(q * values.length) - 1] ?? 0;
      assert.ok(
        Math.abs(histogram.quantile(q) - exact) <= exact * 0.01,
        `p${q * 100}: ${histogram.quantile(q)}`,
      );
    }
  });

  test('every power of two and its neighbours', () => {
    for (let exponent = 0; exponent < 47; exponent++) {
      for (const value of [2 ** exponent - 1, 2 ** exponent, 2 ** exponent + 1]) {
        const histogram = new Histogram();
        histogram.add(value);
        assert.ok(Math.abs(histogram.quantile(0.5) - value) <= value * 0.01, `${value}`);
      }
    }
  });

  test('takes what is out of range, and nothing at all', () => {
    const histogram = new Histogram();
    assert.equal(histogram.quantile(0.5), 0);
    histogram.add(-5);
    histogram.add(1e20);
    assert.equal(histogram.count, 2);
    assert.equal(histogram.quantile(0.5), 0);
    assert.ok(histogram.quantile(1) > 1e14);
  });
});

describe('summary', () => {
  test('one table row per phase of each hop, outcomes in the title', () => {
    const summary = createSummary();
    for (let n = 0; n < 100; n++) {
      const first = makeExchange({ traceNumber: n });
      const failed = { 'hopspan.outcome': 'upstream_refused' };
      const second = makeExchange({
        traceNumber: n,
        resource: makeResource('edge2'),
        firstSpanNumber: 5000 + 8 * n,
        parentSpanId: first[4]?.spanId ?? '',
        ...(n < 10 ? { attributes: failed, error: 'refused' } : {}),
      });
      summary.add([...second, ...first]);
    }
    assert.deepEqual(summary.render(PLAIN), [
      '                         count         p50         p95         p99',
      'edge  tcp proxy :8000   ok 100',
      '  total                    100    12.39 ms    12.39 ms    12.39 ms',
      '  accept wait              100     20.1 µs     20.1 µs     20.1 µs',
      '  read wait                100     80.4 µs     80.4 µs     80.4 µs',
      '  forward                  100     49.9 µs     49.9 µs     49.9 µs',
      '  tcp upstream :8080       100    12.26 ms    12.26 ms    12.26 ms',
      '  connect                  100    140.3 µs    140.3 µs    140.3 µs',
      '  upstream wait            100    11.99 ms    11.99 ms    11.99 ms',
      '  answer forward           100     60.2 µs     60.2 µs     60.2 µs',
      'edge2  tcp proxy :8000   ok 90   upstream_refused 10',
      '  total                    100    12.39 ms    12.39 ms    12.39 ms',
      '  accept wait              100     20.1 µs     20.1 µs     20.1 µs',
      '  read wait                100     80.4 µs     80.4 µs     80.4 µs',
      '  forward                  100     49.9 µs     49.9 µs     49.9 µs',
      '  tcp upstream :8080       100    12.26 ms    12.26 ms    12.26 ms',
      '  connect                  100    140.3 µs    140.3 µs    140.3 µs',
      '  upstream wait            100    11.99 ms    11.99 ms    11.99 ms',
      '  answer forward           100     60.2 µs     60.2 µs     60.2 µs',
    ]);
  });

  test('a phase too short for a span of its own counts by its attribute', () => {
    const summary = createSummary();
    const [hop] = makeExchange() as [HopSpan];
    summary.add([hop]);
    const lines = summary.render(PLAIN);
    assert.deepEqual(
      lines.slice(2).map((text) => text.replaceAll(/ {2,}/g, '|')),
      [
        '|total|1|12.39 ms|12.39 ms|12.39 ms',
        '|read wait|1|80.4 µs|80.4 µs|80.4 µs',
        '|forward|1|49.9 µs|49.9 µs|49.9 µs',
      ],
    );
  });

  test("an application's spans need nothing of ours", () => {
    const summary = createSummary();
    const [hop, child] = makeExchange() as [HopSpan, HopSpan];
    summary.add([
      { ...hop, name: 'GET /', attributes: {}, resource: { attributes: {} } },
      { ...child, name: 'query', attributes: {}, resource: { attributes: {} } },
    ]);
    const lines = summary.render(PLAIN);
    assert.equal(lines[1], 'GET /   ok 1');
    assert.match(lines[3] ?? '', /^ {2}query +1 /);
  });

  test('memory is bounded: hops beyond the 64th share a row', () => {
    const summary = createSummary();
    for (let n = 0; n < 200; n++) summary.add(renamed(makeExchange({ traceNumber: n }), `GET /${n}`));
    const titles = summary.render(PLAIN).filter((text) => / ok \d+$/.test(text));
    assert.equal(titles.length, 65);
    assert.ok(titles.includes('other   ok 136'));
  });

  test('phases and outcomes are bounded, too', () => {
    const summary = createSummary();
    for (let n = 0; n < 100; n++) {
      const spans = makeExchange({ traceNumber: n, attributes: { 'hopspan.outcome': `outcome ${n}` } });
      summary.add(
        spans.map((span) => (span.kind === 'INTERNAL' ? { ...span, name: `${span.name} ${n}` } : span)),
      );
    }
    const lines = summary.render({ width: 1000, color: false });
    assert.equal(lines.length, 2 + 24 + 1);
    assert.match(lines[1] ?? '', /^edge {2}tcp proxy :8000 {3}other 84 /);
  });

  test('hostile names are escaped and no line is longer than the width', () => {
    const summary = createSummary();
    summary.add(renamed(makeExchange({ attributes: { 'hopspan.outcome': '\x1b[2J' } }), '\x1b[31m漢字\n'));
    for (let width = 1; width < 150; width++) {
      for (const text of summary.render({ width, color: false })) {
        assert.ok(textWidth(text) <= width);
        assert.doesNotMatch(text, /\p{Cc}/u);
      }
    }
  });

  test('nothing seen, nothing said', () => assert.deepEqual(createSummary().render(PLAIN), []));
});
