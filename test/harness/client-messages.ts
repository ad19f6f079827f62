import type { MessageEvents, MessageReader, RequestHeader } from './protocol.ts';
import { ANSWER_HEADER_BYTES, fixedRequest, framedRequest, lengthReader, textReader } from './protocol.ts';
import { draw } from './range.ts';
import { smtpRequest } from './smtp.ts';
import type { ClientExchange, ClientOptions } from './traffic-types.ts';

/** The next request of a connection that has sent `sentBytes` so far. */
export function requestBytes(
  options: ClientOptions,
  random: () => number,
  connId: number,
  exchange: number,
  sentBytes: number,
): Buffer {
  const length = draw(options.requestBytes ?? 1, random);
  if (options.framing === 'smtp') return Buffer.from(smtpRequest(connId, exchange, length));
  if (options.framing === 'fixed') return fixedRequest(length, connId, sentBytes);
  const header: RequestHeader = {
    connId,
    exchange,
    answerBytes: draw(options.answerBytes ?? 1, random),
    thinkMs: draw(options.thinkMs ?? 0, random),
    fault: exchange === (options.faultAt ?? 0) ? (options.fault ?? 'none') : 'none',
  };
  return framedRequest(length, header);
}

/** Takes the stream of answers apart. */
export function answerReader(options: ClientOptions, events: MessageEvents): MessageReader {
  if (options.framing === 'smtp') return textReader(() => '\r\n', events);
  if (options.framing === 'fixed') {
    const length = typeof options.answerBytes === 'number' ? options.answerBytes : 1;
    return lengthReader(1, () => length, events);
  }
  return lengthReader(ANSWER_HEADER_BYTES, (header) => header.readUInt32BE(0), events);
}

/** Whether an answer that begins with `header` belongs to that exchange; SMTP's answers do not tell. */
export function answersTo(
  options: ClientOptions,
  header: Buffer,
  { connId, exchange, ...sent }: ClientExchange,
): boolean {
  if (options.framing === 'smtp') return true;
  if (options.framing === 'fixed')
    return header[0] === fixedRequest(1, connId, exchange * sent.requestBytes)[0];
  return header.readUInt32BE(4) === connId && header.readUInt32BE(8) === exchange;
}
