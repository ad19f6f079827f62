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

/** The end of a pipeline. `start` fails loudly; `shutdown` may be called twice. */
export interface Exporter {
  /** Takes what can fail early (open the file, make the client); rejects with a `HopspanError`. */
  start(): Promise<void>;
  /** Takes over one batch; never blocks and never throws: what cannot be kept is counted as dropped. */
  export(spans: readonly PipelineSpan[]): void;
  /** Sends what waits, for at most `timeoutMs` milliseconds, then closes. What is on disk stays there. */
  shutdown(timeoutMs: number): Promise<void>;
  stats(): ExporterStats;
  /** Whether so many more spans of applications would be kept now. */
  hasRoom(count: number): boolean;
}
