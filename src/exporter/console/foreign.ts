import { resourceAttributes, spanAttributes } from '../../otlp/attributes.ts';
import { Fields } from '../../otlp/wire.ts';
import type { ForeignKind, ForeignOrigin, ForeignSpan } from '../../spans/foreign-span.ts';
import type { HopResource, HopSpan, SpanKind } from '../../spans/hop-span.ts';

const SHOWN_AS: Readonly<Record<ForeignKind, SpanKind>> = {
  UNSPECIFIED: 'INTERNAL',
  INTERNAL: 'INTERNAL',
  SERVER: 'SERVER',
  CLIENT: 'CLIENT',
  PRODUCER: 'CLIENT',
  CONSUMER: 'SERVER',
};

/** Fields of Span and of Status. */
const FIELD = { name: 5, status: 15, message: 2, code: 3 } as const;
const STATUS_ERROR = 2n;

const resources = new WeakMap<ForeignOrigin, HopResource>();

/** An application's span in the shape of hopspan's own, as much of it as the console shows. */
export function asHopSpan(span: ForeignSpan): HopSpan {
  const { traceId, spanId, parentSpanId, kind, start, end, bytes, origin } = span;
  let resource = resources.get(origin);
  if (!resource) {
    resource = { attributes: resourceAttributes(origin) };
    resources.set(origin, resource);
  }
  let name = '';
  let error: string | undefined;
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.number === FIELD.name) name = fields.text();
    else if (fields.number === FIELD.status) error = errorOf(fields.value());
  }
  return {
    ...{ traceId, spanId, parentSpanId, name, start, end, error, resource },
    ...{ traceFlags: 1, kind: SHOWN_AS[kind], attributes: spanAttributes(bytes), events: [], links: [] },
  };
}

function errorOf(status: Uint8Array): string | undefined {
  let message = '';
  let failed = false;
  const fields = new Fields(status);
  while (fields.next()) {
    if (fields.number === FIELD.message) message = fields.text();
    else if (fields.number === FIELD.code) failed = fields.varint() === STATUS_ERROR;
  }
  return failed ? message : undefined;
}
