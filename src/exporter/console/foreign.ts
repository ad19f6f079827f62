import { resourceAttributes, spanAttributes } from '../../otlp/attributes.ts';
import { foreignName, foreignStatus } from '../../otlp/span-fields.ts';
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

const resources = new WeakMap<ForeignOrigin, HopResource>();

/** An application's span in the shape of hopspan's own, as much of it as the console shows. */
export function asHopSpan(span: ForeignSpan): HopSpan {
  const { traceId, spanId, parentSpanId, kind, start, end, bytes, origin } = span;
  let resource = resources.get(origin);
  if (!resource) {
    resource = { attributes: resourceAttributes(origin) };
    resources.set(origin, resource);
  }
  const name = foreignName(bytes);
  const { code, message } = foreignStatus(bytes);
  const error = code === 'ERROR' ? message : undefined;
  return {
    ...{ traceId, spanId, parentSpanId, name, start, end, error, resource },
    ...{ traceFlags: 1, kind: SHOWN_AS[kind], attributes: spanAttributes(bytes), events: [], links: [] },
  };
}
