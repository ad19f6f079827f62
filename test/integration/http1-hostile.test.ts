import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { hopsOf, malformed, type SeenHop, startHopspan } from '../harness/hopspan.ts';
import { brokenStream } from '../harness/http-mutations.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { createRandom } from '../harness/random.ts';

after(stopLeftovers);

const CASES = Number(process.env.HOPSPAN_HOSTILE_CASES ?? 10_000);
const CONCURRENCY = 64;

/** Empty lines before what is no message: they belong to none. */
const STRAY_BYTES = 12;

interface Sent {
  readonly localPort: number;
  readonly index: number;
  readonly requestBytes: number;
  readonly answerBytes: number;
}

/** In up to three pieces. */
async function write(socket: Socket, bytes: Buffer, random: () => number): Promise<void> {
  const cuts = [random(), random()]
    .map((share) => Math.floor(share * bytes.length))
    .toSorted((a, b) => a - b);
  for (const [at, end] of [
    [0, cuts[0]],
    [cuts[0], cuts[1]],
    [cuts[1], bytes.length],
  ]) {
    await new Promise<void>((resolve) => socket.write(bytes.subarray(at, end), () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test(`${CASES} broken streams: every byte is told once, and nothing is lost`, async () => {
  let accepted = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const random = createRandom(1e6 + accepted++);
    socket.on('error', () => {});
    socket.once('data', async () => {
      await write(socket, brokenStream(random, 'answers'), random);
    });
    socket.once('end', () => socket.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1024, resolve));
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  const proxy = await startEnvoy({ listeners: [{ upstreamPort: address.port }], concurrency: 2 });
  const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });

  const sent: Sent[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < CASES) {
      const index = next++;
      const random = createRandom(index);
      const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      const localPort = socket.localPort ?? 0;
      socket.resume();
      await write(socket, brokenStream(random, 'requests'), random);
      socket.end();
      await closed;
      sent.push({ localPort, index, requestBytes: socket.bytesWritten, answerBytes: socket.bytesRead });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  await proxy.stop();
  const spans = await hopspan.finish();
  server.close();

  assert.deepEqual(malformed(spans).slice(0, 5), []);
  const byPort = Map.groupBy(hopsOf(spans).hops, ({ hop }) => hop.attributes['network.peer.port']);
  const expected = Map.groupBy(sent, ({ localPort }) => localPort);
  const total = (hops: readonly SeenHop[], name: string): number =>
    hops.reduce((sum, { hop }) => sum + Number(hop.attributes[name]), 0);
  const wrong: unknown[] = [];
  for (const [port, connections] of expected) {
    const hops = byPort.get(port) ?? [];
    const told = [total(hops, 'hopspan.bytes.received'), total(hops, 'hopspan.bytes.sent')];
    const real = [
      connections.reduce((sum, { requestBytes }) => sum + requestBytes, 0),
      connections.reduce((sum, { answerBytes }) => sum + answerBytes, 0),
    ];
    const missing = real.map((bytes, way) => bytes - (told[way] ?? 0));
    if (missing.some((bytes) => bytes < 0 || bytes > STRAY_BYTES * connections.length)) {
      wrong.push({ told, real, cases: connections.map(({ index }) => index) });
    }
  }
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} ports of ${expected.size}`);
});
