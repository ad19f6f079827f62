import type { IncomingHttpHeaders } from 'node:http';
import { Fields, Malformed } from '../../otlp/wire.ts';
import type { SendResult } from './send-result.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly statusMessage: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

// https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes; all others are final.
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const PROTOBUF = /^application\/x-protobuf\b/i;
/** A server's own words in a line of a log. */
const MAX_REASON = 300;

/** What an answer says of a batch. `nowMs`: milliseconds since the epoch. */
export function readAnswer(answer: HttpAnswer, nowMs: number): SendResult {
  if (answer.status >= 200 && answer.status < 300) return { outcome: 'taken', ...partialSuccess(answer) };
  const reason = failureReason(answer);
  if (!RETRYABLE.has(answer.status)) return { outcome: 'refused', reason };
  return {
    outcome: 'retry',
    reason,
    afterMs: retryAfterMs(answer.headers['retry-after'], nowMs),
    connected: true,
  };
}

/** ExportTraceServiceResponse.partial_success; a body that cannot be read says nothing. */
function partialSuccess({ headers, body }: HttpAnswer): { rejected: number; message: string } {
  const result = { rejected: 0, message: '' };
  if (!PROTOBUF.test(headers['content-type'] ?? '')) return result;
  eachField(body, (response) => {
    if (response.number !== 1) return;
    eachField(response.value(), (partial) => {
      if (partial.number === 1) result.rejected = Number(BigInt.asIntN(64, partial.varint()));
      else if (partial.number === 2) result.message = shortened(partial.text());
    });
  });
  return result;
}

/** The status line and, of a google.rpc.Status, its message. */
function failureReason({ status, statusMessage, headers, body }: HttpAnswer): string {
  let message = '';
  if (PROTOBUF.test(headers['content-type'] ?? '')) {
    eachField(body, (field) => {
      if (field.number === 2) message = field.text();
    });
  }
  const line = `HTTP ${status} ${statusMessage}`.trimEnd();
  return shortened(message === '' ? line : `${line}: ${message}`);
}

function eachField(bytes: Buffer, look: (field: Fields) => void): void {
  try {
    const fields = new Fields(bytes);
    while (fields.next()) look(fields);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
}

function shortened(text: string): string {
  return text.length > MAX_REASON ? `${text.slice(0, MAX_REASON)}…` : text;
}

/** RFC 9110, section 10.2.3: seconds, or a date; anything else counts as no time. */
function retryAfterMs(value: string | undefined, nowMs: number): number {
  if (value === undefined) return 0;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const atMs = Date.parse(value);
  return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs);
}
