import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { editFields, lengthDelimited, makePair, makeValue, pairKey } from '../otlp/edit.ts';
import { asBuffer, Fields } from '../otlp/wire.ts';
import { type ForeignOrigin, isForeign, type PipelineSpan } from '../spans/foreign-span.ts';
import type { Attributes, HopResource } from '../spans/hop-span.ts';
import { once } from './once.ts';
import type { Processor } from './processor.ts';

/** Of the Collector's detectors those that hopspan has. */
export const DETECTORS = ['env', 'system'] as const;
export type DetectorName = (typeof DETECTORS)[number];

export interface ResourceDetectionOptions {
  readonly detectors: readonly DetectorName[];
  /** The longest that the start waits for them. Milliseconds. */
  readonly timeoutMs: number;
  /** Attributes that a resource has already are replaced. */
  readonly override: boolean;
}

/** Since the start. */
export type ResourceDetectionStats = { detectedAttributes: number };

/** Finds out one detector's attributes; those that it does not find out are not there. */
export type Detect = (detector: DetectorName) => Promise<Attributes>;

/** ResourceSpans.resource and Resource.attributes. */
const RESOURCE = 1;
const ATTRIBUTES = 1;

/** Says on every resource where hopspan runs, of hops and of applications' spans. */
export function createResourceDetection(options: ResourceDetectionOptions, detect: Detect): Processor {
  const stats: ResourceDetectionStats = { detectedAttributes: 0 };
  const resources = new WeakMap<HopResource, HopResource>();
  const origins = new WeakMap<ForeignOrigin, ForeignOrigin>();
  let detected: Attributes = {};

  function withDetected(resource: HopResource): HopResource {
    const { attributes } = resource;
    return { attributes: options.override ? { ...attributes, ...detected } : { ...detected, ...attributes } };
  }

  function originWithDetected(origin: ForeignOrigin): ForeignOrigin {
    return {
      ...origin,
      resource: mergeIntoResourceSpans(asBuffer(origin.resource), detected, options.override),
    };
  }

  return {
    stats,
    async start() {
      const none: Attributes = {};
      const orNone = (name: DetectorName) =>
        Promise.race([
          detect(name).catch(() => none),
          setTimeoutAsync(options.timeoutMs, none, { ref: false }),
        ]);
      const found = await Promise.all(options.detectors.map(orNone));
      detected = Object.assign({}, ...found.reverse()) as Attributes;
      stats.detectedAttributes = Object.keys(detected).length;
    },
    process(spans) {
      if (stats.detectedAttributes === 0) return spans;
      return spans.map((span): PipelineSpan => {
        if (isForeign(span)) return { ...span, origin: once(origins, span.origin, originWithDetected) };
        return { ...span, resource: once(resources, span.resource, withDetected) };
      });
    },
    advance: () => [],
    flush: () => [],
    held: () => 0,
  };
}

function mergeIntoResourceSpans(message: Buffer, detected: Attributes, override: boolean): Buffer {
  let hasResource = false;
  const merged = editFields(message, {
    [RESOURCE]: (resource) => {
      hasResource = true;
      return mergeIntoResource(resource, detected, override);
    },
  });
  if (hasResource) return merged;
  return Buffer.concat([
    lengthDelimited(RESOURCE, mergeIntoResource(Buffer.alloc(0), detected, override)),
    merged,
  ]);
}

function mergeIntoResource(resource: Buffer, detected: Attributes, override: boolean): Buffer {
  const present = new Set<string>();
  const fields = new Fields(resource);
  while (fields.next()) if (fields.number === ATTRIBUTES) present.add(pairKey(fields.value()));
  const rest = override
    ? editFields(resource, {
        [ATTRIBUTES]: (pair) => (Object.hasOwn(detected, pairKey(pair)) ? null : pair),
      })
    : resource;
  const added = Object.entries(detected)
    .filter(([key]) => override || !present.has(key))
    .map(([key, value]) => lengthDelimited(ATTRIBUTES, makePair(key, makeValue(value))));
  return Buffer.concat([rest, ...added]);
}
