import { open } from 'node:fs/promises';
import { HopspanError } from '../../errors.ts';
import { whyNotRead } from '../../file-errors.ts';
import { createTracePipeline } from '../../pipeline/traces.ts';
import { MAGIC } from '../../recording/format.ts';
import { readRecording } from '../../recording/read.ts';
import type { SpanOptions } from '../../spans/build.ts';
import type { HopSpan } from '../../spans/hop-span.ts';
import { readLines } from './lines.ts';
import { readRequest } from './otlp-json.ts';

/** A file's first bytes, in which text has no NUL. */
const LOOK_BYTES = 4096;

/** What a pass over the input met with beside its spans. */
export interface InputReport {
  readonly kind: 'recording' | 'spans';
  /** Records of a recording, or lines of spans, that were read. */
  readonly read: number;
  /** Lines that are no export request. */
  readonly brokenLines: number;
  /** Spans without ids or times that can be. */
  readonly brokenSpans: number;
  /** Records that the recorder could not write in time; undefined where the recording does not tell. */
  readonly dropped: number | undefined;
  /** Where the recording could not be read any further, in one sentence. */
  readonly cut: string | undefined;
}

/** An input that can be read as often as needed, each time with the same spans in the same order. */
export interface Input {
  readonly kind: InputReport['kind'];
  /** @throws HopspanError when nothing of it can be read */
  read(onSpans: (spans: readonly HopSpan[]) => void): Promise<InputReport>;
}

/**
 * A recording or lines of spans, whichever the file's content is.
 * @throws HopspanError REPORT_INPUT_INVALID for any other file, and for none.
 */
export async function openInput(path: string, options: SpanOptions): Promise<Input> {
  const head = await lookAt(path);
  if (head.subarray(0, MAGIC.length).equals(MAGIC))
    return { kind: 'recording', read: (onSpans) => replay(path, options, onSpans) };
  if (head.length === 0 || head.includes(0)) throw foreign(path, head.length === 0 ? 'is empty' : undefined);
  return { kind: 'spans', read: (onSpans) => readSpans(path, onSpans) };
}

async function lookAt(path: string): Promise<Buffer> {
  try {
    const handle = await open(path, 'r');
    try {
      if (!(await handle.stat()).isFile())
        throw invalid(`${path} is not a regular file, and the input is read twice; give a file.`);
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(LOOK_BYTES), 0, LOOK_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw error instanceof HopspanError ? error : unreadable(path, error as NodeJS.ErrnoException);
  }
}

async function replay(
  path: string,
  options: SpanOptions,
  onSpans: (spans: readonly HopSpan[]) => void,
): Promise<InputReport> {
  const pipeline = createTracePipeline([{ export: onSpans }], options);
  let read = 0;
  let dropped: number | undefined;
  let cut: string | undefined;
  try {
    const records = readRecording(path, (end) => {
      dropped = end.dropped;
    });
    for await (const record of records) {
      read++;
      pipeline.push(record);
    }
  } catch (error) {
    if (!(error instanceof HopspanError) || read === 0) throw error;
    cut = error.message;
  }
  pipeline.flush();
  return { kind: 'recording', read, brokenLines: 0, brokenSpans: 0, dropped, cut };
}

async function readSpans(path: string, onSpans: (spans: readonly HopSpan[]) => void): Promise<InputReport> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error);
  });
  let read = 0;
  let brokenLines = 0;
  let brokenSpans = 0;
  try {
    for await (const line of readLines(handle)) {
      if (line?.trim() === '') continue;
      const request = line === undefined ? undefined : readRequest(line);
      if (!request) {
        brokenLines++;
        continue;
      }
      read++;
      brokenSpans += request.broken;
      onSpans(request.spans);
    }
  } finally {
    await handle.close();
  }
  if (read === 0) throw foreign(path);
  return { kind: 'spans', read, brokenLines, brokenSpans, dropped: undefined, cut: undefined };
}

const invalid = (message: string, cause?: unknown): HopspanError =>
  new HopspanError('REPORT_INPUT_INVALID', message, cause === undefined ? {} : { cause });

const foreign = (
  path: string,
  what = 'is neither a recording nor spans in OTLP/JSON, one request a line',
): HopspanError =>
  invalid(
    `${path} ${what}; give what "hopspan record", "hopspan watch --json" or the exporter "file" wrote.`,
  );

function unreadable(path: string, error: NodeJS.ErrnoException): HopspanError {
  return invalid(`${path} cannot be read: ${whyNotRead(error)}.`, error);
}
