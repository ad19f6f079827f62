/** The test backend: a process of its own, started by `startBackend` in traffic.ts. */
import { createServer, type Server, type Socket } from 'node:net';
import { monotonicNs } from './process.ts';
import type { Fault, MessageEvents, MessageReader } from './protocol.ts';
import {
  framedAnswer,
  lengthReader,
  REQUEST_HEADER_BYTES,
  readRequestHeader,
  textReader,
} from './protocol.ts';
import { createRandom } from './random.ts';
import { draw } from './range.ts';
import { SMTP_EXCHANGES, SMTP_GREETING, smtpAnswer, smtpConnection, smtpRequestEnd } from './smtp.ts';
import type { BackendConnection, BackendExchange, BackendLog, BackendOptions } from './traffic-types.ts';
import { serveCalls, workerOptions } from './worker.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Request {
  readonly exchange: Mutable<BackendExchange>;
  readonly answerBytes: number;
  readonly thinkMs: number;
  readonly fault: Fault;
  readonly firstByte: number;
}

interface Connection {
  readonly socket: Socket;
  readonly log: Mutable<BackendConnection>;
  readonly queue: Request[];
  busy: boolean;
  received: number;
  answered: number;
  fin: boolean;
}

const options = workerOptions<BackendOptions>();
const framing = options.framing ?? 'framed';
const random = createRandom(options.seed ?? 1);
const exchanges: { readonly connection: Connection; readonly exchange: BackendExchange }[] = [];
const connections: Connection[] = [];

function accept(socket: Socket): void {
  const log: Mutable<BackendConnection> = {
    connId: -1,
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
    bytesIn: 0,
    bytesOut: 0,
    acceptedNs: monotonicNs(),
    finNs: 0,
    closedNs: 0,
  };
  const connection: Connection = {
    socket,
    log,
    queue: [],
    busy: false,
    received: 0,
    answered: 0,
    fin: false,
  };
  connections.push(connection);
  socket.setNoDelay(true);
  socket.on('error', (error: NodeJS.ErrnoException) => {
    log.error = error.code ?? error.message;
  });
  socket.on('close', () => {
    log.closedNs = monotonicNs();
    log.bytesIn = socket.bytesRead;
    log.bytesOut = socket.bytesWritten;
  });
  if (options.onAccept === 'reset') socket.resetAndDestroy();
  else if (options.onAccept === 'close') socket.end();
  else serve(connection);
}

function serve(connection: Connection): void {
  const { socket, log } = connection;
  const greeting = framing === 'smtp' ? SMTP_GREETING : Buffer.alloc(options.greetingBytes ?? 0, 'g');
  if (greeting.length > 0) socket.write(greeting);
  const reader = requestReader(connection);
  socket.on('data', (chunk) => reader.push(chunk));
  socket.on('end', () => {
    log.finNs = monotonicNs();
    connection.fin = true;
    void work(connection);
  });
  if (options.pauseMs !== undefined) {
    socket.pause();
    setTimeout(() => socket.resume(), options.pauseMs);
  }
}

function requestReader(connection: Connection): MessageReader {
  let firstByteNs = 0;
  const events: MessageEvents = {
    first: () => {
      firstByteNs = monotonicNs();
    },
    message: (header, bytes) => {
      const request = takeRequest(connection, header, bytes, firstByteNs);
      exchanges.push({ connection, exchange: request.exchange });
      connection.received++;
      connection.queue.push(request);
      void work(connection);
    },
  };
  if (framing === 'smtp') return textReader(() => smtpRequestEnd(connection.received), events);
  if (framing === 'framed')
    return lengthReader(REQUEST_HEADER_BYTES, (header) => header.readUInt32BE(0), events);
  const length = options.requestBytes ?? 1;
  return lengthReader(Math.min(4, length), () => length, events);
}

