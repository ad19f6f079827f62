/** What is kept of a ClientHello or ServerHello (RFC 8446, sections 4.1.2 and 4.1.3). */
export interface Hello {
  /** By the client, of a host name's letters only; '' where it named none (RFC 6066, section 3). */
  readonly serverName: string;
  /** Protocols that the client offers; of a server the one it chose (RFC 7301). TLS 1.3 hides the latter. */
  readonly alpn: readonly string[];
  /** The newest version that the client offers, or the one that the server chose; 0x0304 is TLS 1.3. */
  readonly version: number;
  /** By the server, as IANA numbers them; 0 in a ClientHello. */
  readonly cipher: number;
}

const CLIENT_HELLO = 1;
const SERVER_HELLO = 2;
const EXTENSION = { SERVER_NAME: 0, ALPN: 16, SUPPORTED_VERSIONS: 43 } as const;
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?$/;
const PROTOCOL_NAME = /^[A-Za-z0-9][A-Za-z0-9./_-]{0,30}$/;
const MAX_PROTOCOLS = 16;
const MAX_VERSION = 0x0304;

/** A position in bytes that anybody may have sent: what would reach past the end is `undefined`, and so is all after it. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(size: 1 | 2 | 3): number | undefined {
    const bytes = this.take(size);
    return bytes?.reduce((sum, byte) => sum * 256 + byte, 0);
  }

  take(length: number): Uint8Array | undefined {
    if (length > this.left) {
      this.#at = this.#bytes.length;
      return undefined;
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** What stands behind its own length. */
  vector(size: 1 | 2): Uint8Array | undefined {
    const length = this.number(size);
    return length === undefined ? undefined : this.take(length);
  }
}

/**
 * Reads the payload of a direction's first TLS record. Undefined when it is no hello; what is cut off or malformed behind
 * its fixed part is left out.
 */
export function parseHello(bytes: Uint8Array): Hello | undefined {
  const reader = new Reader(bytes);
  const type = reader.number(1);
  if (type !== CLIENT_HELLO && type !== SERVER_HELLO) return undefined;
  reader.take(3); // its length: it may go on in further records, of which nothing is kept
  const legacyVersion = reader.number(2);
  const random = reader.take(32);
  const session = reader.vector(1);
  if (legacyVersion === undefined || !random || !session) return undefined;
  let cipher = 0;
  if (type === SERVER_HELLO) {
    cipher = reader.number(2) ?? 0;
    reader.take(1); // compression
  } else {
    reader.vector(2); // cipher suites
    reader.vector(1); // compression methods
  }
  const found = {
    serverName: '',
    alpn: [] as readonly string[],
    version: Math.min(legacyVersion, MAX_VERSION - 1),
  };
  reader.take(2); // length of the extensions
  while (reader.left > 0) {
    const extension = reader.number(2);
    const body = reader.vector(2);
    if (!body) break;
    if (extension === EXTENSION.SERVER_NAME && type === CLIENT_HELLO) found.serverName = serverName(body);
    else if (extension === EXTENSION.ALPN) found.alpn = protocols(body);
    else if (extension === EXTENSION.SUPPORTED_VERSIONS) {
      found.version = newest(
        type === CLIENT_HELLO ? (new Reader(body).vector(1) ?? body) : body,
        found.version,
      );
    }
  }
  return { ...found, cipher };
}

function serverName(body: Uint8Array): string {
  const list = new Reader(new Reader(body).vector(2) ?? new Uint8Array());
  if (list.number(1) !== 0) return ''; // host_name
  const name = latin1(list.vector(2));
  return HOST_NAME.test(name) ? name.toLowerCase() : '';
}

function protocols(body: Uint8Array): string[] {
  const list = new Reader(new Reader(body).vector(2) ?? new Uint8Array());
  const names: string[] = [];
  while (list.left > 0 && names.length < MAX_PROTOCOLS) {
    const name = latin1(list.vector(1));
    if (PROTOCOL_NAME.test(name)) names.push(name);
  }
  return names;
}

/** Values that nobody has defined are there to keep servers from choking on them (RFC 8701). */
function newest(versions: Uint8Array, otherwise: number): number {
  const reader = new Reader(versions);
  let best = otherwise;
  while (reader.left >= 2) {
    const version = reader.number(2) ?? 0;
    if (version >> 8 === 3 && version <= MAX_VERSION) best = Math.max(best, version);
  }
  return best;
}

function latin1(bytes: Uint8Array | undefined): string {
  return bytes ? String.fromCharCode(...bytes.subarray(0, 256)) : '';
}
