import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { parseHello } from '../../../../src/receiver/tls/hello.ts';
import { createRandom } from '../../../harness/random.ts';

const RECORD_HEADER = 5;
const u16 = (value: number): number[] => [value >> 8, value & 255];
const vector = (size: 1 | 2, bytes: readonly number[]): number[] => [
  ...(size === 1 ? [bytes.length] : u16(bytes.length)),
  ...bytes,
];
const extension = (type: number, body: readonly number[]): number[] => [...u16(type), ...vector(2, body)];
const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')];
const nameList = (name: string): number[] => vector(2, [0, ...vector(2, ascii(name))]);
const protocolList = (...names: string[]): number[] =>
  vector(
    2,
    names.flatMap((name) => vector(1, ascii(name))),
  );

function clientHello(...extensions: number[][]): Uint8Array {
  const fixed = [3, 3, ...new Array<number>(32).fill(7), ...vector(1, [1, 2]), ...vector(2, [0x13, 1]), 1, 0];
  return Uint8Array.from([1, 0, 0, 0, ...fixed, ...vector(2, extensions.flat())]);
}

function serverHello(version: number, cipher: number, ...extensions: number[][]): Uint8Array {
  const fixed = [...u16(version), ...new Array<number>(32).fill(7), 0, ...u16(cipher), 0];
  return Uint8Array.from([2, 0, 0, 0, ...fixed, ...vector(2, extensions.flat())]);
}

/** The first record that Node's TLS client sends, less its header. */
async function sentBy(options: ConnectionOptions): Promise<Uint8Array> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  const bytes = new Promise<Uint8Array>((resolve) =>
    server.once('connection', (socket) =>
      socket.once('data', (chunk) => {
        resolve(Uint8Array.from(chunk.subarray(RECORD_HEADER)));
        socket.destroy();
      }),
    ),
  );
  const client = connect({ port: address.port, host: '127.0.0.1', ...options });
  client.on('error', () => {});
  const found = await bytes;
  client.destroy();
  server.close();
  return found;
}

describe('a ClientHello', () => {
  test('of a real client', async () => {
    const options = { servername: 'Shop.Example', ALPNProtocols: ['h2', 'http/1.1'] };
    const hello = { serverName: 'shop.example', alpn: ['h2', 'http/1.1'], cipher: 0 };
    assert.deepEqual(parseHello(await sentBy(options)), { ...hello, version: 0x0304 });
    const old = await sentBy({ ...options, maxVersion: 'TLSv1.2' });
    assert.deepEqual(parseHello(old), { ...hello, version: 0x0303 });
  });

  test('names what it has', () => {
    const nothing = { serverName: '', alpn: [], version: 0x0303, cipher: 0 };
    assert.deepEqual(parseHello(clientHello()), nothing);
    assert.deepEqual(parseHello(clientHello(extension(43, vector(1, [0x7a, 0x7a, 3, 4, 3, 3])))), {
      ...nothing,
      version: 0x0304,
    });
  });

  const names = ['evil\r\nname', 'a b', '-a', 'a'.repeat(256), '\u00e9.test', '"', ''];
  for (const name of names) {
    test(`with a name that is none: ${JSON.stringify(name).slice(0, 20)}`, () => {
      assert.equal(parseHello(clientHello(extension(0, nameList(name))))?.serverName, '');
    });
  }

  test('with protocols that are none, and many of them', () => {
    const hello = clientHello(extension(16, protocolList('h2', 'a b', '\n', ...new Array(40).fill('x'))));
    assert.deepEqual(parseHello(hello)?.alpn, ['h2', ...new Array(15).fill('x')]);
  });
});

test('a ServerHello names what was chosen', () => {
  assert.deepEqual(parseHello(serverHello(0x0303, 0x1301, extension(43, [3, 4]))), {
    ...{ serverName: '', alpn: [], version: 0x0304, cipher: 0x1301 },
  });
  assert.deepEqual(parseHello(serverHello(0x0303, 0xc02f, extension(16, protocolList('h2')))), {
    ...{ serverName: '', alpn: ['h2'], version: 0x0303, cipher: 0xc02f },
  });
});

describe('hostile bytes', () => {
  const whole = clientHello(
    extension(0, nameList('a.test')),
    extension(16, protocolList('h2')),
    extension(43, vector(1, [3, 4])),
  );

  test('cut off anywhere', () => {
    for (let length = 0; length <= whole.length; length++) {
      const hello = parseHello(whole.subarray(0, length));
      assert.ok(hello === undefined || hello.serverName === '' || hello.serverName === 'a.test');
    }
  });

  test('changed anywhere, and random', () => {
    const random = createRandom(3);
    for (let n = 0; n < 20_000; n++) {
      const bytes = Uint8Array.from(whole);
      for (let k = 0; k < 4; k++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const hello = parseHello(bytes);
      assert.match(hello?.serverName ?? '', /^[a-z0-9._-]*$/);
    }
  });

  test('no hello', () => {
    for (const bytes of [[], [11, 0, 0, 0], [1], [1, 0, 0, 0, 3, 3]]) {
      assert.equal(parseHello(Uint8Array.from(bytes)), undefined);
    }
  });
});
