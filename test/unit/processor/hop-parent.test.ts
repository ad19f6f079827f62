import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { spanAttributes } from '../../../src/otlp/attributes.ts';
import { createHopParent, type HopParentOptions } from '../../../src/processor/hop-parent.ts';
import { type ForeignSpan, isForeign, type PipelineSpan } from '../../../src/spans/foreign-span.ts';
import type { Attributes, HopResource, HopSpan, HrTime } from '../../../src/spans/hop-span.ts';
import { type ForeignOptions, makeForeign } from '../../harness/foreign-spans.ts';
import { at as after, makeResource } from '../../harness/make-spans.ts';

const OPTIONS: HopParentOptions = { waitMs: 2000, rememberMs: 30_000, maxSpans: 100 };
const TRACE = '5b8efff798038103d269b633813fc60c';
const CALLER = 'ca11e700000000aa';
/** Microseconds of the tests count from here, so that there are some before it. */
const BEGIN_US = 1_000_000;
const at = (us: number): HrTime => after(BEGIN_US + us);
const SERVER = '5e7e700000000001';
const ORIGINAL = 'hopspan.original_parent_span_id';

interface HopParts {
  /** Two hexadecimal digits that make its ids. */
  readonly id: string;
  readonly parent?: string;
  readonly fromUs?: number;
  readonly toUs?: number;
  /** From which the proxy connected. */
  readonly port?: number;
  readonly resource?: HopResource;
  readonly traceId?: string;
  readonly attributes?: Attributes;
}

const hopId = (id: string): string => `a0000000000000${id}`;
const clientId = (id: string): string => `c0000000000000${id}`;

function span(parts: HopParts, kind: 'SERVER' | 'CLIENT', spanId: string, parentSpanId: string): HopSpan {
  const { fromUs = 0, toUs = 10_000, port = 50_001, resource = makeResource('edge') } = parts;
  return {
    ...{ traceId: parts.traceId ?? TRACE, spanId, parentSpanId, traceFlags: 1, name: 'GET', kind },
    ...{ start: at(fromUs), end: at(toUs), events: [], links: [], resource },
    attributes: {
      'network.local.address': '127.0.0.1',
      'network.local.port': port,
      'http.request.method': 'GET',
      ...parts.attributes,
    },
  };
}

/** A hop's SERVER and CLIENT span; the CLIENT's from `fromUs` to `toUs`. */
function hop(parts: HopParts): HopSpan[] {
  return [
    span(parts, 'SERVER', hopId(parts.id), parts.parent ?? CALLER),
    span(parts, 'CLIENT', clientId(parts.id), hopId(parts.id)),
  ];
}

const PEER: Attributes = { 'network.peer.address': '127.0.0.1', 'network.peer.port': 50_001 };

function server(options: Partial<ForeignOptions> = {}): ForeignSpan {
  const { fromUs = 1000, toUs = 9000 } = options;
  return makeForeign({
    ...{ traceId: TRACE, spanId: SERVER, parentSpanId: CALLER, attributes: PEER },
    ...options,
    ...{ fromUs: BEGIN_US + fromUs, toUs: BEGIN_US + toUs },
  });
}

/** All spans come at once; what comes out, application's spans only. */
function decide(spans: readonly PipelineSpan[], options = OPTIONS): ForeignSpan[] {
  const processor = createHopParent(options);
  const out = [...processor.process(spans, 0), ...processor.advance(options.waitMs)];
  assert.equal(out.length, spans.length, 'all spans go on, once');
  assert.equal(processor.held(), 0);
  return out.filter(isForeign);
}

/** Where a SERVER span is put: a parent's id. A span that stays is the very bytes that came. */
function parentOf(spans: readonly PipelineSpan[], own: ForeignSpan): string | undefined {
  const found = decide([...spans, own]).find(({ spanId }) => spanId === own.spanId);
  assert.ok(found);
  if (found.parentSpanId === own.parentSpanId) {
    assert.deepEqual(Buffer.from(found.bytes), Buffer.from(own.bytes));
    return found.parentSpanId;
  }
  assert.deepEqual(spanAttributes(found.bytes), {
    ...spanAttributes(own.bytes),
    [ORIGINAL]: own.parentSpanId,
  });
  return found.parentSpanId;
}

