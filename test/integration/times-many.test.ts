import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type FileSpan, hopsOf, malformed, type SeenHop, startHopspan } from '../harness/hopspan.ts';
import { stopLeftovers } from '../harness/process.ts';
import { ANSWER_HEADER_BYTES, framedRequest } from '../harness/protocol.ts';
import { startEnvoy, startHaproxy, startNginxStream } from '../harness/proxies.ts';
import { runClient, startBackend } from '../harness/traffic.ts';
import { type ExchangeTruth, joinByConnection } from '../harness/truth.ts';

const NS_PER_MS = 1e6;
const CONNECTIONS = 200;
const EXCHANGES = 16;
/** All open at once, so that no port is used twice. */
const LOAD = {
  connections: CONNECTIONS,
  exchanges: EXCHANGES,
  requestBytes: { min: 20, max: 200_000 },
  answerBytes: { min: 12, max: 300_000 },
  thinkMs: { min: 0, max: 30 },
};
const OWN_EXCHANGES = 100;
/**
 * How far a hop may reach beyond the exchange as a clock of this process saw it: hopspan takes 0.2 ms for the noise of
 * reading two clocks and follows only what is more (src/receiver/clock.ts); our own two readings get half of that.
 */
const CLOCK_TOLERANCE_MS = 0.3;

after(stopLeftovers);

interface Judged extends SeenHop, ExchangeTruth {
  /** From the client's first step to the answer's last byte; connecting is part of a connection's first exchange. */
  readonly measuredNs: number;
}

interface OwnExchange {
  readonly port: number;
  readonly exchange: number;
  /** Milliseconds since the epoch, with a fraction. */
  readonly startMs: number;
  readonly endMs: number;
}

const PROXIES = { Envoy: startEnvoy, nginx: startNginxStream, HAProxy: startHaproxy };

for (const [name, start] of Object.entries(PROXIES)) {
  describe(`the times of thousands of exchanges at ${name}`, () => {
    let spans: FileSpan[] = [];
    let judged: Judged[] = [];
    let own: OwnExchange[] = [];
    let hops = new Map<string, SeenHop>();

    before(async () => {
      const backend = await startBackend();
      const proxy = await start({ listeners: [{ upstreamPort: backend.port }] });
      const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
      const log = await runClient({ port: proxy.port, ...LOAD });
      const truth = joinByConnection(log, await backend.log());
      own = await exchangeOurselves(proxy.port);
      await proxy.stop();
      spans = await hopspan.finish();
      await backend.stop();
      hops = new Map(
        hopsOf(spans)
          .hops.filter(({ hop }) => hop.name.startsWith('tcp proxy'))
          .map((seen) => [
            key(seen.hop.attributes['client.port'], seen.hop.attributes['hopspan.exchange.number']),
            seen,
          ]),
      );
      judged = log.connections.flatMap(({ connId, connectStartNs }) =>
        (truth.get(connId)?.exchanges ?? []).map((exchange) => {
          const { client } = exchange;
          const seen = hops.get(key(client.localPort, client.exchange + 1));
          assert.ok(seen, `no hop of exchange ${client.exchange} of connection ${connId}`);
          const fromNs = client.exchange === 0 ? connectStartNs : client.startNs;
          return { ...seen, ...exchange, measuredNs: client.endNs - fromNs };
        }),
      );
    });

    test('children lie within their parents, nothing ends before it starts', () => {
      assert.equal(judged.length, CONNECTIONS * EXCHANGES);
      assert.deepEqual(malformed(spans), []);
    });

    test('the phases of a hop follow each other', () => {
      for (const { phases } of judged) {
        const inTime = [...phases.values()].toSorted((a, b) =>
          Number(a.startNs - b.startNs || a.endNs - b.endNs),
        );
        for (const [at, phase] of inTime.entries()) {
          const next = inTime[at + 1];
          if (next === undefined || (phase.name === 'connect' && next.name === 'read wait')) continue; // may be done at once
          assert.ok(next.startNs >= phase.endNs, `${next.name} begins within ${phase.name}`);
        }
      }
    });

    test('from the first byte on a connection kept alive the phases leave no time untold', () => {
      const later = judged.filter(({ client }) => client.exchange > 0);
      assert.equal(later.length, CONNECTIONS * (EXCHANGES - 1));
      for (const { hop, phases } of later) {
        const told = [...phases.values()].reduce((sum, span) => sum + span.endNs - span.startNs, 0n);
        assert.equal(told, hop.endNs - hop.startNs, describePhases(phases));
      }
    });

    test('no hop took longer than the client says, no upstream wait less than the backend says', () => {
      for (const { hop, phases, backend, measuredNs } of judged) {
        assert.ok(duration(hop) <= measuredNs, `${duration(hop)} ns, for the client ${measuredNs}`);
        const wait = phases.get('upstream wait');
        assert.ok(wait && backend);
        const thoughtNs = backend.answerStartNs - backend.receivedNs;
        assert.ok(duration(wait) >= thoughtNs, `${duration(wait)} ns, for the backend ${thoughtNs}`);
      }
    });

    test("the wall clock agrees with the client's own", () => {
      assert.equal(own.length, OWN_EXCHANGES);
      for (const { port, exchange, startMs, endMs } of own) {
        const seen = hops.get(key(port, exchange));
        assert.ok(seen);
        const [hopStartMs, hopEndMs] = [
          Number(seen.hop.startNs) / NS_PER_MS,
          Number(seen.hop.endNs) / NS_PER_MS,
        ];
        assert.ok(hopStartMs >= startMs - CLOCK_TOLERANCE_MS, `${hopStartMs} is before ${startMs}`);
        assert.ok(hopEndMs <= endMs + CLOCK_TOLERANCE_MS, `${hopEndMs} is after ${endMs}`);
      }
    });
  });
}

/** One after the other on one connection of this process, timed by its own wall clock. */
async function exchangeOurselves(port: number): Promise<OwnExchange[]> {
  const now = wallClock();
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const own: OwnExchange[] = [];
  for (let exchange = 0; exchange <= OWN_EXCHANGES; exchange++) {
    const header = {
      connId: CONNECTIONS,
      exchange,
      answerBytes: ANSWER_HEADER_BYTES,
      thinkMs: 0,
      fault: 'none',
    } as const;
    const request = framedRequest(100, header);
    const answered = new Promise<number>((resolve) => socket.once('data', () => resolve(now())));
    const startMs = now();
    socket.write(request);
    const endMs = await answered;
    // The first exchange's hop begins with the connection.
    if (exchange > 0) own.push({ port: socket.localPort ?? 0, exchange: exchange + 1, startMs, endMs });
  }
  socket.destroy();
  return own;
}

/**
 * Date's clock with a fraction of a millisecond. `performance` has the fraction, but took its origin from the wall clock
 * when the process began; the moments at which Date goes on to the next millisecond show by how much they differ.
 */
function wallClock(): () => number {
  const read = (): number => performance.timeOrigin + performance.now();
  let ahead = Number.POSITIVE_INFINITY;
  for (let tick = 0; tick < 10; tick++) {
    const before = Date.now();
    let date = before;
    while (date === before) date = Date.now();
    ahead = Math.min(ahead, read() - date); // a late reading makes it more
  }
  return () => read() - ahead;
}

function key(port: unknown, exchange: unknown): string {
  return `${port} ${exchange}`;
}

function duration({ startNs, endNs }: FileSpan): number {
  return Number(endNs - startNs);
}

function describePhases(phases: SeenHop['phases']): string {
  return [...phases.values()].map((span) => `${span.name} ${duration(span)}`).join(', ');
}
