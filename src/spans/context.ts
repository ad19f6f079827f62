import {
  ROOT_CONTEXT,
  type SpanContext,
  type TextMapGetter,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api';
import type { Side } from '../correlate/side.ts';

/** The span of the application that sent a request, as the request's headers name it. */
export type ReadContext = (side: Side | undefined) => SpanContext | undefined;

const GETTER: TextMapGetter<Readonly<Record<string, string>>> = {
  keys: Object.keys,
  get: (headers, name) => headers[name.toLowerCase()],
};

/** Reads headers in the propagators' formats. */
export function createContextReader(propagator: TextMapPropagator): ReadContext {
  return (side) => {
    const headers = side?.http?.request?.headers;
    if (!headers) return undefined;
    return trace.getSpanContext(propagator.extract(ROOT_CONTEXT, headers, GETTER));
  };
}
