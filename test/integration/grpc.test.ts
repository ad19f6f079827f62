import assert from 'node:assert/strict';
import { connect, constants } from 'node:http2';
import { after, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import {
  type Call,
  type CallPlan,
  type GrpcServer,
  KINDS,
  messagesOf,
  runGrpcCalls,
  startGrpcServer,
} from '../harness/grpc-calls.ts';
import { hopsOf, malformed, type SeenHop, startHopspan } from '../harness/hopspan.ts';
import { stopLeftovers } from '../harness/process.ts';
import { http2Cluster, startEnvoy } from '../harness/proxies.ts';
import { createRandom } from '../harness/random.ts';

after(stopLeftovers);

const ROUNDING_MS = 1e-6;
/** What a call may end with when the server finds that it is too late. */
const LATE = ['DEADLINE_EXCEEDED', 'CANCELLED', 'upstream_reset', 'proxy_reset'];

const MODES = { 'relays bytes': {}, 'speaks it itself': { http: {}, cluster: http2Cluster() } };

/** Runs `talk` through Envoy to gRPC's own server; the hops by the trace id that their calls carry. */
async function watch<T>(
  mode: object,
  talk: (port: number, server: GrpcServer) => Promise<T>,
): Promise<{ result: T; server: GrpcServer; hops: Map<string, SeenHop> }> {
  const server = await startGrpcServer();
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: server.port }], concurrency: 2, ...mode });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });
  const result = await talk(proxy.port, server);
  await proxy.stop();
  const spans = await hopspan.finish();
  await server.stop();
  const { hops } = hopsOf(spans);
  const calls = hops.filter(({ hop }) => hop.attributes['rpc.method'] !== undefined);
  const callers = new Set(calls.map(({ hop }) => hop.parentSpanId));
  assert.deepEqual(malformed(spans, callers).slice(0, 5), []);
  assert.equal(new Set(calls.map(({ hop }) => hop.traceId)).size, calls.length, 'one hop for each call');
  return { result, server, hops: new Map(calls.map((seen) => [seen.hop.traceId, seen])) };
}

const traceOf = (traceparent: string): string => traceparent.slice(3, 35);

/** What the spans of a call say, in the order request, answer. */
function counts({ attributes }: SeenHop['hop']): unknown[] {
  return [attributes['hopspan.grpc.request.messages'], attributes['hopspan.grpc.response.messages']];
}

/** Complaints about calls that have run to their end. */
function judge(calls: readonly Call[], hops: ReadonlyMap<string, SeenHop>, server: GrpcServer): string[] {
  return calls.flatMap(({ plan, traceparent, client, code }) => {
    const seen = hops.get(traceOf(traceparent));
    const arrived = server.calls.get(traceparent);
    if (!seen || !arrived) return [`${JSON.stringify(plan)}: no hop`];
    const { hop, upstreams } = seen;
    const facts = {
      method: [hop.attributes['rpc.method'], `test.Streams/${plan.kind}`],
      status: [hop.attributes['rpc.status_code'], status[code]],
      downstream: [String(counts(hop)), String([client.sent, client.received])],
      upstream: [String(upstreams.map(counts)), String([[arrived.received, arrived.sent]])],
    };
    const wrong = Object.entries(facts).filter(([, [is, should]]) => is !== should);
    const first = [hop, ...upstreams].map(({ attributes }) =>
      Number(attributes['hopspan.first_message.duration']),
    );
    if (
      client.received > 0 &&
      !first.every((seconds) => seconds > 0 && seconds * 1000 <= hop.durationMs + ROUNDING_MS)
    ) {
      return [`first message after ${first} s of ${hop.durationMs} ms`];
    }
    return wrong.map(([name, [is, should]]) => `${JSON.stringify(plan)}: ${name} ${is} instead of ${should}`);
  });
}

