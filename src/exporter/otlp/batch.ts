/** One ExportTraceServiceRequest as bytes, so that a retry costs no second pass. */
export interface Batch {
  /** Spans in it. */
  readonly count: number;
  readonly bytes: Uint8Array;
  /** When it was sent first, on the exporter's clock. */
  firstSentMs: number | undefined;
}
