import type { HopSpan } from '../../spans/hop-span.ts';
import { encodeRequest } from './encode.ts';

/** Spans of one request. Once made into bytes it holds only these, so that a retry costs no second pass. */
export class Batch {
  readonly count: number;
  #spans: readonly HopSpan[];
  #bytes: Uint8Array | undefined;
  /** When it was sent first, on the exporter's clock. */
  firstSentMs: number | undefined;

  constructor(spans: readonly HopSpan[]) {
    this.count = spans.length;
    this.#spans = spans;
  }

  /** An ExportTraceServiceRequest. */
  bytes(): Uint8Array {
    this.#bytes ??= encodeRequest(this.#spans);
    this.#spans = [];
    return this.#bytes;
  }
}
