import type { TlsHelloRecord } from '../receiver/kernel-record.ts';
import { HELLO_FLAGS } from '../records.gen.ts';
import { hasEnded, hasExchange, isDownstream, isTls, type Side } from './side.ts';

/** Connections whose hellos are remembered; the oldest are forgotten above it. */
const MAX_CONNECTIONS = 262_144;
const TLS_1_3 = 0x0304;
/** Content type and tag of all ciphers of TLS 1.3 but those with short tags (RFC 8446, section 5.2 and appendix B.4). */
const OVERHEAD_1_3 = 17;
/** Explicit nonce and tag of AES-GCM in TLS 1.2 (RFC 5288, section 3), the tag of ChaCha20-Poly1305 (RFC 7905). */
const OVERHEAD_GCM = 24;
const OVERHEAD_CHACHA20 = 16;
const CHACHA20_SUITES = { first: 0xcca8, last: 0xccae } as const;

/** What is known of a TLS connection: its client's hello and its server's. */
export interface TlsFacts {
  readonly client?: TlsHelloRecord;
  readonly server?: TlsHelloRecord;
}

/** What TLS connections said first, for their sides. */
export interface TlsConnections {
  onHello(hello: TlsHelloRecord): void;
  /** The side, with its connection's hellos where it has some. */
  complete(side: Side): Side;
  size(): number;
}

export function createTlsConnections(): TlsConnections {
  /** The oldest first. */
  const known = new Map<number, TlsFacts>();

  return {
    size: () => known.size,
    onHello(hello) {
      const facts = known.get(hello.connection) ?? {};
      const end = hello.flags & HELLO_FLAGS.ANSWER ? { server: hello } : { client: hello };
      known.set(hello.connection, { ...facts, ...end });
      for (const oldest of known.keys()) {
        if (known.size <= MAX_CONNECTIONS) break;
        known.delete(oldest);
      }
    },
    complete(side) {
      const tls = known.get(side.connection);
      if (!tls) return side;
      if (hasEnded(side)) known.delete(side.connection);
      return { ...side, tls };
    },
  };
}

/** Bytes of a record of application data that are not its content. */
function overheadOf({ tls }: Side): number {
  if (!tls?.server || tls.server.version >= TLS_1_3) return OVERHEAD_1_3;
  const { cipher } = tls.server;
  return cipher >= CHACHA20_SUITES.first && cipher <= CHACHA20_SUITES.last ? OVERHEAD_CHACHA20 : OVERHEAD_GCM;
}

/** Bytes of the request and of the answer, as far as the records tell without their overhead of TLS. */
export function contentLengths(side: Side): { request: number; answer: number } {
  const overhead = overheadOf(side);
  const read = isTls(side) ? side.tlsBytesRead - overhead * side.tlsRecordsRead : side.bytesRead;
  const written = isTls(side) ? side.tlsBytesWritten - overhead * side.tlsRecordsWritten : side.bytesWritten;
  return isDownstream(side) ? { request: read, answer: written } : { request: written, answer: read };
}

/** TLS ends here, and the client has not asked anything yet. */
export function isHandshake(side: Side): boolean {
  const asked = isDownstream(side) ? side.tlsRecordsRead : side.tlsRecordsWritten;
  return isTls(side) && hasExchange(side) && !side.peer && asked === 0;
}
