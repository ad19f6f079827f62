import { editFields, lengthDelimited } from './edit.ts';
import { asBuffer, Fields } from './wire.ts';

/** Fields of opentelemetry.proto.trace.v1.Span and of its Status. */
const SPAN = { traceState: 3, name: 5, status: 15 } as const;
const STATUS = { message: 2, code: 3 } as const;
const CODES = ['UNSET', 'OK', 'ERROR'] as const;

export function foreignName(bytes: Uint8Array): string {
  return lastText(bytes, SPAN.name);
}

export function foreignTraceState(bytes: Uint8Array): string {
  return lastText(bytes, SPAN.traceState);
}

/** A code that OTLP does not know counts as not set. */
export function foreignStatus(bytes: Uint8Array): { code: (typeof CODES)[number]; message: string } {
  const status: { code: (typeof CODES)[number]; message: string } = { code: 'UNSET', message: '' };
  const span = new Fields(bytes);
  while (span.next()) {
    if (span.number !== SPAN.status) continue;
    const fields = new Fields(span.bytes, span.start, span.end);
    while (fields.next()) {
      if (fields.number === STATUS.code) status.code = CODES[Number(fields.varint())] ?? 'UNSET';
      else if (fields.number === STATUS.message) status.message = fields.text();
    }
  }
  return status;
}

/** Of a field that comes twice the last one counts. */
function lastText(bytes: Uint8Array, number: number): string {
  let text = '';
  const fields = new Fields(bytes);
  while (fields.next()) if (fields.number === number) text = fields.text();
  return text;
}

/** The span with another tracestate; all else stays byte for byte. */
export function withTraceState(bytes: Uint8Array, traceState: string): Buffer {
  const rest = editFields(asBuffer(bytes), { [SPAN.traceState]: () => null });
  return Buffer.concat([rest, lengthDelimited(SPAN.traceState, Buffer.from(traceState))]);
}
