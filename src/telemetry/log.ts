import { pino } from 'pino';
import type { LogLevel } from '../config/types.ts';
import { escapeControl } from './escape.ts';

export type Logger = pino.Logger;

/** Pino's numeric levels that a reader should notice; `info` needs no word. */
const LEVEL_WORDS: Readonly<Record<number, string>> = {
  20: 'debug: ',
  40: 'warning: ',
  50: 'error: ',
  60: 'error: ',
};

/**
 * A pino logger that writes one plain line per record, `hopspan: message key=value`, to a terminal and to a
 * pipe alike. Control characters in messages, keys and values come out escaped. A stream that breaks (the
 * reader of stderr went away) silences the log and stops nothing else.
 */
export function createLogger(level: LogLevel, stream: NodeJS.WritableStream = process.stderr): Logger {
  if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  const serializers = { err: (value: unknown) => (value instanceof Error ? value.message : value) };
  return pino(
    { level, base: null, timestamp: false, serializers },
    { write: (line: string) => void stream.write(formatRecord(line)) },
  );
}

function formatRecord(line: string): string {
  const { level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  // `log.error(error)` takes the error's message as the record's: once is enough.
  if (fields.err === msg) delete fields.err;
  const word = LEVEL_WORDS[Number(level)] ?? '';
  const pairs = Object.entries(fields).map(([key, value]) => ` ${escapeControl(key)}=${formatValue(value)}`);
  return `hopspan: ${word}${escapeControl(String(msg ?? ''))}${pairs.join('')}\n`;
}

/** Text that could be read as more than one value stands in quotes. */
function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const ambiguous = typeof value === 'string' && (text === '' || /[\s"=]/u.test(text));
  return escapeControl(ambiguous ? JSON.stringify(text) : text);
}
