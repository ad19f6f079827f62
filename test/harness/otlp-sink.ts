import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import {
  loadPackageDefinition,
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { flattenRequest, type OtlpSpan, type RawRequest } from './otlp-span.ts';
import { openServers } from './process.ts';

export { asHopSpans, type OtlpSpan } from './otlp-span.ts';

const PROTO_ROOT = resolve(import.meta.dirname, '../../proto');
const WAIT_MS = 30_000;

export interface OtlpSinkOptions {
  /** 0 or unset: any free one. */
  readonly port?: number;
  /** A self-signed certificate for localhost and 127.0.0.1, made by openssl in a temporary folder. */
  readonly tls?: boolean;
  /** Takes only clients that show the sink's own certificate; with TLS. */
  readonly mutual?: boolean;
  /** gRPC where not given. */
  readonly protocol?: 'grpc' | 'http/protobuf';
}

interface OtlpRequest {
  /** The request's gRPC metadata or HTTP headers, lower-case keys. */
  readonly headers: Readonly<Record<string, string>>;
  readonly spans: number;
  /** What the sink answered: the gRPC status, or over HTTP its status, 200 for a request that was taken. */
  readonly code: number;
  /** Over HTTP. */
  readonly path?: string | undefined;
}

export interface OtlpSink {
  readonly port: number;
  /** `http://127.0.0.1:PORT`, or `https://localhost:PORT` with TLS. */
  readonly endpoint: string;
  /** PEM file that a client must trust; only with TLS. */
  readonly caFile: string | undefined;
  /** Its key; only with TLS. */
  readonly keyFile: string | undefined;
  /** Spans that were taken, in order of arrival, resource attributes merged in. */
  received(): readonly OtlpSpan[];
  /** Every request, those that were refused too. */
  requests(): readonly OtlpRequest[];
  /** Resolves with what was received as soon as there are `count` spans; rejects after 30 s. */
  waitForSpans(count: number): Promise<readonly OtlpSpan[]>;
  /** Resolves as soon as `count` requests came in, however they were answered; rejects after 30 s. */
  waitForRequests(count: number): Promise<void>;
  /** Answers the next `times` requests with this gRPC or HTTP status; a delay adds google.rpc.RetryInfo or, in seconds, Retry-After. */
  failNext(times: number, code: number, retryDelayMs?: number): void;
  /** Takes the next `times` requests but says that `rejected` spans of each were refused. */
  rejectNext(times: number, rejected: number, message: string): void;
  /** Answers nothing until `resume`. */
  hang(): void;
  resume(): void;
  /** Closes connections at once; may be called twice. */
  stop(): Promise<void>;
}

interface Certificate {
  readonly folder: string;
  readonly certFile: string;
  readonly keyFile: string;
}

function makeCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'hopspan-otlp-sink-'));
  const certFile = join(folder, 'cert.pem');
  const keyFile = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  const args = ['req', '-x509', '-days', '2', ...key, '-out', certFile, ...subject];
  execFileSync('openssl', args, { stdio: 'pipe' });
  return { folder, certFile, keyFile };
}

/** google.rpc.Status holding one google.rpc.RetryInfo, as bytes. */
function retryInfoStatus(code: number, delayMs: number): Buffer {
  const field = (number: number, body: Buffer) =>
    Buffer.concat([Buffer.from([(number << 3) | 2, body.length]), body]);
  const varint = (value: number): number[] =>
    value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))];
  const duration = Buffer.from([
    8,
    ...varint(Math.floor(delayMs / 1000)),
    16,
    ...varint((delayMs % 1000) * 1_000_000),
  ]);
  const any = Buffer.concat([
    field(1, Buffer.from('type.googleapis.com/google.rpc.RetryInfo')),
    field(2, field(1, duration)),
  ]);
  return Buffer.concat([Buffer.from([8, code]), field(3, any)]);
}

function serviceDefinition(): ServiceDefinition {
  const definition = loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto', {
    includeDirs: [PROTO_ROOT],
    longs: String,
  });
  const root = loadPackageDefinition(definition);
  type Tree = { [name: string]: Tree } & { service?: ServiceDefinition };
  const path = ['opentelemetry', 'proto', 'collector', 'trace', 'v1', 'TraceService'];
  const service = path.reduce<Tree>((node, name) => node[name] as Tree, root as unknown as Tree).service;
  if (service === undefined) throw new Error('proto/ holds no TraceService');
  return service;
}

function headersOf(metadata: Metadata): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata.getMap()).map(([key, value]) => [key, String(value)]));
}

interface Waiter {
  readonly ready: () => boolean;
  readonly done: () => void;
}

/** What a request is answered with. */
interface Answer {
  readonly code: number;
  readonly delayMs?: number | undefined;
  readonly partial?: object;
}

interface Listening {
  readonly port: number;
  stop(): Promise<void>;
}

async function startGrpc(
  options: OtlpSinkOptions,
  certificate: Certificate | undefined,
  definition: ServiceDefinition,
  Export: (call: ServerUnaryCall<RawRequest, unknown>, callback: sendUnaryData<unknown>) => void,
): Promise<Listening> {
  const server = new Server();
  server.addService(definition, { Export });
  const pair = certificate && {
    cert_chain: readFileSync(certificate.certFile),
    private_key: readFileSync(certificate.keyFile),
  };
  const credentials = pair
    ? ServerCredentials.createSsl(pair.cert_chain, [pair], options.mutual === true)
    : ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolvePromise, reject) => {
    server.bindAsync(`127.0.0.1:${options.port ?? 0}`, credentials, (error, bound) =>
      error ? reject(error) : resolvePromise(bound),
    );
  });
  return { port, stop: async () => server.forceShutdown() };
}

