import { pino } from 'pino';
import type { LogConfig, LogLevel } from '../config/types.ts';
import { escapeControl, escapeControlInJson } from './escape.ts';
import { createLogSampling } from './log-sampling.ts';

export type Logger = pino.Logger;

/** Pino's numeric levels by their names. */
const LEVELS: Readonly<Record<number, LogLevel>> = {
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'error',
};
/** How a line for people begins; `info` needs no word. */
const LEVEL_WORDS: Readonly<Record<LogLevel, string>> = {
  debug: 'debug: ',
  info: '',
  warn: 'warning: ',
  error: 'error: ',
};

/** The Collector's defaults. */
export const DEFAULT_LOGS: LogConfig = {
  level: 'info',
  encoding: 'console',
  sampling: { enabled: true, tickMs: 10_000, initial: 10, thereafter: 100 },
};

/** A logger, and how to change what it tells. */
export interface Log {
  readonly log: Logger;
  configure(config: LogConfig): void;
  /** Says what was left out so far. */
  end(): void;
}

interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** @returns the logger of `createLog` alone. */
export function createLogger(config: LogConfig, stream?: NodeJS.WritableStream): Logger {
  return createLog(config, stream).log;
}

/**
 * A pino logger that writes one line per record, to a terminal and to a pipe alike: `hopspan: message key=value`, or JSON
 * in the shape of the Collector's. Control characters in messages, keys and values come out escaped. Lines of the same
 * level and message are bounded by `sampling`; how many were left out is said at the end of its interval. A stream that
 * breaks (the reader of stderr went away) silences the log and stops nothing else.
 */
export function createLog(config: LogConfig, stream: NodeJS.WritableStream = process.stderr): Log {
  if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  let { encoding } = config;
  let { tickMs } = config.sampling;
  let sampling = createLogSampling(config.sampling);
  let timer: NodeJS.Timeout | undefined;

  function put(line: Line): void {
    stream.write(encoding === 'json' ? jsonLine(line) : consoleLine(line));
  }

  function endTick(): void {
    clearTimeout(timer);
    timer = undefined;
    for (const { kind, count } of sampling.endTick()) {
      const [level = 'info', message = ''] = splitKind(kind);
      put({
        level: level as LogLevel,
        message: 'the same line was left out',
        fields: { times: count, line: message },
      });
    }
  }

  function write(text: string): void {
    const line = lineOf(text);
    timer ??= setTimeout(endTick, tickMs).unref();
    if (sampling.admits(`${line.level} ${line.message}`)) put(line);
  }

  const serializers = { err: (value: unknown) => (value instanceof Error ? value.message : value) };
  const log = pino({ level: config.level, base: null, timestamp: false, serializers }, { write });
  return {
    log,
    end: endTick,
    configure(changed) {
      endTick();
      ({ encoding } = changed);
      ({ tickMs } = changed.sampling);
      sampling = createLogSampling(changed.sampling);
      log.level = changed.level;
    },
  };
}

function splitKind(kind: string): string[] {
  const space = kind.indexOf(' ');
  return [kind.slice(0, space), kind.slice(space + 1)];
}

function lineOf(text: string): Line {
  const { level, msg, ...fields } = JSON.parse(text) as Record<string, unknown>;
  // `log.error(error)` takes the error's message as the record's: once is enough.
  if (fields.err === msg) delete fields.err;
  return { level: LEVELS[Number(level)] ?? 'info', message: String(msg ?? ''), fields };
}

function consoleLine({ level, message, fields }: Line): string {
  const pairs = Object.entries(fields).map(([key, value]) => ` ${escapeControl(key)}=${formatValue(value)}`);
  return `hopspan: ${LEVEL_WORDS[level]}${escapeControl(message)}${pairs.join('')}\n`;
}

function jsonLine({ level, message, fields }: Line): string {
  const line = { level, ts: new Date().toISOString(), msg: message, ...fields };
  return `${escapeControlInJson(JSON.stringify(line))}\n`;
}

/** Text that could be read as more than one value stands in quotes. */
function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const ambiguous = typeof value === 'string' && (text === '' || /[\s"=]/u.test(text));
  return escapeControl(ambiguous ? JSON.stringify(text) : text);
}
