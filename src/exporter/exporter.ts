import type { PipelineSpan } from '../spans/foreign-span.ts';

/** Counts of one exporter since its start; spans, not batches. */
export interface ExporterStats {
  readonly name: string;
  readonly accepted: number;
  readonly exported: number;
  readonly dropped: number;
  /** Accepted, neither exported nor dropped yet. */
  readonly waiting: number;
  /** Those among `waiting` that are safe on disk; absent where there is no queue on disk. */
  readonly stored?: number;
}

/** Is told how many milliseconds a request of an exporter took, whatever became of it. */
export type OnSent = (exporter: string, durationMs: number) => void;

/** Spans in the form in which they are sent, OTLP's request. */
export interface EncodedSpans {
  readonly count: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What takes the place of an exporter that ends. */
export interface Heir {
  /** It opens the same queue on disk: what is there is its own. */
  readonly sameQueue: boolean;
  /** Takes what waits in memory. */
  adopt(spans: EncodedSpans): void;
}

/** The end of a pipeline. `start` fails loudly; `shutdown` may be called twice. */
export interface Exporter {
  /** Takes what can fail early (open the file, make the client); rejects with a `HopspanError`. */
  start(): Promise<void>;
  /** Takes over one batch; never blocks and never throws: what cannot be kept is counted as dropped. */
  export(spans: readonly PipelineSpan[]): void;
  /**
   * Sends what waits, for at most `timeoutMs` milliseconds, then closes. What is on disk stays there. An heir gets what
   * waits, and only what is under way is waited for.
   */
  shutdown(timeoutMs: number, heir?: Heir): Promise<void>;
  /** Takes over what another one of its kind had accepted and not sent. */
  adopt?(spans: EncodedSpans): void;
  stats(): ExporterStats;
  /** Whether so many more spans of applications would be kept now. */
  hasRoom(count: number): boolean;
}