for (const [name, mode] of Object.entries(MODES)) {
  describe(`gRPC through Envoy that ${name}`, () => {
    it('counts the messages of calls of all kinds, many at once', async () => {
      const random = createRandom(11);
      const plans: CallPlan[] = Array.from({ length: 400 }, (_, n) => {
        const kind = KINDS[n % KINDS.length] as CallPlan['kind'];
        const streams = { ClientStream: [40, 1], ServerStream: [1, 40], Bidi: [40, 10], Unary: [1, 1] }[kind];
        const [requests, answers] = streams.map((most) => 1 + Math.floor(random() * most)) as [
          number,
          number,
        ];
        return { kind, requests, answers, bytes: random() < 0.5 ? 200 : 6000 };
      });
      const { result, server, hops } = await watch(mode, (port) => runGrpcCalls(port, plans));
      assert.deepEqual(judge(result, hops, server).slice(0, 5), []);
      assert.equal(hops.size, plans.length);
    });

    it('counts many small messages, and large ones over many frames', async () => {
      const plans: CallPlan[] = [
        { kind: 'Bidi', requests: 5000, answers: 5000, bytes: 160 },
        { kind: 'ServerStream', requests: 1, answers: 30_000, bytes: 120 },
        ...Array.from(
          { length: 4 },
          (): CallPlan => ({ kind: 'Bidi', requests: 12, answers: 4, bytes: 600_000 }),
        ),
        { kind: 'Unary', requests: 1, answers: 1, bytes: 4_000_000 },
      ];
      const { result, server, hops } = await watch(mode, (port) => runGrpcCalls(port, plans));
      assert.deepEqual(judge(result, hops, server), []);
    });

    it('says how far calls went that the client gave up, or the server ended early', async () => {
      const plans: CallPlan[] = Array.from(
        { length: 8 },
        (_, n) =>
          [
            { kind: 'ServerStream', requests: 1, answers: 10, bytes: 300, cancelAfter: 10 },
            { kind: 'Bidi', requests: 3, answers: 5 + n, bytes: 300, deadlineMs: 400 },
            { kind: 'Bidi', requests: 1, answers: 3, bytes: 300, early: status.ABORTED },
            { kind: 'ClientStream', requests: 200, answers: 1, bytes: 300, early: status.INVALID_ARGUMENT },
          ] satisfies CallPlan[],
      ).flat();
      const { result, server, hops } = await watch(mode, (port) => runGrpcCalls(port, plans));
      const said = result.map(({ plan, traceparent, client }) => {
        const hop = hops.get(traceOf(traceparent))?.hop;
        const [requests, answers] = hop ? counts(hop) : [];
        const arrived = server.calls.get(traceparent);
        const most = Number(requests) <= client.sent && Number(requests) >= (arrived?.received ?? 0);
        const outcome = hop?.attributes['hopspan.outcome'];
        const statusCode = hop?.attributes['rpc.status_code'];
        /* The server knows the deadline, too, and may be the first. */
        const isServers = plan.deadlineMs !== undefined && LATE.includes(String(statusCode ?? outcome));
        return {
          ...{ kind: plan.kind, most, answers: Number(answers) - client.received },
          ...(isServers ? { outcome: 'client_aborted', statusCode: undefined } : { outcome, statusCode }),
        };
      });
      const gone = { most: true, answers: 0, outcome: 'client_aborted', statusCode: undefined };
      const expected = plans.map(({ kind, early }) => {
        if (early === undefined) return { kind, ...gone };
        return { kind, most: true, answers: 0, outcome: 'ok', statusCode: status[early] };
      });
      assert.deepEqual(said, expected);
    });

    it('counts messages that are padded, and cut anywhere, of streams that take turns', async () => {
      const streams = 40;
      const { result, hops } = await watch(mode, (port) => paddedCalls(port, streams));
      for (const [trace, messages] of result) {
        const seen = hops.get(trace);
        assert.ok(seen, trace);
        assert.equal(counts(seen.hop)[0], messages, `downstream ${trace}`);
        assert.deepEqual(
          seen.upstreams.map((upstream) => counts(upstream)[0]),
          [messages],
          `${trace} ${JSON.stringify(seen.hop.attributes)}`,
        );
      }
      assert.equal(hops.size, streams);
    });
  });
}

/** Calls by Node's HTTP/2 with padding in every frame, pieces of each in turns; messages by trace id. */
async function paddedCalls(port: number, count: number): Promise<Map<string, number>> {
  const random = createRandom(5);
  const session = connect(`http://127.0.0.1:${port}`, { paddingStrategy: constants.PADDING_STRATEGY_MAX });
  session.on('error', () => {});
  const sent = new Map<string, number>();
  const lanes = Array.from({ length: count }, async (_, n) => {
    const trace = `c${n.toString(16).padStart(31, '0')}`;
    const stream = session.request({
      ...{ ':method': 'POST', ':path': '/test.Streams/ClientStream', te: 'trailers' },
      'content-type': 'application/grpc+proto',
      traceparent: `00-${trace}-${'d'.repeat(16)}-01`,
    });
    stream.on('error', () => {});
    stream.resume();
    const closed = new Promise((resolve) => stream.once('close', resolve));
    const plan = JSON.stringify({
      kind: 'ClientStream',
      requests: 1,
      answers: 1,
      bytes: 10,
    } satisfies CallPlan);
    const messages = [Buffer.from(plan), ...messagesOf(10 + n, 3000, n)];
    sent.set(trace, messages.length);
    const body = Buffer.concat(messages.flatMap((message) => [prefixOf(message), message]));
    for (let at = 0; at < body.length; ) {
      const end = at + 1 + Math.floor(random() * random() * 4000);
      await new Promise<void>((resolve) => stream.write(body.subarray(at, end), () => resolve()));
      at = end;
    }
    stream.end();
    await closed;
  });
  await Promise.all(lanes);
  await new Promise<void>((resolve) => session.close(resolve));
  return sent;
}

function prefixOf(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return prefix;
}