const NO_PEER = server({ attributes: {} });

describe('a SERVER span goes under the hop that carried its request', () => {
  test('by the address from which the application was called', () => {
    assert.equal(parentOf(hop({ id: '01' }), server()), clientId('01'));
  });

  test('by the names of older conventions, ports as text, mapped addresses', () => {
    const older: Attributes[] = [
      { 'net.sock.peer.addr': '127.0.0.1', 'net.sock.peer.port': 50_001 },
      { 'net.peer.ip': '::ffff:127.0.0.1', 'net.peer.port': '50001' },
    ];
    for (const attributes of older)
      assert.equal(parentOf(hop({ id: '01' }), server({ attributes })), clientId('01'));
  });

  test('by time where it does not tell a port', () => {
    assert.equal(parentOf(hop({ id: '01' }), NO_PEER), clientId('01'));
    const address = server({ attributes: { 'network.peer.address': '127.0.0.1' } });
    assert.equal(parentOf(hop({ id: '01' }), address), clientId('01'));
  });

  test('though its clock is a little off, or it goes on after its answer', () => {
    assert.equal(parentOf(hop({ id: '01' }), server({ fromUs: -900, toUs: 900_000 })), clientId('01'));
    const early = server({ fromUs: -900, attributes: {} });
    assert.equal(parentOf(hop({ id: '01' }), early), clientId('01'));
  });

  test('and keeps everything else', () => {
    const own = server({ attributes: { ...PEER, other: 'x' } });
    const [moved] = decide([...hop({ id: '01' }), own]);
    assert.ok(moved);
    assert.deepEqual({ ...moved, parentSpanId: '', bytes: '' }, { ...own, parentSpanId: '', bytes: '' });
    assert.equal(moved.bytes.length, own.bytes.length + 55, 'its one attribute more');
    assert.equal(moved.origin, own.origin);
  });
});

describe('a chain of proxies', () => {
  const inner = makeResource('inner');
  const chain = (): HopSpan[] => [
    ...hop({ id: '01', fromUs: 0, toUs: 10_000, port: 50_001 }),
    ...hop({ id: '02', parent: clientId('01'), fromUs: 500, toUs: 9500, port: 50_002, resource: inner }),
  ];
  test('the last hop has the span, by address and by time', () => {
    const called = server({ attributes: { ...PEER, 'network.peer.port': 50_002 } });
    assert.equal(parentOf(chain(), called), clientId('02'));
    assert.equal(parentOf(chain(), NO_PEER), clientId('02'));
  });
  test('in whatever order they come', () => {
    const spans = chain();
    for (const order of [spans.toReversed(), [spans[3], spans[0], spans[2], spans[1]]])
      assert.equal(parentOf(order as HopSpan[], NO_PEER), clientId('02'));
  });
  test('a chain with a gap is not jumped', () => {
    const [, , ...last] = chain();
    assert.equal(parentOf(last, NO_PEER), CALLER);
  });
  test('a proxy is not taken for the one behind it', () => {
    assert.equal(
      parentOf(chain().slice(0, 2), server({ attributes: { 'network.peer.port': 50_002 } })),
      CALLER,
    );
  });
});

