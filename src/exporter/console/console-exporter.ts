import { isForeign, type PipelineSpan } from '../../spans/foreign-span.ts';
import { systemClock } from '../clock.ts';
import { Counts, spanCount } from '../counts.ts';
import type { Exporter, ExporterStats } from '../exporter.ts';
import type { ExporterLog } from '../log.ts';
import { toOtlpJson } from '../otlp-json.ts';
import { Trouble } from '../trouble.ts';
import { asHopSpan } from './foreign.ts';
import { waterfall } from './waterfall.ts';

export interface ConsoleOptions {
  readonly format: 'waterfall' | 'json';
  /** `auto`: on a terminal, unless NO_COLOR is set. */
  readonly color: 'auto' | 'always' | 'never';
}

/** What of a stream the console needs; `process.stdout` is one. */
export interface ConsoleStream {
  write(text: string, done: (error?: Error | null) => void): boolean;
  on(event: 'error', listener: (error: Error) => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ConsoleExporterDeps {
  readonly log: ExporterLog;
  readonly stream: ConsoleStream;
}

/** The most spans that may wait for a slow reader; more are dropped and counted. */
const QUEUE_SPANS = 20_480;
const PIPE_COLUMNS = 100;

/** Columns of a stream: COLUMNS, else the terminal's, else 100. */
export function consoleWidth(stream: ConsoleStream, env: NodeJS.ProcessEnv = process.env): number {
  const asked = Number(env.COLUMNS);
  if (Number.isInteger(asked) && asked > 0) return asked;
  return stream.columns !== undefined && stream.columns > 0 ? stream.columns : PIPE_COLUMNS;
}

/** Whether to paint on this stream (https://no-color.org). */
export function consoleColor(
  color: ConsoleOptions['color'],
  stream: ConsoleStream,
  env: NodeJS.ProcessEnv = process.env,
): boolean {
  if (color !== 'auto') return color === 'always';
  return stream.isTTY === true && !env.NO_COLOR;
}

class ConsoleExporter implements Exporter {
  readonly #name: string;
  readonly #options: ConsoleOptions;
  readonly #stream: ConsoleStream;
  readonly #counts = new Counts();
  readonly #trouble: Trouble;
  #closed = false;
  #onIdle: (() => void) | undefined;

  constructor(name: string, options: ConsoleOptions, { log, stream }: ConsoleExporterDeps) {
    this.#name = name;
    this.#options = options;
    this.#stream = stream;
    this.#trouble = new Trouble(systemClock, (reason) => {
      const { waiting, dropped } = this.#counts;
      log.warn(`Exporter ${name}: ${reason}: ${spanCount(waiting)} waiting, ${dropped} dropped so far.`);
    });
  }

  async start(): Promise<void> {
    // A reader that leaves (`| head`) must not end the process here; the writes report it, too.
    this.#stream.on('error', () => {});
  }

  export(spans: readonly PipelineSpan[]): void {
    const { length } = spans;
    if (length === 0) return;
    this.#counts.accepted += length;
    // What the stream has not written yet is text in its buffer, which has no bound of its own.
    if (this.#closed || this.#counts.waiting > QUEUE_SPANS) {
      this.#drop(length, this.#closed ? 'the output has been closed' : 'the output is read too slowly');
      return;
    }
    this.#stream.write(this.#render(spans), (error) => {
      if (this.#closed) return;
      if (error) this.#drop(length, `the output cannot be written (${error.message})`);
      else this.#counts.exported += length;
      if (this.#counts.waiting === 0) this.#onIdle?.();
    });
  }

  async shutdown(timeoutMs: number): Promise<void> {
    if (this.#counts.waiting > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#closed = true;
    const left = this.#counts.waiting;
    if (left > 0) this.#drop(left, `the output did not take the last ${spanCount(left)}`);
    this.#trouble.close(true);
  }

  hasRoom(count: number): boolean {
    return this.#counts.hasRoom(count, QUEUE_SPANS);
  }

  stats(): ExporterStats {
    return this.#counts.stats(this.#name);
  }

  #drop(count: number, why: string): void {
    this.#counts.dropped += count;
    this.#trouble.note(why);
  }

  #render(spans: readonly PipelineSpan[]): string {
    if (this.#options.format === 'json') return `${toOtlpJson(spans)}\n`;
    const shown = spans.map((span) => (isForeign(span) ? asHopSpan(span) : span));
    const width = consoleWidth(this.#stream);
    const color = consoleColor(this.#options.color, this.#stream);
    return `${waterfall(shown, { width, color }).join('\n')}\n\n`;
  }
}

/** Writes to a terminal or a pipe: waterfalls for people, or one OTLP/JSON request a line. */
export function createConsoleExporter(
  name: string,
  options: ConsoleOptions,
  deps: ConsoleExporterDeps,
): Exporter {
  return new ConsoleExporter(name, options, deps);
}
