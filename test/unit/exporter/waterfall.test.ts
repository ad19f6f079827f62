import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { formatNs, textWidth } from '../../../src/exporter/console/text.ts';
import { waterfall } from '../../../src/exporter/console/waterfall.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { at, makeExchange, makeResource } from '../../harness/make-spans.ts';

const PLAIN = { width: 80, color: false };

/** A backend span as the OpenTelemetry SDK sends it: no attribute of ours. */
function applicationSpan(parentSpanId: string): HopSpan {
  const [hop] = makeExchange() as [HopSpan];
  return {
    ...hop,
    spanId: 'b'.repeat(16),
    parentSpanId,
    name: 'GET /items',
    kind: 'SERVER',
    start: at(400),
    end: at(12_200),
    attributes: {},
    resource: { attributes: { 'service.name': 'backend' } },
  };
}

describe('one exchange', () => {
  test('is one tree with bars to scale', () => {
    assert.deepEqual(waterfall(makeExchange(), PLAIN), [
      'edge  tcp proxy :8000  127.0.0.1:51234 → :8000  12.41 ms  ok  paired by buffer',
      '  accept wait          20.0 µs  ▏',
      '  read wait            80.0 µs  ▎',
      '  forward              50.0 µs  ▎',
      '  tcp upstream :8080  12.20 ms  ███████████████████████████████████████████████▎',
      '    connect           140.0 µs  ▌',
      '    upstream wait     12.02 ms   ██████████████████████████████████████████████▌',
      '  answer forward       60.0 µs                                                 ▎',
    ]);
  });

  test('comes out the same in whatever order its spans come', () => {
    const spans = makeExchange();
    assert.deepEqual(waterfall([...spans].reverse(), PLAIN), waterfall(spans, PLAIN));
  });

  test('shows the application behind the proxy in the same tree', () => {
    const spans = makeExchange();
    const lines = waterfall([applicationSpan(spans[4]?.spanId ?? ''), ...spans], PLAIN);
    assert.deepEqual(
      lines.map((text) => text.slice(0, 33).trimEnd()),
      [
        'edge  tcp proxy :8000  127.0.0.1:',
        '  accept wait             20.0 µs',
        '  read wait               80.0 µs',
        '  forward                 50.0 µs',
        '  tcp upstream :8080     12.20 ms',
        '    connect              140.0 µs',
        '    upstream wait        12.02 ms',
        '    backend  GET /items  11.80 ms',
        '  answer forward          60.0 µs',
      ],
    );
  });
});

describe('several hops', () => {
  const first = makeExchange();
  const second = makeExchange({
    resource: makeResource('edge2'),
    firstSpanNumber: 50,
    parentSpanId: first[4]?.spanId ?? '',
    startUs: 10,
    error: 'The upstream 127.0.0.1:8080 refused the connection.',
    attributes: { 'hopspan.outcome': 'upstream_refused', 'hopspan.pairing': 'connect' },
  });

  test('are one tree, each hop with its outcome and pairing, the error said once below', () => {
    assert.deepEqual(waterfall([...second, ...first], { width: 110, color: false }), [
      'edge  tcp proxy :8000  127.0.0.1:51234 → :8000  12.41 ms  ok  paired by buffer',
      '  accept wait                20.0 µs  ▏',
      '  read wait                  80.0 µs  ▎',
      '  forward                    50.0 µs  ▏',
      '  tcp upstream :8080        12.20 ms  ██████████████████████████████████▍',
      '    edge2  tcp proxy :8000  12.41 ms  ███████████████████████████████████  upstream_refused, paired by connect',
      '      accept wait            20.0 µs  ▏',
      '      read wait              80.0 µs  ▎',
      '      forward                50.0 µs  ▏',
      '      tcp upstream :8080    12.20 ms  ██████████████████████████████████▍',
      '        connect             140.0 µs  ▍',
      '        upstream wait       12.02 ms  █████████████████████████████████▉',
      '      answer forward         60.0 µs                                    ▏',
      '    connect                 140.0 µs  ▍',
      '    upstream wait           12.02 ms  █████████████████████████████████▉',
      '  answer forward             60.0 µs                                    ▏',
      '  ✗ The upstream 127.0.0.1:8080 refused the connection.',
    ]);
  });

  test('parents that are missing leave roots', () => {
    assert.deepEqual(waterfall(second.slice(4), PLAIN), [
      'trace 00000000000000000000000000000001  12.26 ms',
      '  edge2  tcp upstream :8080  12.20 ms  ████████████████████████████████████████▊',
      '    connect                  140.0 µs  ▌',
      '    upstream wait            12.02 ms  ████████████████████████████████████████▎',
      '  edge2  answer forward       60.0 µs                                          ▎',
    ]);
  });

  test('two traces have an empty line between them', () => {
    const lines = waterfall([...first, ...makeExchange({ traceNumber: 1 })], PLAIN);
    assert.equal(lines.filter((text) => text === '').length, 1);
    assert.equal(lines.length, 17);
  });
});

