import type { Fault, Framing } from './protocol.ts';
import type { Range } from './range.ts';

/** All times: CLOCK_MONOTONIC in nanoseconds; 0 for what never happened. */
export interface BackendOptions {
  /** 127.0.0.1 where not given. */
  readonly host?: string;
  /** A free one where not given. */
  readonly port?: number;
  /** `framed` where not given. */
  readonly framing?: Framing;
  /** `fixed` framing only: the length of every request and every answer; 1 where not given. */
  readonly requestBytes?: number;
  readonly answerBytes?: number;
  /** Before every answer, on top of what a framed request asks for. */
  readonly thinkMs?: Range;
  /** The server speaks first: bytes sent to everybody who connects. */
  readonly greetingBytes?: number;
  /** Answers only when the client has sent its FIN. */
  readonly answerAfterFin?: boolean;
  /** Closes (FIN) after so many answers. */
  readonly closeAfter?: number;
  /** Reads nothing for so long after the connection was accepted. */
  readonly pauseMs?: number;
  /** What befalls the exchange `faultAt` (0 where not given) of every connection. */
  readonly fault?: Fault;
  readonly faultAt?: number;
  /** Instead of serving: `close` (FIN) or `reset` as soon as a connection is accepted. */
  readonly onAccept?: 'close' | 'reset';
  /** Length of the accept queue: `backlog + 1` connections fit (Linux, sk_acceptq_is_full). */
  readonly backlog?: number;
  readonly seed?: number;
}

export interface BackendExchange {
  /** The client's number of the connection; -1 when the bytes did not tell. */
  readonly connId: number;
  /** Counted from 0 on each connection; framed requests bring the client's own number. */
  readonly exchange: number;
  /** The proxy's upstream local address. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly requestBytes: number;
  /** Written; 0 with a fault that comes before the answer. */
  readonly answerBytes: number;
  readonly firstByteNs: number;
  readonly receivedNs: number;
  readonly answerStartNs: number;
  readonly answerEndNs: number;
}

export interface BackendConnection {
  readonly connId: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly acceptedNs: number;
  /** The peer's FIN. */
  readonly finNs: number;
  readonly closedNs: number;
  /** An error code such as ECONNRESET, when it ended by one. */
  readonly error?: string;
}

export interface BackendLog {
  readonly exchanges: BackendExchange[];
  readonly connections: BackendConnection[];
}

export interface ClientOptions {
  readonly port: number;
  readonly host?: string;
  /** 1 where not given. */
  readonly connections?: number;
  /** Open at the same time; all of them where not given. */
  readonly concurrency?: number;
  /** Groups of `concurrency`: nobody sends before the whole group is connected, and the next follows the last. */
  readonly groups?: boolean;
  /** The number of the first connection; 0 where not given. */
  readonly firstConnId?: number;
  /** Per connection; 1 where not given, 6 always with smtp. */
  readonly exchanges?: number;
  readonly framing?: Framing;
  /** Whole message, header and all: framed at least 20 and 12; with `fixed` plain numbers, as the backend has them. */
  readonly requestBytes?: Range;
  readonly answerBytes?: Range;
  /** Requests that may be under way on one connection; 1 where not given. */
  readonly pipeline?: number;
  /** Asked of the backend in framed requests. */
  readonly thinkMs?: Range;
  readonly fault?: Fault;
  readonly faultAt?: number;
  /** The server speaks first; must be the backend's `greetingBytes`. */
  readonly greetingBytes?: number;
  /** Between an answer and the next request. */
  readonly gapMs?: Range;
  /** Every connection holds after that many exchanges (0: as soon as it is connected) until `go()`. */
  readonly holdAfter?: number;
  /** Slow reader: reads nothing for so long after it has sent a request. */
  readonly pauseMs?: number;
  /** Leaves before the whole answer of that exchange is there. */
  readonly abort?: {
    readonly exchange: number;
    readonly how: 'reset' | 'fin';
    /** `sent`: as soon as the request is written; `part`: when the first part of the answer was read. */
    readonly when: 'sent' | 'part';
    readonly afterMs?: number;
  };
  /** After the last answer; `half-close`: FIN after the last request, then the answers; `server`: waits for its FIN. */
  readonly end?: 'fin' | 'reset' | 'half-close' | 'server';
  /**
   * Source addresses, taken in turn: each brings its own ephemeral ports. Binding makes the kernel search for a port
   * one by one, which takes seconds at thousands of connections; without it, ports in TIME_WAIT are used again.
   */
  readonly localAddresses?: readonly string[];
  readonly seed?: number;
}

export interface ClientExchange {
  readonly connId: number;
  readonly exchange: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly requestBytes: number;
  /** Received, so fewer than asked for when it was cut off. */
  readonly answerBytes: number;
  readonly startNs: number;
  /** The kernel has taken the whole request. */
  readonly sentNs: number;
  readonly firstByteNs: number;
  readonly endNs: number;
  /** `foreign`: the answer to another connection or another exchange came. */
  readonly outcome: 'ok' | 'aborted' | 'cut' | 'foreign';
}

export interface ClientConnection {
  readonly connId: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly connectStartNs: number;
  readonly connectEndNs: number;
  readonly greetingNs: number;
  /** The peer's FIN. */
  readonly finNs: number;
  readonly closedNs: number;
  /** An error code such as ECONNREFUSED or ECONNRESET, when it ended by one. */
  readonly error?: string;
}

export interface ClientLog {
  /** In the order in which they ended. */
  readonly exchanges: ClientExchange[];
  /** In the order of their numbers. */
  readonly connections: ClientConnection[];
  /** Most connections that were established at the same time. */
  readonly maxOpen: number;
  readonly startNs: number;
  readonly endNs: number;
}

export interface RelayOptions {
  readonly host?: string;
  /** A free one where not given. */
  readonly port?: number;
  readonly upstreamHost?: string;
  readonly upstreamPort: number;
  /** Every byte waits so long on its way; order is kept. */
  readonly delayToUpstreamMs?: number;
  readonly delayToDownstreamMs?: number;
}
