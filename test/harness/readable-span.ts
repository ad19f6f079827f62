import {
  type HrTime,
  type Link,
  type SpanContext,
  SpanKind,
  type SpanStatus,
  SpanStatusCode,
} from '@opentelemetry/api';
import { type InstrumentationScope, TraceState } from '@opentelemetry/core';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace-base';
import { INSTRUMENTATION_SCOPE } from '../../src/exporter/scope.ts';
import type { Attributes, HopResource, HopSpan } from '../../src/spans/hop-span.ts';

type SdkAttributes = ReadableSpan['attributes'];

const KINDS = { SERVER: SpanKind.SERVER, CLIENT: SpanKind.CLIENT, INTERNAL: SpanKind.INTERNAL } as const;
const UNSET: SpanStatus = { code: SpanStatusCode.UNSET };
const NO_LINKS: Link[] = [];
const NO_EVENTS: TimedEvent[] = [];

// One SDK resource per HopResource: serialisers group spans by the resource's identity.
const resources = new WeakMap<HopResource, Resource>();

function resourceOf(hopResource: HopResource): Resource {
  let resource = resources.get(hopResource);
  if (resource === undefined) {
    resource = resourceFromAttributes(sdkAttributes(hopResource.attributes));
    resources.set(hopResource, resource);
  }
  return resource;
}

// The SDK's type wants mutable arrays; no serialiser writes to them.
function sdkAttributes(attributes: Attributes): SdkAttributes {
  return attributes as SdkAttributes;
}

function contextOf(span: HopSpan): SpanContext {
  const { traceId, spanId, traceFlags } = span;
  if (span.traceState === undefined) return { traceId, spanId, traceFlags };
  return { traceId, spanId, traceFlags, traceState: new TraceState(span.traceState) };
}

function linkOf(link: HopSpan['links'][number]): Link {
  const { traceId, spanId, attributes } = link;
  return { context: { traceId, spanId, traceFlags: 0 }, attributes: sdkAttributes(attributes) };
}

function eventOf(event: HopSpan['events'][number]): TimedEvent {
  return { name: event.name, time: event.time, attributes: sdkAttributes(event.attributes) };
}

function durationOf([startS, startNs]: HrTime, [endS, endNs]: HrTime): HrTime {
  return endNs < startNs ? [endS - startS - 1, endNs - startNs + 1e9] : [endS - startS, endNs - startNs];
}

/** A view of a HopSpan: small objects of its own, everything else is shared or read through. */
class HopReadableSpan implements ReadableSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly attributes: SdkAttributes;
  readonly links: Link[];
  readonly events: TimedEvent[];
  readonly status: SpanStatus;
  readonly resource: Resource;
  declare readonly parentSpanContext?: SpanContext;
  readonly #context: SpanContext;

  constructor(span: HopSpan) {
    this.name = span.name;
    this.kind = KINDS[span.kind];
    this.startTime = span.start;
    this.endTime = span.end;
    this.attributes = sdkAttributes(span.attributes);
    this.links = span.links.length === 0 ? NO_LINKS : span.links.map(linkOf);
    this.events = span.events.length === 0 ? NO_EVENTS : span.events.map(eventOf);
    this.status = span.error === undefined ? UNSET : { code: SpanStatusCode.ERROR, message: span.error };
    this.resource = resourceOf(span.resource);
    this.#context = contextOf(span);
    if (span.parentSpanId !== undefined) {
      this.parentSpanContext = {
        traceId: span.traceId,
        spanId: span.parentSpanId,
        traceFlags: span.traceFlags,
        // A hop's parent is in the process that called; a phase's parent is a span of the same proxy.
        isRemote: span.kind === 'SERVER',
      };
    }
  }

  spanContext(): SpanContext {
    return this.#context;
  }
  get duration(): HrTime {
    return durationOf(this.startTime, this.endTime);
  }
  get ended(): boolean {
    return true;
  }
  get instrumentationScope(): InstrumentationScope {
    return INSTRUMENTATION_SCOPE;
  }
  get droppedAttributesCount(): number {
    return 0;
  }
  get droppedEventsCount(): number {
    return 0;
  }
  get droppedLinksCount(): number {
    return 0;
  }
}

/** The SDK's view of a hop span, for the official serialisers, with which ours are compared. */
export function toReadableSpan(span: HopSpan): ReadableSpan {
  return new HopReadableSpan(span);
}
