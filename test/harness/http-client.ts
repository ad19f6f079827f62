import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { createRandom } from './random.ts';

/** One request as the client saw it. */
export interface HttpSent {
  readonly id: number;
  readonly method: string;
  readonly localPort: number;
  /** The n-th on its connection, from 1. */
  readonly number: number;
  readonly sentNs: bigint;
  readonly answeredNs: bigint;
  readonly statusCode: number;
  readonly bodyBytes: number;
  readonly traceparent: string;
}

export interface HttpClientOptions {
  readonly port: number;
  readonly connections: number;
  /** At the same time. */
  readonly concurrency: number;
  readonly requests: number;
  /** Requests that are sent before the first one's answer is awaited. */
  readonly pipelined?: number;
  readonly seed?: number;
  readonly maxBodyBytes?: number;
  /** Writes are cut at random places, and the pieces sent apart. */
  readonly pieces?: boolean;
  readonly traceparent?: boolean;
  readonly tls?: boolean;
  /** Bodies have a length in place of chunks. */
  readonly chunked?: false;
  readonly firstId?: number;
  /** In place of a path of its own for each; the number then goes in `x-truth`, a header that hopspan does not read. */
  readonly path?: (id: number) => string;
  readonly method?: string;
}

const METHODS = ['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PROPFIND'];

/** Keep-alive connections with requests of every kind, from raw sockets. Fails when an answer is not what HTTP allows. */
export async function runHttpClient(options: HttpClientOptions): Promise<HttpSent[]> {
  const sent: HttpSent[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < options.connections) sent.push(...(await runConnection(options, next++)));
  };
  await Promise.all(Array.from({ length: options.concurrency }, lane));
  return sent;
}

async function runConnection(options: HttpClientOptions, index: number): Promise<HttpSent[]> {
  const random = createRandom((options.seed ?? 7) * 7919 + index);
  const place = { port: options.port, host: '127.0.0.1', noDelay: true };
  const socket = options.tls
    ? connectTls({ ...place, servername: 'service.test', rejectUnauthorized: false })
    : connect(place);
  const connected = options.tls ? 'secureConnect' : 'connect';
  const answers = readAnswers(socket);
  await new Promise<void>((resolve, reject) => socket.once(connected, resolve).once('error', reject));
  const localPort = socket.localPort ?? 0;
  const done: HttpSent[] = [];
  for (let number = 1; number <= options.requests; ) {
    const batch = Math.min(options.pipelined ?? 1, options.requests - number + 1);
    const requests = Array.from({ length: batch }, (_, k) =>
      makeRequest(options, random, (options.firstId ?? 0) + index * options.requests + number - 1 + k),
    );
    const sentNs = process.hrtime.bigint();
    for (const { method } of requests) answers.expect(method);
    await write(
      socket,
      Buffer.concat(requests.map(({ bytes }) => bytes)),
      options.pieces ? random : undefined,
    );
    for (const { id, method, bodyBytes, traceparent } of requests) {
      const { statusCode, atNs } = await answers.next();
      done.push({
        id,
        method,
        localPort,
        number: number++,
        sentNs,
        answeredNs: atNs,
        statusCode,
        bodyBytes,
        traceparent,
      });
    }
  }
  socket.end();
  await new Promise((resolve) => socket.once('close', resolve));
  return done;
}

function makeRequest(options: HttpClientOptions, random: () => number, id: number) {
  const method = options.method ?? (METHODS[Math.floor(random() * METHODS.length)] as string);
  const hasBody = method === 'POST' || method === 'PUT' || method === 'PROPFIND';
  const body = Buffer.alloc(
    hasBody ? Math.floor(random() * (options.maxBodyBytes ?? 2000)) : 0,
    'GET / HTTP/1.1\r\n\r\n',
  );
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');
  const traceparent = options.traceparent ? `00-${hex(31)}1-${hex(15)}1-01` : '';
  const chunked = random() < 0.5 && options.chunked !== false;
  const head = [
    `${method} ${options.path?.(id) ?? `/${id}/x`}?secret=${hex(8)} HTTP/1.1`,
    ...(options.path ? [`x-truth: ${id}`] : []),
    `Host: service.test:8080`,
    'User-Agent: harness',
    `Cookie: secret=${hex(Math.floor(random() * 100))}`,
    ...(traceparent ? [`traceparent: ${traceparent}`] : []),
    ...(body.length === 0 ? [] : [chunked ? 'Transfer-encoding: chunked' : `content-LENGTH: ${body.length}`]),
  ];
  const framed = chunked && body.length > 0 ? chunks(body, random) : body;
  const bytes = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), framed]);
  return { id, method, bodyBytes: body.length, traceparent, bytes };
}

function chunks(body: Buffer, random: () => number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = 1 + Math.floor(random() * (body.length - at));
    const extension = random() < 0.2 ? ';name="value"' : '';
    parts.push(
      Buffer.from(`${size.toString(16)}${extension}\r\n`),
      body.subarray(at, at + size),
      Buffer.from('\r\n'),
    );
    at += size;
  }
  const trailer = random() < 0.3 ? 'x-sum: 1\r\n' : '';
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailer}\r\n`)]);
}

/** With `random`, in pieces that the other end reads apart (most of the time). */
async function write(socket: Socket, bytes: Buffer, random: (() => number) | undefined): Promise<void> {
  if (!random) {
    socket.write(bytes);
    return;
  }
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + Math.floor(random() * Math.min(300, bytes.length - at));
    await new Promise<void>((resolve) => socket.write(bytes.subarray(at, at + size), () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
    at += size;
  }
}

interface Answers {
  expect(method: string): void;
  next(): Promise<{ statusCode: number; atNs: bigint }>;
}

function readAnswers(socket: Socket): Answers {
  const methods: string[] = [];
  const ready: { statusCode: number; atNs: bigint }[] = [];
  let waiting: (() => void) | undefined;
  let failure: Error | undefined;
  let buffer: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (
      let found = takeAnswer(buffer, methods[0] ?? '');
      found;
      found = takeAnswer(buffer, methods[0] ?? '')
    ) {
      buffer = buffer.subarray(found.length);
      if (found.statusCode < 200) continue;
      methods.shift();
      ready.push({ statusCode: found.statusCode, atNs: process.hrtime.bigint() });
    }
    waiting?.();
  });
  const fail = (error: Error): void => {
    failure ??= error;
    waiting?.();
  };
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('closed before the answer')));
  return {
    expect: (method) => void methods.push(method),
    async next() {
      while (ready.length === 0) {
        if (failure) throw failure;
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
      return ready.shift() as { statusCode: number; atNs: bigint };
    },
  };
}

/** The answer at the buffer's start, if it is whole. */
function takeAnswer(buffer: Buffer, method: string): { statusCode: number; length: number } | undefined {
  const headEnd = buffer.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = buffer.toString('latin1', 0, headEnd);
  const statusCode = Number(head.slice(9, 12));
  const bodyStart = headEnd + 4;
  if (method === 'HEAD' || statusCode < 200 || statusCode === 204 || statusCode === 304) {
    return { statusCode, length: bodyStart };
  }
  if (/^transfer-encoding: chunked/im.test(head)) {
    for (let at = bodyStart; ; ) {
      const line = buffer.indexOf('\r\n', at);
      if (line < 0) return undefined;
      const size = Number.parseInt(buffer.toString('latin1', at, line), 16);
      at = line + 2 + size + 2;
      if (at > buffer.length) return undefined;
      if (size === 0) return { statusCode, length: at };
    }
  }
  const length = bodyStart + Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  return length <= buffer.length ? { statusCode, length } : undefined;
}
