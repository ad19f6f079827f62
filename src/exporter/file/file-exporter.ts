import { open } from 'node:fs/promises';
import { HopspanError } from '../../errors.ts';
import { whyNotWritten } from '../../file-errors.ts';
import { foreignBytes, type PipelineSpan } from '../../spans/foreign-span.ts';
import { type Clock, systemClock } from '../clock.ts';
import { Counts, MAX_WAITING_BYTES, spanCount } from '../counts.ts';
import type { Exporter, ExporterStats } from '../exporter.ts';
import type { ExporterLog } from '../log.ts';
import { toOtlpJson } from '../otlp-json.ts';
import { Trouble } from '../trouble.ts';
import type { FileOptions } from './options.ts';

/** The most spans that may wait for a slow disk. */
const QUEUE_SPANS = 20_480;
/** A line takes what came in while the one before was written, up to about this much. */
const LINE_SPANS = 512;
const NEWLINE = Buffer.from('\n');

/** What of a FileHandle is used. */
export interface AppendHandle {
  write(buffer: Buffer): Promise<{ bytesWritten: number }>;
  close(): Promise<void>;
}

export interface FileExporterDeps {
  readonly log: ExporterLog;
  readonly clock?: Clock;
  readonly openFile?: (path: string) => Promise<AppendHandle>;
}

function startError(path: string, error: NodeJS.ErrnoException): HopspanError {
  const reason = whyNotWritten(path, error);
  return new HopspanError('EXPORTER_START_FAILED', `The file exporter cannot write ${path}: ${reason}.`, {
    cause: error,
  });
}

class FileExporter implements Exporter {
  readonly #name: string;
  readonly #path: string;
  readonly #log: ExporterLog;
  readonly #openFile: (path: string) => Promise<AppendHandle>;
  readonly #counts = new Counts();
  readonly #trouble: Trouble;
  #handle: AppendHandle | undefined;
  #queue: (readonly PipelineSpan[])[] = [];
  #writing: Promise<void> | undefined;
  #failing = false;
  /** The last line was cut short by an error. */
  #fragment = false;
  /** Of applications' spans. */
  #waitingBytes = 0;
  #closed = false;
  #shutdown: Promise<void> | undefined;

  constructor(name: string, options: FileOptions, deps: FileExporterDeps) {
    this.#name = name;
    this.#path = options.path;
    this.#log = deps.log;
    this.#openFile = deps.openFile ?? ((path) => open(path, 'a'));
    this.#trouble = new Trouble(deps.clock ?? systemClock, (reason) => {
      const { waiting, dropped } = this.#counts;
      this.#log.warn(
        `Exporter ${name}: ${options.path} ${reason}: ${spanCount(waiting)} waiting, ${dropped} dropped so far.`,
      );
    });
  }

  async start(): Promise<void> {
    try {
      this.#handle = await this.#openFile(this.#path);
    } catch (error) {
      throw startError(this.#path, error as NodeJS.ErrnoException);
    }
    this.#pump();
  }

  export(spans: readonly PipelineSpan[]): void {
    if (spans.length === 0) return;
    const room = this.#closed ? 0 : QUEUE_SPANS - this.#counts.waiting;
    const taken = spans.length <= room ? spans : spans.slice(0, room);
    this.#counts.accepted += spans.length;
    if (taken.length < spans.length) {
      const why = this.#closed ? 'has been closed' : `is too slow for the queue of ${QUEUE_SPANS} spans`;
      this.#drop(spans.length - taken.length, why);
    }
    if (taken.length === 0) return;
    this.#queue.push(taken);
    this.#waitingBytes += foreignBytes(taken);
    this.#pump();
  }

  shutdown(timeoutMs: number): Promise<void> {
    this.#shutdown ??= this.#drain(timeoutMs);
    return this.#shutdown;
  }

  hasRoom(count: number): boolean {
    return this.#waitingBytes < MAX_WAITING_BYTES && this.#counts.hasRoom(count, QUEUE_SPANS);
  }

  stats(): ExporterStats {
    return this.#counts.stats(this.#name);
  }

  #drop(count: number, why: string): void {
    this.#counts.dropped += count;
    this.#trouble.note(why);
  }

  #nextLine(): readonly PipelineSpan[] {
    const spans: PipelineSpan[] = [];
    let batches = 0;
    while (batches < this.#queue.length && spans.length < LINE_SPANS)
      spans.push(...(this.#queue[batches++] ?? []));
    this.#queue.splice(0, batches);
    return spans;
  }

  #pump(): void {
    if (this.#handle === undefined || this.#writing !== undefined || this.#queue.length === 0) return;
    this.#writing = this.#writeAll(this.#handle);
  }

  async #writeAll(handle: AppendHandle): Promise<void> {
    while (this.#queue.length > 0) {
      const spans = this.#nextLine();
      this.#waitingBytes -= foreignBytes(spans);
      try {
        await this.#writeLine(handle, Buffer.from(`${toOtlpJson(spans)}\n`));
        if (this.#closed) return;
        this.#counts.exported += spans.length;
        if (this.#failing) this.#recovered();
      } catch (error) {
        if (this.#closed) return;
        this.#failing = true;
        this.#drop(spans.length, `cannot be written (${(error as NodeJS.ErrnoException).code ?? error})`);
      }
    }
    this.#writing = undefined;
  }

  async #writeLine(handle: AppendHandle, line: Buffer): Promise<void> {
    // A fragment stays on a line of its own, so that readers lose one line and not two.
    let rest = this.#fragment ? Buffer.concat([NEWLINE, line]) : line;
    while (rest.length > 0) {
      // A full disk writes a part first, and fails at the next write.
      const { bytesWritten } = await handle.write(rest);
      rest = rest.subarray(bytesWritten);
      this.#fragment = rest.length > 0;
    }
  }

  #recovered(): void {
    this.#failing = false;
    this.#trouble.recovered();
    const { dropped } = this.#counts;
    this.#log.info(`Exporter ${this.#name}: ${this.#path} can be written again, ${dropped} dropped so far.`);
  }

  async #drain(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.#writing, deadline]);
    clearTimeout(timer);
    this.#closed = true;
    this.#queue = [];
    const left = this.#counts.waiting;
    if (left > 0) this.#drop(left, `did not take the last ${spanCount(left)} within ${timeoutMs / 1000} s`);
    this.#trouble.close(true);
    const handle = this.#handle;
    this.#handle = undefined;
    // A write that hangs would hold the close up, too.
    if (left === 0) await handle?.close();
    else void handle?.close().catch(() => {});
  }
}

/**
 * Appends OTLP/JSON, one ExportTraceServiceRequest a line, as the Collector's file exporter does. A disk that
 * is full or fails costs the spans of that time, counted and said; writing goes on when it can.
 */
export function createFileExporter(name: string, options: FileOptions, deps: FileExporterDeps): Exporter {
  return new FileExporter(name, options, deps);
}