test('an event of the host is a line under its span, which says what it was', () => {
  const [hop, ...others] = makeExchange();
  assert.ok(hop);
  const attributes = { 'hopspan.host.freeze.by': 'signal', 'hopspan.host.signal': 'SIGSTOP' };
  const event = {
    ...{ name: 'hopspan.host.process_frozen', time: hop.start },
    attributes: { ...attributes, 'hopspan.host.duration': 1.2 },
  };
  const lines = waterfall([{ ...hop, events: [event] }, ...others], { width: 120, color: false });
  const line = lines.find((text) => text.includes('•')) ?? '';
  assert.match(line, /^ {2}• process frozen .* signal, SIGSTOP, 1\.20 s$/);
});

describe('bad input', () => {
  const nasty = 'a\u001b[31m\u0007\n\u202eb\u200b\ud800 \u{1f600}漢字';
  const nastySpans = makeExchange({ resource: makeResource(nasty), error: nasty }).map((span) => ({
    ...span,
    name: nasty,
    events: [{ name: nasty, time: span.start, attributes: {} }],
    attributes: { ...span.attributes, 'hopspan.outcome': nasty, 'network.peer.address': nasty },
  }));

  test('control characters are escaped', () => {
    for (const text of waterfall(nastySpans, { width: 300, color: false })) {
      assert.doesNotMatch(text, /[\p{Cc}\u202e]/u);
    }
  });

  test('no line is longer than the width, whatever the width', () => {
    for (let width = 1; width <= 200; width++) {
      for (const color of [false, true]) {
        for (const text of waterfall([...nastySpans, ...makeExchange({ traceNumber: 3 })], {
          width,
          color,
        })) {
          const shown = stripVTControlCharacters(text);
          assert.ok(textWidth(shown) <= width, `${textWidth(shown)} > ${width}: ${shown}`);
        }
      }
    }
  });

  test('parents in a circle are drawn once each', () => {
    const [a, b] = makeExchange() as [HopSpan, HopSpan];
    const circle = [
      { ...a, parentSpanId: b.spanId },
      { ...b, parentSpanId: a.spanId },
    ];
    assert.equal(waterfall(circle, PLAIN).length, 2);
    assert.equal(waterfall([{ ...a, parentSpanId: a.spanId }], PLAIN).length, 1);
  });

  test('no time at all, and no spans at all', () => {
    const instant = makeExchange().map((span) => ({ ...span, start: at(0), end: at(0) }));
    assert.equal(waterfall(instant, PLAIN).length, 8);
    assert.deepEqual(waterfall([], PLAIN), []);
  });

  test('ten thousand spans, each under the one before', () => {
    const [span] = makeExchange() as [HopSpan];
    const chain = Array.from({ length: 10_000 }, (_, n) => ({
      ...span,
      spanId: String(n + 1).padStart(16, '0'),
      parentSpanId: String(n).padStart(16, '0'),
    }));
    assert.equal(waterfall(chain, PLAIN).length, 10_000);
  });
});

describe('colour', () => {
  test('only when asked for, and taken away the text is the same', () => {
    const painted = waterfall(makeExchange({ error: 'no' }), { width: 80, color: true });
    assert.ok(painted.some((text) => text.includes('\x1b[31m')));
    assert.deepEqual(
      painted.map((text) => stripVTControlCharacters(text)),
      waterfall(makeExchange({ error: 'no' }), PLAIN),
    );
  });
});

describe('durations', () => {
  for (const [ns, text] of [
    [0, '0 ns'],
    [999, '999 ns'],
    [1000, '1.0 µs'],
    [80_100, '80.1 µs'],
    [999_960, '1.00 ms'],
    [12_410_000, '12.41 ms'],
    [999_996_000, '1.00 s'],
    [75_500_000_000, '75.50 s'],
  ] as const) {
    test(text, () => assert.equal(formatNs(ns), text));
  }
});
