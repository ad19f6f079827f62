import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { OtlpReceiverConfig } from '../../config/types.ts';
import { responseBytes, responseJson, statusBytes } from './answers.ts';
import { type Intake, RETRY_AFTER_S } from './intake.ts';
import { addressText, type Listening } from './listening.ts';

const PATH = '/v1/traces';
/** A sender that takes longer for its headers or its request is let go. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
const MAX_CONNECTIONS = 1024;
/** Bodies of all requests that are being read. */
const MAX_READING_BYTES = 64 * 1024 * 1024;

const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';
type ContentType = typeof PROTOBUF | typeof JSON_TYPE;

/** google.rpc.Code. */
const CODE = { INVALID_ARGUMENT: 3, UNAVAILABLE: 14 } as const;

const unzip = promisify(gunzip);

/** A request that is answered with an error; the text is for the sender. */
class Refusal extends Error {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(statusCode: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.statusCode = statusCode;
    this.headers = headers;
  }
}

const BUSY = 'no room for these spans now; send them again later';
const busy = (): Refusal => new Refusal(503, BUSY, { 'retry-after': String(RETRY_AFTER_S) });
const tooLarge = (limit: number): Refusal => new Refusal(413, `the request has more than ${limit} bytes`);

/** Serves OTLP/HTTP, protobuf and JSON. Rejects where the address cannot be listened on. */
export async function listenHttp(
  { listen, maxBodyBytes }: NonNullable<OtlpReceiverConfig['http']>,
  intake: Intake,
): Promise<Listening> {
  let reading = 0;
  let ending = false;

  /** The body as it was sent, bounded. */
  async function read(request: IncomingMessage): Promise<Buffer> {
    if (Number(request.headers['content-length']) > maxBodyBytes) throw tooLarge(maxBodyBytes);
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        length += chunk.length;
        reading += chunk.length;
        if (length > maxBodyBytes) throw tooLarge(maxBodyBytes);
        if (reading > MAX_READING_BYTES) throw busy();
        chunks.push(chunk);
      }
    } finally {
      reading -= length;
    }
    return Buffer.concat(chunks, length);
  }

  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    type: ContentType,
  ): Promise<void> {
    const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
    if (encoding !== 'gzip' && encoding !== 'identity')
      throw new Refusal(415, 'the content encoding is neither gzip nor identity', {
        'accept-encoding': 'gzip',
      });
    const sent = await read(request);
    const body = encoding === 'gzip' ? await inflate(sent, maxBodyBytes) : sent;
    const verdict = type === JSON_TYPE ? intake.takeJson(body) : intake.takeProtobuf(body);
    if (verdict.kind === 'malformed') throw new Refusal(400, verdict.message);
    if (verdict.kind === 'busy') throw busy();
    const { rejected, message } = verdict;
    const answer = type === JSON_TYPE ? responseJson(rejected, message) : responseBytes(rejected, message);
    send(response, 200, type, answer);
  }

  const server = createServer(
    { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, connectionsCheckingInterval: 1000 },
    (request, response) => {
      if (ending) response.shouldKeepAlive = false;
      let type: ContentType = PROTOBUF;
      void (async () => {
        try {
          if (request.url?.split('?', 1)[0] !== PATH) throw new Refusal(404, `there is only ${PATH}`);
          if (request.method !== 'POST') throw new Refusal(405, 'only POST is taken', { allow: 'POST' });
          type = contentType(request.headers['content-type']);
          await handle(request, response, type);
        } catch (error) {
          refuse(request, response, type, error);
        }
      })();
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, () => {
      server.off('error', reject);
      /* Later ones (no file descriptor for a connection) must not end the process. */
      server.on('error', () => {});
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: addressText({ ...listen, port }),
    close: (timeoutMs) =>
      new Promise((resolve) => {
        ending = true;
        const timer = setTimeout(() => server.closeAllConnections(), timeoutMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

function contentType(header: string | undefined): ContentType {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === PROTOBUF || type === JSON_TYPE) return type;
  throw new Refusal(415, `the content type is neither ${PROTOBUF} nor ${JSON_TYPE}`);
}

async function inflate(bytes: Buffer, limit: number): Promise<Buffer> {
  try {
    return await unzip(bytes, { maxOutputLength: limit });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge(limit);
    throw new Refusal(400, 'the body is not gzip');
  }
}

/** Errors carry a google.rpc.Status in the request's own encoding (OTLP specification, OTLP/HTTP response, failures). */
function refuse(request: IncomingMessage, response: ServerResponse, type: ContentType, error: unknown): void {
  if (response.destroyed || response.headersSent) return;
  const refusal =
    error instanceof Refusal ? error : new Refusal(request.complete ? 500 : 400, 'not readable');
  /* What is left of a request that is not read any further cannot be told from the next one. */
  const headers = request.complete ? refusal.headers : { ...refusal.headers, connection: 'close' };
  const { statusCode, message } = refusal;
  const code = statusCode === 503 ? CODE.UNAVAILABLE : CODE.INVALID_ARGUMENT;
  const body = type === JSON_TYPE ? JSON.stringify({ code, message }) : statusBytes(code, message);
  send(response, statusCode, type, body, headers);
}

function send(
  response: ServerResponse,
  statusCode: number,
  type: ContentType,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(statusCode, {
    ...headers,
    'content-type': type,
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
