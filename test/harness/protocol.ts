/**
 * The bytes that the test client and the test backend exchange. Big-endian.
 *
 * framed: request  u32 length, u32 connection, u32 exchange, u32 answer length, u16 think ms, u8 fault, u8 0, filling
 *         answer   u32 length, u32 connection, u32 exchange, filling
 * fixed:  messages of an agreed length, 1 byte and up. The first four bytes of all requests of a connection spell its
 *         number, lowest byte first, so that even 1-byte messages say whose they are: n bytes tell 256**n connections.
 * smtp:   see smtp.ts
 */
export type Framing = 'framed' | 'fixed' | 'smtp';

export const REQUEST_HEADER_BYTES = 20;
export const ANSWER_HEADER_BYTES = 12;

/** What the backend does instead of answering in full; `silent`: nothing at all. */
export const FAULTS = ['none', 'close', 'close-mid-answer', 'reset', 'reset-mid-answer', 'silent'] as const;
export type Fault = (typeof FAULTS)[number];

export interface RequestHeader {
  readonly connId: number;
  readonly exchange: number;
  readonly answerBytes: number;
  readonly thinkMs: number;
  readonly fault: Fault;
}

/** `length` counts the header, too; at least 20. */
export function framedRequest(length: number, header: RequestHeader): Buffer {
  const message = filled(Math.max(length, REQUEST_HEADER_BYTES), header.connId);
  message.writeUInt32BE(message.length, 0);
  message.writeUInt32BE(header.connId, 4);
  message.writeUInt32BE(header.exchange, 8);
  message.writeUInt32BE(header.answerBytes, 12);
  message.writeUInt16BE(header.thinkMs, 16);
  message.writeUInt8(FAULTS.indexOf(header.fault), 18);
  message.writeUInt8(0, 19);
  return message;
}

export function readRequestHeader(header: Buffer): RequestHeader {
  return {
    connId: header.readUInt32BE(4),
    exchange: header.readUInt32BE(8),
    answerBytes: header.readUInt32BE(12),
    thinkMs: header.readUInt16BE(16),
    fault: FAULTS[header.readUInt8(18)] ?? 'none',
  };
}

/** `length` counts the header, too; at least 12. */
export function framedAnswer(length: number, connId: number, exchange: number): Buffer {
  const message = filled(Math.max(length, ANSWER_HEADER_BYTES), connId);
  message.writeUInt32BE(message.length, 0);
  message.writeUInt32BE(connId, 4);
  message.writeUInt32BE(exchange, 8);
  return message;
}

/** The bytes `offset` to `offset + length` of a connection's request stream in `fixed` framing. */
export function fixedRequest(length: number, connId: number, offset: number): Buffer {
  const message = filled(length, connId);
  for (let at = offset; at < Math.min(4, offset + length); at++)
    message[at - offset] = (connId >>> (8 * at)) & 0xff;
  return message;
}

/** Differs from one connection to the next, so that bytes that went to the wrong peer are seen. */
function filled(length: number, connId: number): Buffer {
  return Buffer.alloc(length, (connId * 31 + 7) & 0xff);
}

/** Takes a stream apart into messages. */
export interface MessageReader {
  push(chunk: Buffer): void;
  /** Bytes of the message that is not complete yet. */
  partial(): number;
}

export interface MessageEvents {
  /** The first byte of a message came. */
  first?(): void;
  /** `header` is the message's first bytes, as many as were asked for. */
  message(header: Buffer, bytes: number): void;
}

/** Messages whose length stands in their first `headerBytes`, or is known: `lengthOf` gets just these bytes. */
export function lengthReader(
  headerBytes: number,
  lengthOf: (header: Buffer) => number,
  events: MessageEvents,
): MessageReader {
  const header = Buffer.alloc(headerBytes);
  let got = 0;
  let length = 0;
  return {
    partial: () => got,
    push: (chunk) => {
      let at = 0;
      while (at < chunk.length) {
        if (got === 0) events.first?.();
        if (got < headerBytes) {
          const copied = chunk.copy(header, got, at, at + headerBytes - got);
          got += copied;
          at += copied;
          if (got < headerBytes) return;
          length = lengthOf(header);
        }
        const rest = Math.min(length - got, chunk.length - at);
        got += rest;
        at += rest;
        if (got < length) return;
        got = 0;
        events.message(Buffer.from(header), length);
      }
    },
  };
}

/** Messages that end in a text, which `terminator` gives anew for each of them; `header` is the whole message. */
export function textReader(terminator: () => string, events: MessageEvents): MessageReader {
  let kept = Buffer.alloc(0);
  return {
    partial: () => kept.length,
    push: (chunk) => {
      if (kept.length === 0) events.first?.();
      kept = Buffer.concat([kept, chunk]);
      for (;;) {
        const mark = terminator();
        const found = kept.indexOf(mark);
        if (found < 0) return;
        const end = found + mark.length;
        const message = kept.subarray(0, end);
        kept = kept.subarray(end);
        events.message(message, end);
        if (kept.length > 0) events.first?.();
      }
    },
  };
}
