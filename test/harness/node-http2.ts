import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http2';
import { duplexPair } from 'node:stream';
import { FRAME_FLAGS, FRAME_TYPE } from '../../src/receiver/http2/frame.ts';
import type { Field } from './hpack-encoder.ts';
import { frame } from './http2-frames.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const SETTINGS = 4;
const PING = 6;
const ACK = 0x1;
const LAST = 'the last';

/**
 * What Node's own HTTP/2 server reads in header blocks that come one after the other on a connection: the fields of
 * each that it takes for a request, undefined for each that it does not, or that came after an error.
 */
export async function readByNode(blocks: readonly Uint8Array[]): Promise<(readonly Field[] | undefined)[]> {
  const results: (readonly Field[] | undefined)[] = blocks.map(() => undefined);
  const server = createServer({ settings: { headerTableSize: 65_536 } });
  server.on('stream', (stream, _headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    stream.on('error', () => {});
    const fields: Field[] = [];
    for (let at = 0; at < raw.length; at += 2) fields.push([raw[at] as string, raw[at + 1] as string]);
    results[((stream.id ?? 0) - 1) / 2] = fields;
    if (!stream.destroyed) stream.respond({ ':status': 204 }, { endStream: true });
  });
  server.on('sessionError', () => {});
  const [client, end] = duplexPair();
  server.emit('connection', end);
  let read = Buffer.alloc(0);
  client.on('data', (bytes: Buffer) => {
    if (read.length === 0) {
      /* It has sent its settings, and follows them when they are acknowledged. */
      client.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
      for (const [index, block] of blocks.entries()) {
        const { END_HEADERS, END_STREAM } = FRAME_FLAGS;
        client.write(frame(FRAME_TYPE.HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, block));
      }
      client.write(frame(PING, 0, 0, Buffer.from(LAST)));
    }
    read = Buffer.concat([read, bytes]);
    if (read.includes(LAST)) client.destroy();
  });
  client.on('error', () => {});
  client.on('end', () => client.destroy());
  client.write(PREFACE);
  client.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
  await once(client, 'close');
  end.destroy();
  return results;
}
