import { once } from 'node:events';
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { HopspanError } from '../../errors.ts';
import { INSTRUMENTATION_SCOPE } from '../scope.ts';
import type { OtlpClient } from './client.ts';
import { type HttpAnswer, readAnswer } from './http-answer.ts';
import type { OtlpOptions } from './options.ts';
import { createRenewable } from './renewable.ts';
import type { SendResult } from './send-result.ts';
import { createTlsReader, given } from './tls-files.ts';

const compress = promisify(gzip);

/** Of an answer; the rest of a longer one is not read. */
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Reads certificates and makes an HTTP client; connecting is left to the first `send`.
 * @throws HopspanError EXPORTER_START_FAILED
 */
export async function createHttpClient(options: OtlpOptions): Promise<OtlpClient> {
  const url = new URL(options.endpoint);
  const secure = url.protocol === 'https:';
  const readTls = createTlsReader(options.tls);
  const headers = requestHeaders(options);
  const open = secure ? httpsRequest : httpRequest;

  return createRenewable(async () => {
    const agent = secure
      ? new HttpsAgent({ keepAlive: true, ...given(await readTls()) })
      : new HttpAgent({ keepAlive: true });
    const post = (body: Uint8Array, signal: AbortSignal): Promise<HttpAnswer> => {
      const request: RequestOptions = {
        ...{ method: 'POST', agent, signal },
        headers: { ...headers, 'content-length': body.length },
      };
      return exchange(open(url, request), body);
    };
    return {
      async send(batch) {
        const signal = AbortSignal.timeout(options.timeoutMs);
        try {
          const body = options.compression === 'gzip' ? await compress(batch.bytes) : batch.bytes;
          const answer = await post(body, signal).catch(againIfStale(() => post(body, signal)));
          return readAnswer(answer, Date.now());
        } catch (error) {
          return signal.aborted ? timedOut(options.timeoutMs) : notConnected(error as Error);
        }
      },
      close: () => agent.destroy(),
    };
  });
}

/**
 * Headers of every request.
 * @throws HopspanError EXPORTER_START_FAILED with the name, never the value, of a header that HTTP refuses
 */
function requestHeaders({ headers, compression }: OtlpOptions): Record<string, string> {
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw new HopspanError(
        'EXPORTER_START_FAILED',
        `The otlphttp exporter's header "${name}" cannot be sent over HTTP; correct its name or its value.`,
      );
    }
  }
  return {
    'user-agent': `hopspan/${INSTRUMENTATION_SCOPE.version}`,
    ...headers,
    'content-type': 'application/x-protobuf',
    ...(compression === 'gzip' ? { 'content-encoding': 'gzip' } : {}),
  };
}

class StaleConnection extends Error {}

function exchange(request: ClientRequest, body: Uint8Array): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    request.on('error', (error: NodeJS.ErrnoException) => {
      const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      reject(stale ? new StaleConnection(error.message, { cause: error }) : error);
    });
    request.on('response', (response) => {
      collect(response)
        .then(async (answer) => {
          // The body's memory may be given back once this is over, so nothing may be writing it any more.
          if (!request.writableFinished) await once(request.destroy(), 'close');
          return answer;
        })
        .then(resolve, reject);
    });
    request.end(body);
  });
}

/** A server may close an idle connection in the moment in which it is used again: that is no failure. */
function againIfStale(again: () => Promise<HttpAnswer>): (error: unknown) => Promise<HttpAnswer> {
  return (error) => (error instanceof StaleConnection ? again() : Promise.reject(error));
}

async function collect(response: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) break;
  }
  const { statusCode = 0, statusMessage = '', headers } = response;
  return { status: statusCode, statusMessage, headers, body: Buffer.concat(chunks) };
}

function timedOut(timeoutMs: number): SendResult {
  const reason = `no answer within ${timeoutMs / 1000} s`;
  return { outcome: 'retry', reason, afterMs: 0, connected: false };
}

function notConnected(error: NodeJS.ErrnoException): SendResult {
  // A host with several addresses that are all dead gives an error without a message of its own.
  return { outcome: 'retry', reason: error.message || String(error.code), afterMs: 0, connected: false };
}
