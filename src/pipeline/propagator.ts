import type { TextMapPropagator } from '@opentelemetry/api';
import { CompositePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { B3Propagator } from '@opentelemetry/propagator-b3';
import { JaegerPropagator } from '@opentelemetry/propagator-jaeger';
import type { PropagatorName } from '../config/types.ts';

/** The official propagator of each format. B3's reads both of its forms; baggage holds no context of a span. */
const PROPAGATORS: Record<PropagatorName, () => TextMapPropagator | undefined> = {
  tracecontext: () => new W3CTraceContextPropagator(),
  b3: () => new B3Propagator(),
  b3multi: () => new B3Propagator(),
  jaeger: () => new JaegerPropagator(),
  baggage: () => undefined,
  none: () => undefined,
};

/** Reads all formats in turn; of two that are found the later one counts, as the specification's composite does. */
export function createPropagator(names: readonly PropagatorName[]): TextMapPropagator {
  const propagators = names.map((name) => PROPAGATORS[name]()).filter((found) => found !== undefined);
  return new CompositePropagator({ propagators });
}