describe('retries and several requests of one caller', () => {
  const twice = (): HopSpan[] => [
    ...hop({ id: '01', toUs: 10_000, port: 50_001 }),
    span({ id: '01', fromUs: 20_000, toUs: 30_000, port: 50_002 }, 'CLIENT', clientId('99'), hopId('01')),
  ];
  test('the connection tells which attempt it was', () => {
    const second = { fromUs: 21_000, toUs: 29_000 };
    assert.equal(parentOf(twice(), server()), clientId('01'));
    const attributes = { ...PEER, 'network.peer.port': 50_002 };
    assert.equal(parentOf(twice(), server({ ...second, attributes })), clientId('99'));
  });
  test('or the time', () => {
    assert.equal(parentOf(twice(), NO_PEER), clientId('01'));
    assert.equal(parentOf(twice(), server({ fromUs: 21_000, toUs: 29_000, attributes: {} })), clientId('99'));
  });
  test('one connection that carried both is told apart by the time', () => {
    const kept = [...hop({ id: '01', toUs: 10_000 }), ...hop({ id: '02', fromUs: 20_000, toUs: 30_000 })];
    assert.equal(parentOf(kept, server()), clientId('01'));
    assert.equal(parentOf(kept, server({ fromUs: 21_000, toUs: 29_000 })), clientId('02'));
  });
  test('where both fit it stays', () => {
    const both = [...hop({ id: '01' }), ...hop({ id: '02' })];
    assert.equal(parentOf(both, server()), CALLER);
    assert.equal(parentOf(both, NO_PEER), CALLER);
  });
  test('two spans that fit one hop by their time alone both stay', () => {
    const spans = [...hop({ id: '01' }), NO_PEER, server({ spanId: '5e7e700000000002', attributes: {} })];
    assert.deepEqual(
      decide(spans).map(({ parentSpanId }) => parentSpanId),
      [CALLER, CALLER],
    );
  });
  test('one that comes after another has the place stays, too', () => {
    const processor = createHopParent(OPTIONS);
    processor.process([...hop({ id: '01' }), server()], 0);
    assert.equal(processor.advance(2000).filter(isForeign)[0]?.parentSpanId, clientId('01'));
    processor.process([server({ spanId: '5e7e700000000002', attributes: {} })], 2500);
    assert.equal(processor.advance(4500).filter(isForeign)[0]?.parentSpanId, CALLER);
    assert.deepEqual(processor.stats, { moved: 1, undecided: 1, hurried: 0 });
  });
});

describe('what is no evidence moves nothing', () => {
  const cases: Record<string, [HopSpan[], ForeignSpan]> = {
    'another trace': [hop({ id: '01', traceId: `${TRACE.slice(1)}d` }), server()],
    'another caller': [hop({ id: '01', parent: 'ca11e700000000bb' }), server()],
    'another port': [hop({ id: '01', port: 50_777 }), server()],
    'another address': [
      hop({ id: '01' }),
      server({ attributes: { ...PEER, 'network.peer.address': '10.0.0.7' } }),
    ],
    'another time on the same connection': [hop({ id: '01' }), server({ fromUs: 20_000, toUs: 21_000 })],
    'a span longer than its hop, by time': [hop({ id: '01' }), server({ toUs: 30_000, attributes: {} })],
    'a span that holds its hop, as the proxy does': [
      hop({ id: '01' }),
      server({ fromUs: -100, toUs: 10_100, attributes: {} }),
    ],
    'another method, by time': [hop({ id: '01' }), server({ attributes: { 'http.request.method': 'POST' } })],
    "the proxy's own tracing": [hop({ id: '01' }), server({ resource: { 'service.name': 'edge' } })],
    "the proxy's process under another name": [
      hop({ id: '01' }),
      server({ resource: { 'service.name': 'e', 'process.pid': 4711, 'host.name': 'host-a' } }),
    ],
    'an id that is a hop as well': [hop({ id: '01' }), server({ spanId: hopId('01') })],
    'a circle of hops': [
      [
        span({ id: '01' }, 'SERVER', hopId('01'), CALLER),
        span({ id: '01' }, 'CLIENT', clientId('01'), hopId('01')),
        span({ id: '02' }, 'SERVER', hopId('01'), clientId('01')),
      ],
      server(),
    ],
    'more requests than can be told apart': [
      Array.from({ length: 1100 }, (_, n) => hop({ id: '01', port: n + 1 })).flat(),
      server(),
    ],
  };
  for (const [name, [spans, own]] of Object.entries(cases)) {
    test(name, () => {
      const processor = createHopParent({ ...OPTIONS, maxSpans: 10_000 });
      processor.process([...spans, own], 0);
      const [left] = processor.advance(2000).filter(isForeign);
      assert.equal(left?.parentSpanId, CALLER);
      assert.equal(left.bytes.length, own.bytes.length);
    });
  }

  test('other kinds and roots go through at once', () => {
    const processor = createHopParent(OPTIONS);
    for (const kind of [0, 1, 3, 4, 5]) {
      const own = server({ kind });
      assert.deepEqual(processor.process([...hop({ id: '01' }), own], 0).at(-1), own);
    }
    const { parentSpanId: _, ...root } = {
      traceId: TRACE,
      spanId: SERVER,
      fromUs: 0,
      toUs: 1,
      parentSpanId: '',
    };
    const made = makeForeign(root);
    assert.deepEqual(processor.process([made], 0), [made]);
    assert.equal(processor.held(), 0);
  });
});

