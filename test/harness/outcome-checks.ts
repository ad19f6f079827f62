import assert from 'node:assert/strict';
import { CLOSE_TOGETHER_NS } from '../../src/correlate/set-up-and-end.ts';
import { OUTCOMES } from '../../src/spans/outcome.ts';
import type { OutcomeRun, SeenConnection } from './outcome-run.ts';
import { type ProxyKind, type Scenario, wordsOf } from './outcome-scenarios.ts';

export function expectedOf(scenario: Scenario, kind: ProxyKind): Pick<Scenario, 'outcome' | 'closed'> {
  return scenario.differs?.[kind] ?? scenario;
}

/** What hopspan says of the scenario's connections, one by one beside what the proxy's log says of the same. */
export function checkOutcome(run: OutcomeRun, scenario: Scenario): void {
  const expected = expectedOf(scenario, run.kind);
  const seen = run.seen.get(scenario) ?? [];
  assert.equal(seen.length, scenario.client.connections ?? run.connections);
  for (const connection of seen) {
    const [only, ...others] = connection.hops;
    assert.ok(only && others.length === 0, `${connection.hops.length} hops of one connection`);
    const [end] = connection.apart;
    if (end) {
      /* Where the machine stood still before the connection's end, that has a span of its own. */
      const gapNs = Number(end.endNs - only.hop.endNs);
      assert.ok(gapNs >= CLOSE_TOGETHER_NS, `the end stands apart, ${gapNs} ns after the exchange`);
      continue;
    }
    const { attributes, error } = only.hop;
    const words = wordsOf(connection.entry);
    assert.match(words, scenario.words[run.kind] ?? /./);
    if (saysLess(run, connection)) continue;
    assert.equal(
      attributes['hopspan.outcome'],
      expected.outcome,
      `the proxy said ${words}; ${JSON.stringify(attributes)}`,
    );
    const closed = `${attributes['hopspan.close.by']} ${attributes['hopspan.close.how']}`;
    assert.ok((expected.closed as readonly string[]).includes(closed), `closed by ${closed}; ${words}`);
    assert.equal(error, OUTCOMES[expected.outcome] ?? '');
    assert.equal(attributes['error.type'], error === '' ? undefined : expected.outcome);
    /* The same connection in the proxy's log: what it names is what hopspan names, or nothing. */
    const local = connection.entry.upstreamLocalPort;
    for (const upstream of only.upstreams) {
      assert.equal(upstream.attributes['hopspan.outcome'], expected.outcome);
      if (local !== undefined && connection.entry.flags !== 'SC' && connection.entry.flags !== 'sC')
        assert.equal(upstream.attributes['network.local.port'], local);
    }
    if (attributes['hopspan.pairing'] === 'none') assert.equal(only.upstreams.length, 0);
    if (expected.outcome === 'no_upstream') assert.equal(only.upstreams.length, 0);
  }
}

/**
 * HAProxy's threads hand connections to each other and connect for many in one go, so that of a connection that reached no
 * upstream it may not be known which attempts were made for it: then it says so, and that there was no answer.
 */
function saysLess({ kind }: OutcomeRun, { hops, entry }: SeenConnection): boolean {
  const attributes = hops[0]?.hop.attributes;
  const reachedNobody = entry.flags === 'SC' || entry.flags === 'sC';
  return (
    kind === 'haproxy' &&
    reachedNobody &&
    attributes?.['hopspan.pairing.ambiguous'] === true &&
    attributes['hopspan.outcome'] === 'proxy_reset'
  );
}

/** An answered exchange is ok; the end comes much later, on a span of the connection's own that is linked to it. */
export function checkIdle(run: OutcomeRun, scenario: Scenario): void {
  if (scenario.outcome !== 'idle_closed') {
    checkOutcome(run, scenario);
    return;
  }
  const seen = run.seen.get(scenario) ?? [];
  assert.equal(seen.length, run.connections);
  for (const { hops, apart, entry } of seen) {
    const [exchange, connection] = [hops[0]?.hop, apart[0]];
    assert.ok(exchange && connection && hops.length === 1 && apart.length === 1);
    assert.match(wordsOf(entry), scenario.words[run.kind] ?? /./);
    assert.match(exchange.name, /^tcp proxy :\d+$/);
    assert.equal(exchange.attributes['hopspan.outcome'], 'ok');
    assert.equal(exchange.attributes['hopspan.close.by'], undefined);
    assert.match(connection.name, /^tcp connection :\d+$/);
    assert.equal(connection.attributes['hopspan.outcome'], 'idle_closed');
    assert.equal(connection.attributes['hopspan.close.by'], 'proxy');
    assert.equal(connection.error, '');
    assert.notEqual(connection.traceId, exchange.traceId);
    assert.deepEqual(
      connection.links.map(({ spanId }) => spanId),
      [exchange.spanId],
    );
  }
}
