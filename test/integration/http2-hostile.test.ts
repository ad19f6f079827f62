import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { hopsOf, malformed, type RunningHopspan, type SeenHop, startHopspan } from '../harness/hopspan.ts';
import { judgeHttp } from '../harness/http-match.ts';
import { startHttp2Backend } from '../harness/http2-backend.ts';
import { runHttp2Client } from '../harness/http2-client.ts';
import { brokenHttp2Stream, bytesBehindFrames } from '../harness/http2-mutations.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { createRandom } from '../harness/random.ts';

after(stopLeftovers);

const CASES = Number(process.env.HOPSPAN_HOSTILE_CASES ?? 10_000);
const FIRST = Number(process.env.HOPSPAN_HOSTILE_FIRST ?? 0);
const CONCURRENCY = 64;
const MAX_TRIES = 60;
const TRY_AGAIN_MS = 500;
/** More than this makes hopspan fail. */
const MAX_HEAP_MB = 96;

/** The server answers the first bytes, be they half a preface: then nobody says that it is HTTP/2. */
const hasWholePreface = (index: number): boolean => index % 4 !== 0;
const MAX_BEGIN_BYTES = 200;

interface Sent {
  readonly localPort: number;
  /** Of the case. */
  readonly index: number;
  readonly requests: Buffer;
  readonly answers: Buffer;
}

/** In a few pieces, cut anywhere behind `whole` bytes. */
async function write(socket: Socket, bytes: Buffer, random: () => number, whole = 0): Promise<void> {
  const cuts = Array.from({ length: Math.floor(random() * 6) }, () =>
    Math.max(Math.min(whole, bytes.length), Math.floor(random() * bytes.length)),
  );
  let from = 0;
  for (const to of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    await new Promise<void>((resolve) => socket.write(bytes.subarray(from, to), () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
    from = to;
  }
}

test(`${CASES} broken HTTP/2 streams: nothing is made up or told twice, and others stay right`, async () => {
  let accepted = FIRST;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const random = createRandom(2e6 + accepted++);
    socket.on('error', () => {});
    socket.once('data', async () => {
      await write(socket, brokenHttp2Stream(random, 'answers'), random);
    });
    socket.once('end', () => socket.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1024, resolve));
  after(() => server.close());
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  const backend = await startHttp2Backend();
  const proxy = await startEnvoy({
    listeners: [{ upstreamPort: address.port }, { upstreamPort: backend.port }],
    concurrency: 2,
  });
  const [brokenPort, goodPort] = proxy.listeners.map(({ port }) => port) as [number, number];
  const hopspan = await startHopspan({
    targets: [`listen_port: ${brokenPort}`],
    launcher: ['/usr/bin/env', `NODE_OPTIONS=--max-old-space-size=${MAX_HEAP_MB}`],
  });

  const sent: Sent[] = [];
  let next = FIRST;
  const lane = async (): Promise<void> => {
    while (next < FIRST + CASES) {
      const index = next++;
      const random = createRandom(index);
      const socket = connect({ port: brokenPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      const localPort = socket.localPort ?? 0;
      const answers: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => answers.push(chunk));
      const requests = brokenHttp2Stream(random, 'requests');
      await write(socket, requests, random, hasWholePreface(index) ? MAX_BEGIN_BYTES : 0);
      socket.end();
      await closed;
      sent.push({ localPort, index, requests, answers: Buffer.concat(answers) });
    }
  };
  const good: Awaited<ReturnType<typeof runHttp2Client>> = [];
  const goodLane = async (): Promise<void> => {
    for (let seed = 1; next < FIRST + CASES; seed++) {
      const load = {
        connections: 2,
        streams: 10,
        requests: 50,
        seed,
        traceparent: true,
        firstId: good.length,
      };
      good.push(...(await runHttp2Client({ port: goodPort, ...load })));
    }
  };
  await Promise.all([...Array.from({ length: CONCURRENCY }, lane), goodLane()]);
  const one = { connections: 1, streams: 1, requests: 1, traceparent: true, firstId: good.length };
  const [last] = await runHttp2Client({ port: goodPort, ...one });
  assert.ok(last);
  good.push(last);
  await caughtUp(hopspan, last.traceparent.slice(3, 35));
  await proxy.stop();
  const spans = await hopspan.finish();
  await backend.stop();

  const callers = new Set(good.map(({ traceparent }) => traceparent.slice(36, 52)));
  assert.deepEqual(malformed(spans, callers).slice(0, 5), []);
  const { hops } = hopsOf(spans);
  const byListener = Map.groupBy(hops, ({ hop }) => hop.attributes['network.local.port']);
  assert.deepEqual(judgeHttp(byListener.get(goodPort) ?? [], good, backend.arrivals), {
    ...{ right: good.length, wrong: [], missing: 0, surplus: 0 },
  });

  const byPort = Map.groupBy(
    byListener.get(brokenPort) ?? [],
    ({ hop }) => hop.attributes['network.peer.port'],
  );
  const wrong: unknown[] = [];
  let judged = 0;
  let broken = 0;
  const expected = Map.groupBy(sent, ({ localPort }) => localPort);
  for (const [port, connections] of expected) {
    const told = byPort.get(port) ?? [];
    const bounds = {
      received: boundsOf(
        connections.map(({ requests }) => [requests.length, bytesBehindFrames(requests, 'requests')]),
      ),
      sent: boundsOf(
        connections.map(({ answers }) => [answers.length, bytesBehindFrames(answers, 'answers')]),
      ),
    };
    for (const [way, { least, most }] of Object.entries(bounds)) {
      const bytes = total(told, `hopspan.bytes.${way}`);
      if (bytes >= least && bytes <= most) continue;
      wrong.push({ way, bytes, least, most, cases: connections.map(({ index }) => index) });
    }
    const [only, ...others] = connections;
    if (!only || others.length > 0) continue; // a port that was used again
    judged++;
    const marked = told.filter(({ hop }) => hop.attributes['hopspan.unparsed']).length;
    const behind = bytesBehindFrames(only.requests, 'requests');
    const isBroken = behind !== undefined || bytesBehindFrames(only.answers, 'answers') !== undefined;
    const mustBeMarked = behind && behind < only.requests.length && hasWholePreface(only.index);
    if (mustBeMarked ? marked === 0 : marked > 0 && !isBroken)
      wrong.push({ marked, behind, case: only.index });
    if (mustBeMarked) broken++;
  }
  assert.ok(judged > 0 && broken > judged / 20, `${broken} of ${judged} were broken`);
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${expected.size} ports`);
});

/** Resolves when hopspan has told of this trace: it may be behind, where others use the machine. */
async function caughtUp(hopspan: RunningHopspan, traceId: string): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if ((await hopspan.spans()).some((span) => span.traceId === traceId)) return;
    await setTimeout(TRY_AGAIN_MS);
  }
  throw new Error('hopspan does not catch up');
}

const total = (hops: readonly SeenHop[], name: string): number =>
  hops.reduce((sum, { hop }) => sum + Number(hop.attributes[name]), 0);

/** What is behind the last frame is told as bytes of the connection; frames of streams are told, and others not. */
function boundsOf(connections: readonly (readonly [bytes: number, behind: number | undefined])[]): {
  least: number;
  most: number;
} {
  return connections.reduce(
    ({ least, most }, [bytes, behind]) => ({ least: least + (behind ?? 0), most: most + bytes }),
    { least: 0, most: 0 },
  );
}
