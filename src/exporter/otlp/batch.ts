/** One ExportTraceServiceRequest as bytes, so that a retry costs no second pass. */
export interface Batch {
  /** Spans in it. */
  readonly count: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its number in the queue on disk, if it is there. */
  readonly id?: number;
  /** When it was sent first, on the exporter's clock. */
  firstSentMs: number | undefined;
}

/**
 * Gives the bytes back at once; for a batch that the endpoint has taken. V8 does not hurry to collect buffers, which
 * weigh nothing in its heap: tens of MB of them would wait.
 */
export function release(batch: Batch): void {
  batch.bytes.buffer.transfer(0);
}