describe('late spans, and too many', () => {
  test("hops go on at once, an application's span when its time has come", () => {
    const processor = createHopParent(OPTIONS);
    assert.deepEqual(processor.process([server()], 1000), []);
    assert.deepEqual(processor.advance(2999), []);
    const hops = hop({ id: '01' });
    assert.deepEqual(processor.process(hops, 2999), hops, 'the hop is late');
    assert.equal(processor.advance(3000).filter(isForeign)[0]?.parentSpanId, clientId('01'));
  });

  test("a hop is remembered for an application's span that is late, and no longer", () => {
    for (const [sentMs, parent] of [
      [27_900, clientId('01')],
      [28_100, CALLER],
    ] as const) {
      const processor = createHopParent(OPTIONS);
      processor.process(hop({ id: '01' }), 0);
      for (let ms = 0; ms < sentMs; ms += 100) processor.advance(ms);
      processor.process([server()], sentMs);
      for (let ms = sentMs; ms < sentMs + 2000; ms += 100) assert.deepEqual(processor.advance(ms), []);
      assert.equal(processor.advance(sentMs + 2000).filter(isForeign)[0]?.parentSpanId, parent);
    }
  });

  test('the end does not wait', () => {
    const processor = createHopParent(OPTIONS);
    processor.process([server(), ...hop({ id: '01' })], 0);
    assert.equal(processor.flush(1).filter(isForeign)[0]?.parentSpanId, clientId('01'));
    assert.equal(processor.held(), 0);
  });

  test('of too many that wait the oldest go on as they are', () => {
    const processor = createHopParent({ ...OPTIONS, maxSpans: 2 });
    processor.process(hop({ id: '01' }), 0);
    const three = ['1', '2', '3'].map((digit) => server({ spanId: `5e7e70000000000${digit}` }));
    const [hurried, ...more] = processor.process(three, 0);
    assert.deepEqual([hurried?.spanId, more.length, processor.held()], [three[0]?.spanId, 0, 2]);
    assert.equal((hurried as ForeignSpan).parentSpanId, CALLER);
    assert.equal(processor.stats.hurried, 1);
  });

  test('long spans are bounded by their bytes', () => {
    const processor = createHopParent(OPTIONS);
    const long = server({ attributes: { ...PEER, text: 'x'.repeat(8 * 1024 * 1024) } });
    for (let count = 0; count < 20; count++) processor.process([long], 0);
    assert.ok(processor.held() <= 8, String(processor.held()));
    assert.equal(processor.held() + (processor.stats.hurried ?? 0), 20);
    const hurried = processor.stats.hurried;
    processor.flush(0);
    for (let count = 0; count < 7; count++) processor.process([long], 0);
    assert.deepEqual(
      [processor.held(), processor.stats.hurried],
      [7, hurried],
      'what has gone takes no room',
    );
  });

  test('of too many hops the oldest are forgotten', () => {
    const processor = createHopParent({ ...OPTIONS, maxSpans: 4 });
    for (const id of ['01', '02', '03'])
      processor.process(hop({ id, traceId: TRACE.slice(0, 30) + id, port: 50_001 }), 0);
    const asked = ['01', '02', '03'].map((id) => server({ traceId: TRACE.slice(0, 30) + id }));
    processor.process(asked, 0);
    const parents = processor
      .flush(0)
      .filter(isForeign)
      .map(({ parentSpanId }) => parentSpanId);
    assert.deepEqual(parents, [CALLER, clientId('02'), clientId('03')]);
  });

  test('the same calls give the same spans again', () => {
    const run = (): readonly PipelineSpan[] => {
      const processor = createHopParent(OPTIONS);
      return [...processor.process([server(), ...hop({ id: '01' })], 5), ...processor.advance(2005)];
    };
    assert.deepEqual(run(), run());
  });
});