async function startHttp(
  options: OtlpSinkOptions,
  certificate: Certificate | undefined,
  listener: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Listening> {
  const cert = certificate && readFileSync(certificate.certFile);
  const mutual = options.mutual === true ? { requestCert: true, rejectUnauthorized: true } : {};
  const server =
    cert === undefined
      ? createServer(listener)
      : createSecureServer(
          { cert, ca: cert, key: readFileSync(certificate?.keyFile ?? ''), ...mutual },
          listener,
        );
  await new Promise<void>((resolvePromise, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolvePromise);
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolvePromise) => {
        server.close(() => resolvePromise());
        server.closeAllConnections();
      }),
  };
}

/** Starts an OTLP server in this process, on 127.0.0.1. Stop it, or the process stays until `stopLeftovers`. */
export async function startOtlpSink(options: OtlpSinkOptions = {}): Promise<OtlpSink> {
  const certificate = options.tls === true ? makeCertificate() : undefined;
  const spans: OtlpSpan[] = [];
  const requests: OtlpRequest[] = [];
  const answers: Answer[] = [];
  const held: (() => void)[] = [];
  const waiters = new Set<Waiter>();
  let hanging = false;

  const wake = () => {
    for (const waiter of waiters) if (waiter.ready()) waiter.done();
  };

  const waitFor = (what: string, ready: () => boolean): Promise<void> =>
    new Promise((resolvePromise, reject) => {
      if (ready()) {
        resolvePromise();
        return;
      }
      const waiter: Waiter = {
        ready,
        done: () => {
          clearTimeout(timer);
          waiters.delete(waiter);
          resolvePromise();
        },
      };
      const timer = setTimeout(() => {
        waiters.delete(waiter);
        reject(
          new Error(
            `The sink waited ${WAIT_MS} ms for ${what}; it has ${spans.length} spans of ${requests.length} requests.`,
          ),
        );
      }, WAIT_MS);
      waiters.add(waiter);
    });

  const definition = serviceDefinition();
  const http = options.protocol === 'http/protobuf';
  const good = http ? 200 : status.OK;

  /** Keeps what one request brings, unless the sink was told to fail. */
  const take = (raw: RawRequest, headers: Record<string, string>, path?: string): Answer => {
    const next = answers.shift() ?? { code: good };
    const flat = flattenRequest(raw);
    requests.push({ headers, spans: flat.length, code: next.code, path });
    if (next.code === good) spans.push(...flat);
    return next;
  };

  const answerGrpc = (call: ServerUnaryCall<RawRequest, unknown>, callback: sendUnaryData<unknown>) => {
    const { code, delayMs, partial } = take(call.request, headersOf(call.metadata));
    if (code !== good) {
      const metadata = new Metadata();
      if (delayMs !== undefined) metadata.set('grpc-status-details-bin', retryInfoStatus(code, delayMs));
      callback({ code, details: `the sink was told to fail with ${code}`, metadata });
    } else callback(null, partial ?? {});
    wake();
  };

  const answerHttp = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await buffer(request);
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    const raw = definition.Export?.requestDeserialize(plain) as RawRequest;
    const headers = request.headers as Record<string, string>;
    const { code, delayMs, partial } = take(raw, headers, request.url);
    response.statusCode = code;
    if (delayMs !== undefined) response.setHeader('retry-after', delayMs / 1000);
    response.setHeader('content-type', 'application/x-protobuf');
    const told = Buffer.from(`the sink was told to fail with ${code}`);
    const failure = Buffer.concat([Buffer.from([0x12, told.length]), told]); // google.rpc.Status.message
    response.end(code === good ? definition.Export?.responseSerialize(partial ?? {}) : failure);
    wake();
  };

  const serve = (go: () => void) => {
    if (hanging) held.push(go);
    else go();
  };
  const server = http
    ? await startHttp(options, certificate, (request, response) => {
        serve(() => void answerHttp(request, response).catch(() => response.destroy()));
      })
    : await startGrpc(options, certificate, definition, (call, callback) => {
        serve(() => answerGrpc(call, callback));
      });
  const { port } = server;

  const sink: OtlpSink = {
    port,
    endpoint: certificate === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    caFile: certificate?.certFile,
    keyFile: certificate?.keyFile,
    received: () => spans,
    requests: () => requests,
    waitForSpans: async (count) => {
      await waitFor(`${count} spans`, () => spans.length >= count);
      return spans;
    },
    waitForRequests: (count) => waitFor(`${count} requests`, () => requests.length >= count),
    failNext(times, code, delayMs) {
      for (let n = 0; n < times; n++) answers.push({ code, delayMs });
    },
    rejectNext(times, rejected, message) {
      const partial = { partialSuccess: { rejectedSpans: rejected, errorMessage: message } };
      for (let n = 0; n < times; n++) answers.push({ code: good, partial });
    },
    hang() {
      hanging = true;
    },
    resume() {
      hanging = false;
      for (const release of held.splice(0)) release();
    },
    async stop() {
      openServers.delete(sink);
      await server.stop();
      if (certificate !== undefined) rmSync(certificate.folder, { recursive: true, force: true });
    },
  };
  openServers.add(sink);
  return sink;
}
