import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { HopSpan } from '../../spans/hop-span.ts';
import { toReadableSpan } from '../readable-span.ts';

/** Spans of one request. Once made into bytes it holds only these, so that a retry costs no second pass. */
export class Batch {
  readonly count: number;
  #spans: readonly HopSpan[] | undefined;
  #bytes: Uint8Array | undefined;
  /** When it was sent first, on the exporter's clock. */
  firstSentMs: number | undefined;

  constructor(spans: readonly HopSpan[]) {
    this.count = spans.length;
    this.#spans = spans;
  }

  /** An ExportTraceServiceRequest; undefined only if the serialiser refuses. */
  bytes(): Uint8Array | undefined {
    if (this.#bytes === undefined && this.#spans !== undefined) {
      this.#bytes = ProtobufTraceSerializer.serializeRequest(this.#spans.map(toReadableSpan));
      this.#spans = undefined;
    }
    return this.#bytes;
  }
}
