import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DELAYS, type Imposed, NARROW_BACKLOG, RELAY_MS } from '../harness/delays.ts';
import { type FileSpan, hopsOf, malformed, type SeenHop, startHopspan } from '../harness/hopspan.ts';
import { freePort } from '../harness/ports.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import { type ClientLog, startBackend, startRelay } from '../harness/traffic.ts';

const NS_PER_S = 1e9;

after(stopLeftovers);

const PROXIES = { Envoy: startEnvoy, nginx: startNginxStream, HAProxy: startHaproxy };

for (const [name, start] of Object.entries(PROXIES)) {
  describe(`a delay at ${name}`, () => {
    const imposed = new Map<string, Imposed>();
    let spans: FileSpan[] = [];
    let hops: readonly SeenHop[] = [];

    before(async () => {
      const backend = await startBackend();
      const narrow = await startBackend({ backlog: NARROW_BACKLOG });
      const delays = { delayToUpstreamMs: RELAY_MS, delayToDownstreamMs: RELAY_MS };
      const relay = await startRelay({ upstreamPort: backend.port, ...delays });
      const [straightPort, relayedPort, narrowPort] = [await freePort(), await freePort(), await freePort()];
      const proxy = await start({
        listeners: [
          { port: straightPort, upstreamPort: backend.port },
          { port: relayedPort, upstreamPort: relay.port },
          { port: narrowPort, upstreamPort: narrow.port },
        ],
      });
      const hopspan = await startHopspan({ targets: [`listen_port: ${straightPort}`] });
      const rig = { proxy, backend, narrow, straightPort, relayedPort, narrowPort };
      for (const { what, impose } of DELAYS) imposed.set(what, await impose(rig));
      await proxy.stop();
      spans = await hopspan.finish();
      hops = hopsOf(spans).hops;
      await Promise.all([backend.stop(), narrow.stop(), relay.stop()]);
    });

    for (const { what, phase } of DELAYS) {
      test(`${what}: ${phase}, and only there`, () => {
        const delay = imposed.get(what);
        assert.ok(delay);
        const { client, measuredNs } = lastExchange(delay.log);
        assert.equal(client.outcome, 'ok');
        const { hop, phases } = only(
          hops.filter(
            ({ hop: { attributes } }) =>
              attributes['client.port'] === client.localPort &&
              attributes['hopspan.exchange.number'] === client.exchange + 1,
          ),
        );
        const times = new Map([...phases.values()].map((span) => [span.name, duration(span)]));
        const said = [...times].map(([each, ns]) => `${each} ${ns}`).join(', ');
        const found = times.get(phase) ?? 0;
        const others = outside([...phases.values()], phase);

        assert.ok(found >= delay.ns, `imposed: ${delay.ns} ns, found: ${said}`);
        assert.ok(duration(hop) <= measuredNs, `the hop took ${duration(hop)}, for the client ${measuredNs}`);
        // All the others together get what the client waited beyond this phase: less than the imposed delay, unless the
        // machine made a delay of its own.
        assert.ok(others <= measuredNs - found, `the client measured ${measuredNs} ns, found: ${said}`);
        for (const [each, ns] of times) {
          const seconds = Number(hop.attributes[`hopspan.${each.replaceAll(' ', '_')}.duration`]);
          assert.ok(Math.abs(seconds * NS_PER_S - ns) < 1, `${each}: ${seconds} s on the hop, ${ns} ns`);
        }
      });
    }

    test('leaves the spans well-formed', () => assert.deepEqual(malformed(spans), []));
  });
}

/**
 * How long other phases ran while the one named did not, nanoseconds. A proxy may connect before it reads the request:
 * phases can run at the same time.
 */
function outside(phases: readonly FileSpan[], name: string): number {
  const one = phases.find((span) => span.name === name);
  const others = phases
    .filter((span) => span !== one)
    .flatMap(({ startNs, endNs }) =>
      one
        ? [
            { startNs, endNs: endNs < one.startNs ? endNs : one.startNs },
            { startNs: startNs > one.endNs ? startNs : one.endNs, endNs },
          ]
        : [{ startNs, endNs }],
    )
    .sort((a, b) => Number(a.startNs - b.startNs));
  let sum = 0n;
  let reached = 0n;
  for (const { startNs, endNs } of others) {
    const from = startNs > reached ? startNs : reached;
    if (endNs > from) sum += endNs - from;
    if (endNs > reached) reached = endNs;
  }
  return Number(sum);
}

/** The last exchange of the only connection, and its duration as the client saw it. */
function lastExchange(log: ClientLog): { client: ClientLog['exchanges'][number]; measuredNs: number } {
  const connection = only(log.connections);
  const client = log.exchanges.at(-1);
  assert.ok(client);
  const fromNs = client.exchange === 0 ? connection.connectStartNs : client.startNs;
  return { client, measuredNs: client.endNs - fromNs };
}

function duration({ startNs, endNs }: FileSpan): number {
  return Number(endNs - startNs);
}

function only<T>(items: readonly T[]): T {
  const [first, ...rest] = items;
  assert.ok(first !== undefined && rest.length === 0, `${items.length} where one was expected`);
  return first;
}
