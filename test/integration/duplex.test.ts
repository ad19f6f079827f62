import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { hopsOf, malformed, startHopspan } from '../harness/hopspan.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { createRandom } from '../harness/random.ts';

after(stopLeftovers);

const CHAT_MS = 3000;
const TALKERS = 4;

/** Writes a few messages of random size every millisecond until `endMs`, whatever the other end says. */
function chat(socket: Socket, seed: number, endMs: number): void {
  const random = createRandom(seed);
  socket.setNoDelay(true);
  socket.resume();
  socket.on('error', () => {});
  const timer = setInterval(() => {
    if (performance.now() > endMs) {
      clearInterval(timer);
      socket.end();
      return;
    }
    for (let i = 0; i < 5; i++) socket.write(Buffer.alloc(1 + Math.floor(random() * 2000)));
  }, 1);
}

describe('traffic both ways at once', () => {
  it('is told in overlapping exchanges that miss no byte', async () => {
    let endMs = Number.POSITIVE_INFINITY;
    const server = createServer((socket) => chat(socket, socket.remotePort ?? 0, endMs));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const proxy = await startEnvoy({ listeners: [{ upstreamPort: port }] });
    const hopspan = await startHopspan({ targets: [`listen_port: ${proxy.port}`] });

    endMs = performance.now() + CHAT_MS;
    const clients = Array.from({ length: TALKERS }, (_, seed) => {
      const socket = connect(proxy.port, '127.0.0.1');
      socket.once('connect', () => chat(socket, seed, endMs));
      return socket;
    });
    const ports = await Promise.all(
      clients.map(
        (socket) =>
          new Promise<number>((resolve) => {
            let local = 0;
            socket.once('connect', () => {
              local = socket.localPort ?? 0;
            });
            socket.once('close', () => resolve(local));
          }),
      ),
    );
    await proxy.stop();
    server.close();
    const spans = await hopspan.finish();
    assert.deepEqual(malformed(spans), []);
    const { hops, loose } = hopsOf(spans);
    assert.equal(loose.length, 0);
    const byPort = Map.groupBy(hops, ({ hop }) => Number(hop.attributes['client.port']));
    for (const [at, socket] of clients.entries()) {
      const own = byPort.get(ports[at] ?? 0) ?? [];
      const sum = (attribute: string): number =>
        own.reduce((all, { hop }) => all + Number(hop.attributes[attribute]), 0);
      assert.equal(sum('hopspan.bytes.received'), socket.bytesWritten);
      assert.equal(sum('hopspan.bytes.sent'), socket.bytesRead);
      assert.ok(own.some(({ hop }) => hop.attributes['hopspan.exchange.overlapping']));
    }
  });
});
