import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { toOtlpJson } from '../../../src/exporter/otlp-json.ts';
import { collect } from '../../../src/report/collect.ts';
import { type Finding, findingsOf } from '../../../src/report/findings.ts';
import { openInput } from '../../../src/report/input/source.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { at, type ExchangeOptions, makeExchange, makeResource } from '../../harness/make-spans.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
let files = 0;

async function findings(spans: readonly HopSpan[]): Promise<Finding[]> {
  const path = join(folder, `${files++}.jsonl`);
  writeFileSync(path, `${toOtlpJson(spans)}\n`);
  return findingsOf(
    await collect(await openInput(path, { phaseFloorNs: 0, resourceAttributes: {} }), 'test'),
  );
}

interface Made extends ExchangeOptions {
  readonly us?: number;
  readonly upstream?: string;
}

/** An exchange that takes so long, to that upstream. */
function exchange(
  number: number,
  { us = 12_410, upstream = '10.0.0.1:80', ...options }: Made = {},
): HopSpan[] {
  const startUs = number * 1_000_000;
  return makeExchange({ ...{ traceNumber: number, firstSpanNumber: number * 32, startUs }, ...options }).map(
    (span) => {
      if (span.kind === 'SERVER') return { ...span, end: at(startUs + us) };
      if (span.kind !== 'CLIENT') return span;
      return { ...span, attributes: { ...span.attributes, 'peer.service': upstream }, error: options.error };
    },
  );
}

const many = (count: number, of: (number: number) => Made): HopSpan[] =>
  Array.from({ length: count }, (_, number) => exchange(number, of(number))).flat();
const failedWith = (outcome: string): Made => ({
  attributes: { 'hopspan.outcome': outcome },
  error: outcome,
});
const text = (list: readonly Finding[]): string =>
  list.map(({ weight, title, text }) => `${weight}: ${title}: ${text}`).join('\n');

describe('what stands out', () => {
  test('nothing failed; answers of the proxy’s own are no failures', async () => {
    const said = text(
      await findings(many(20, (n) => (n === 3 ? { attributes: { 'hopspan.outcome': 'no_upstream' } } : {}))),
    );
    assert.match(
      said,
      /^plain: No failures: None of 20 hops failed; 1 no_upstream, which are no failures\.$/m,
    );
  });

  test('failures come first, with their number, kind and time', async () => {
    const [first] = await findings(
      many(100, (n) =>
        n === 50 ? failedWith('upstream_reset') : n >= 97 ? failedWith('client_aborted') : {},
      ),
    );
    assert.deepEqual(first, {
      weight: 'bad',
      title: '4.0 % failed',
      text: '4 of 100 hops: 3 client_aborted (03:05:42 to 03:05:44); 1 upstream_reset (at 03:04:55.000).',
    });
  });

  test('the one upstream from which they come, if there are others', async () => {
    const made = (n: number): Made =>
      n % 3 === 0 ? { upstream: '10.0.0.9:80', ...(n % 2 ? failedWith('upstream_reset') : {}) } : {};
    assert.match(
      text(await findings(many(60, made))),
      /^bad: edge: failures come from 10\.0\.0\.9:80: 10\.0\.0\.9:80 has 33 % of the requests of edge, and 10 of its 10 failures\.$/m,
    );
    const even = (n: number): Made => ({
      upstream: `10.0.0.${n % 2}:80`,
      ...(n % 5 ? {} : failedWith('upstream_reset')),
    });
    assert.doesNotMatch(text(await findings(many(60, even))), /failures come from/);
  });

  test('the phase in which slow hops lose their time, and whom it accuses', async () => {
    const slow = (n: number): Made => ({
      us: n === 7 ? 200_000 : 5000 + n,
      attributes: {
        'hopspan.read_wait.duration': n === 7 ? 0.19 : 0.0001,
        'hopspan.upstream_wait.duration': 0.004,
      },
    });
    const said = text(await findings(many(100, slow)));
    assert.match(
      said,
      /^warning: edge :8000: slow in read wait: .*95 % is read wait: 190\.00 ms on average, against 100\.0 µs in the faster half\. .*event loop is busy\.$/m,
    );
    assert.doesNotMatch(text(await findings(many(100, (n) => ({ us: 5000 + n })))), /slow in/);
  });

  test('of a chain: read on at the next proxy', async () => {
    const spans = many(100, (n) => ({
      ...{ us: n === 7 ? 200_000 : 5000, upstream: '127.0.0.1:9000' },
      attributes: { 'hopspan.upstream_wait.duration': n === 7 ? 0.19 : 0.004 },
    }));
    const [hop] = makeExchange({ traceNumber: 7, firstSpanNumber: 5000, resource: makeResource('inner') });
    assert.ok(hop);
    const inner = { ...hop, attributes: { ...hop.attributes, 'network.local.port': 9000 } };
    assert.match(
      text(await findings([...spans, inner])),
      /^plain: edge :8000: slow in upstream wait: .*Its upstream is inner :9000: read on there\.$/m,
    );
  });

  test('events, and an upstream that gets much more than its share', async () => {
    const spans = many(100, (n) => ({ upstream: n < 90 ? '10.0.0.1:80' : '10.0.0.2:80' }));
    const [hop, ...rest] = spans;
    assert.ok(hop);
    const event = { name: 'route changed', time: at(500), attributes: {} };
    const said = text(await findings([{ ...hop, events: [event] }, ...rest]));
    assert.match(
      said,
      /^warning: Events: 1 event in the time of these spans, at 03:04:05\.000: route changed\.$/m,
    );
    assert.match(said, /^warning: edge: uneven: 10\.0\.0\.1:80 got 90 % of 100 requests to 2 upstreams\.$/m);
  });

  test('hops that stand alone for the evidence left a choice', async () => {
    const made = (n: number): Made => (n < 5 ? { attributes: { 'hopspan.pairing.ambiguous': true } } : {});
    assert.match(text(await findings(many(100, made))), /^plain: Unpaired: 5 hops \(5\.0 %\) stand without/m);
  });
});