function takeRequest(connection: Connection, header: Buffer, bytes: number, firstByteNs: number): Request {
  const { log, received } = connection;
  const framed = framing === 'framed' ? readRequestHeader(header) : undefined;
  if (framed) log.connId = framed.connId;
  else if (framing === 'smtp') log.connId = received === 0 ? smtpConnection(header.toString()) : log.connId;
  else log.connId = spell(log.connId, header, received * bytes);
  const exchange: Mutable<BackendExchange> = {
    connId: log.connId,
    exchange: framed?.exchange ?? received,
    remoteAddress: log.remoteAddress,
    remotePort: log.remotePort,
    requestBytes: bytes,
    answerBytes: 0,
    firstByteNs,
    receivedNs: monotonicNs(),
    answerStartNs: 0,
    answerEndNs: 0,
  };
  const ownFault = received === (options.faultAt ?? 0) ? (options.fault ?? 'none') : 'none';
  return {
    exchange,
    answerBytes: framed?.answerBytes ?? options.answerBytes ?? 1,
    thinkMs: (framed?.thinkMs ?? 0) + draw(options.thinkMs ?? 0, random),
    fault: framed && framed.fault !== 'none' ? framed.fault : ownFault,
    firstByte: header[0] ?? 0,
  };
}

/** `fixed` framing: the first four bytes of the stream are the connection's number, lowest first. */
function spell(known: number, header: Buffer, offset: number): number {
  let connId = Math.max(known, 0);
  for (let at = 0; at < header.length && offset + at < 4; at++)
    connId += (header[at] ?? 0) * 2 ** (8 * (offset + at));
  return connId;
}

/** Answers in order, one at a time. */
async function work(connection: Connection): Promise<void> {
  if (connection.busy || (options.answerAfterFin && !connection.fin)) return;
  connection.busy = true;
  for (let request = connection.queue.shift(); request; request = connection.queue.shift()) {
    if (request.thinkMs > 0) await sleep(request.thinkMs);
    if (connection.socket.destroyed) return;
    if (request.fault !== 'none') return suffer(connection, request);
    await write(connection, request, answerTo(request));
    connection.answered++;
    if (
      framing === 'smtp' ? connection.answered === SMTP_EXCHANGES : connection.answered === options.closeAfter
    ) {
      connection.socket.end();
      return;
    }
  }
  connection.busy = false;
  if (connection.fin) connection.socket.end();
}

function answerTo({ exchange, answerBytes, firstByte }: Request): Buffer {
  if (framing === 'smtp') return Buffer.from(smtpAnswer(exchange.exchange));
  if (framing === 'framed') return framedAnswer(answerBytes, exchange.connId, exchange.exchange);
  return Buffer.alloc(answerBytes, firstByte);
}

async function write({ socket }: Connection, { exchange }: Request, bytes: Buffer): Promise<void> {
  exchange.answerStartNs = monotonicNs();
  exchange.answerBytes += bytes.length;
  await new Promise<void>((resolve) => {
    const gone = (): void => resolve();
    socket.once('close', gone);
    socket.write(bytes, () => {
      socket.off('close', gone);
      exchange.answerEndNs = monotonicNs();
      resolve();
    });
  });
}

/** The connection stays busy, so that nothing follows. */
async function suffer(connection: Connection, request: Request): Promise<void> {
  const { socket } = connection;
  if (request.fault === 'silent') return;
  if (request.fault.endsWith('mid-answer')) {
    const whole = answerTo(request);
    await write(connection, request, whole.subarray(0, Math.ceil(whole.length / 2)));
    // Time for the part to get through the proxy: a reset would overtake it there.
    await sleep(30);
  }
  if (request.fault.startsWith('reset')) socket.resetAndDestroy();
  else socket.destroySoon();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function report(): BackendLog {
  for (const { log, socket } of connections) {
    if (log.closedNs === 0) Object.assign(log, { bytesIn: socket.bytesRead, bytesOut: socket.bytesWritten });
  }
  // With `fixed` framing the number is whole only after four bytes: so every exchange gets its connection's last.
  return {
    exchanges: exchanges.map(({ connection, exchange }) => ({ ...exchange, connId: connection.log.connId })),
    connections: connections.map(({ log }) => log),
  };
}

const server: Server = createServer({ allowHalfOpen: true }, accept);
const listening = new Promise<number>((resolve, reject) => {
  server.once('error', reject);
  server.listen(
    { host: options.host ?? '127.0.0.1', port: options.port, backlog: options.backlog ?? 4096 },
    () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    },
  );
});
serveCalls({ port: () => listening, log: report });
