import { isTls, type Side } from '../correlate/side.ts';
import { isHandshake } from '../correlate/tls.ts';
import type { Bag } from './hop-attributes.ts';

/** What the two hellos of a connection say. */
export function fillTls(bag: Bag, side: Side): void {
  if (!isTls(side)) return;
  bag['tls.protocol.name'] = 'tls';
  if (isHandshake(side)) bag['hopspan.tls.handshake'] = true;
  const { client, server } = side.tls ?? {};
  if (client?.serverName) bag['tls.client.server_name'] = client.serverName;
  if (!server) return;
  bag['tls.protocol.version'] = `1.${(server.version & 0xff) - 1}`;
  if (server.cipher) bag['tls.cipher'] = `0x${server.cipher.toString(16).padStart(4, '0')}`;
  const [chosen] = server.alpn;
  if (chosen) bag['tls.next_protocol'] = chosen;
}
