import { fromOtlpJson } from '../../otlp/from-json.ts';
import { splitRequest } from '../../otlp/request.ts';
import { otlpMessage, REQUEST } from '../../otlp/schema.ts';
import { Malformed } from '../../otlp/wire.ts';
import type { ForeignSpan } from '../../spans/foreign-span.ts';

/** Where a receiver hands its spans. */
export interface SpanInput {
  /** Takes all of these spans, or, where there is no room for them now, none. */
  offer(spans: readonly ForeignSpan[]): boolean;
}

/** Spans of one receiver since its start. */
export interface IntakeStats {
  /** Taken over. */
  accepted: number;
  /** Not taken for want of room; senders were told to come again. */
  refused: number;
  /** Thrown away since no backend would take them; senders were told so. */
  rejected: number;
}

/** What becomes of one ExportTraceServiceRequest. */
export type Verdict =
  | { readonly kind: 'taken'; readonly rejected: number; readonly message: string }
  | { readonly kind: 'malformed'; readonly message: string }
  | { readonly kind: 'busy' };

/** A sender that was told to come again should wait so long. */
export const RETRY_AFTER_S = 1;

const BAD_IDS = 'trace ids must have 16 bytes, span ids 8, and neither may be all zero';

/** The part of the receiver that both protocols share: reads requests, and offers their spans. */
export class Intake {
  readonly stats: IntakeStats = { accepted: 0, refused: 0, rejected: 0 };
  /** Set at the end: nothing is taken any more. */
  closed = false;
  readonly #input: SpanInput;

  constructor(input: SpanInput) {
    this.#input = input;
  }

  takeProtobuf(bytes: Uint8Array): Verdict {
    try {
      const { spans, rejected } = splitRequest(bytes);
      if (this.closed || (spans.length > 0 && !this.#input.offer(spans))) {
        this.stats.refused += spans.length + rejected;
        return { kind: 'busy' };
      }
      this.stats.accepted += spans.length;
      this.stats.rejected += rejected;
      return { kind: 'taken', rejected, message: rejected > 0 ? BAD_IDS : '' };
    } catch (error) {
      if (error instanceof Malformed) return { kind: 'malformed', message: error.message };
      throw error;
    }
  }

  takeJson(text: Buffer): Verdict {
    try {
      return this.takeProtobuf(fromOtlpJson(JSON.parse(text.toString()), otlpMessage(REQUEST)));
    } catch (error) {
      /* V8's own message cites what it read. */
      if (error instanceof SyntaxError) return { kind: 'malformed', message: 'the body is not JSON' };
      if (error instanceof Malformed) return { kind: 'malformed', message: error.message };
      throw error;
    }
  }
}
