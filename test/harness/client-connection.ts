import { connect, type Socket } from 'node:net';
import { answerReader, answersTo, requestBytes } from './client-messages.ts';
import { monotonicNs } from './process.ts';
import { createRandom } from './random.ts';
import { draw } from './range.ts';
import { SMTP_EXCHANGES, SMTP_GREETING } from './smtp.ts';
import type { ClientConnection, ClientExchange, ClientOptions } from './traffic-types.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What all connections of the client process have in common. */
export interface Shared {
  readonly options: ClientOptions;
  readonly exchanges: ClientExchange[];
  open: number;
  maxOpen: number;
  /** Called once by each connection: when it has reached `holdAfter`, or when it ended without. */
  arrive(): void;
  /** Resolves when the held connections may go on. */
  readonly go: Promise<void>;
}

interface State {
  readonly shared: Shared;
  readonly socket: Socket;
  readonly log: Mutable<ClientConnection>;
  readonly random: () => number;
  /** Sent and not answered, oldest first. */
  readonly pending: Mutable<ClientExchange>[];
  readonly total: number;
  sent: number;
  sentBytes: number;
  answered: number;
  /** Something, such as an end, wakes whoever waits for the next answer. */
  wake: () => void;
  over: boolean;
  held: boolean;
  aborting: boolean;
}

/**
 * One connection from connect to close; what happened to its exchanges goes to `shared.exchanges`. Never rejects.
 * `connected` holds the first request back, and is called even when the connection failed.
 */
export async function runConnection(
  shared: Shared,
  connId: number,
  connected: () => Promise<void> = async () => {},
): Promise<ClientConnection> {
  const state = open(shared, connId);
  const { socket, log } = state;
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', () => resolve());
  });
  if (!state.over) established(state);
  await connected();
  if (!state.over) {
    await greeted(state);
    await talk(state);
    leave(state);
  }
  await closed;
  if (log.connectEndNs > 0) shared.open--;
  if (!state.held) shared.arrive();
  for (const exchange of state.pending) {
    finish(state, exchange, state.aborting ? 'aborted' : 'cut');
  }
  return log;
}

function open(shared: Shared, connId: number): State {
  const { options } = shared;
  const sources = options.localAddresses ?? [];
  const localAddress = sources.length > 0 ? sources[connId % sources.length] : undefined;
  const connectStartNs = monotonicNs();
  const host = options.host ?? '127.0.0.1';
  const target = { host, port: options.port, allowHalfOpen: true, noDelay: true };
  const socket = connect({ ...target, ...(localAddress === undefined ? {} : { localAddress }) });
  const log: Mutable<ClientConnection> = {
    connId,
    localAddress: '',
    localPort: 0,
    connectStartNs,
    connectEndNs: 0,
    greetingNs: 0,
    finNs: 0,
    closedNs: 0,
  };
  const state: State = {
    shared,
    socket,
    log,
    random: createRandom((options.seed ?? 1) * 1_000_003 + connId),
    pending: [],
    total: options.framing === 'smtp' ? SMTP_EXCHANGES : (options.exchanges ?? 1),
    sent: 0,
    sentBytes: 0,
    answered: 0,
    wake: () => {},
    over: false,
    held: false,
    aborting: false,
  };
  socket.on('error', (error: NodeJS.ErrnoException) => {
    log.error = error.code ?? error.message;
  });
  socket.on('end', () => {
    log.finNs = monotonicNs();
    state.over = true;
    state.wake();
  });
  socket.on('close', () => {
    log.closedNs = monotonicNs();
    state.over = true;
    state.wake();
  });
  return state;
}

function established({ shared, socket, log }: State): void {
  log.connectEndNs = monotonicNs();
  log.localAddress = socket.localAddress ?? '';
  log.localPort = socket.localPort ?? 0;
  shared.maxOpen = Math.max(shared.maxOpen, ++shared.open);
}

/** Reads the server's greeting, if there is one, and from then on answers. */
async function greeted(state: State): Promise<void> {
  const { socket, log, shared } = state;
  const { options } = shared;
  const answers = answerReader(options, {
    first: () => {
      if (state.pending[0]) state.pending[0].firstByteNs = monotonicNs();
    },
    message: (header, bytes) => {
      const exchange = state.pending.shift();
      if (!exchange) return;
      exchange.answerBytes = bytes;
      finish(state, exchange, answersTo(options, header, exchange) ? 'ok' : 'foreign');
      state.answered++;
    },
  });
  let rest = options.framing === 'smtp' ? SMTP_GREETING.length : (options.greetingBytes ?? 0);
  socket.on('data', (chunk) => {
    const ofGreeting = Math.min(rest, chunk.length);
    rest -= ofGreeting;
    if (ofGreeting > 0 && rest === 0) log.greetingNs = monotonicNs();
    if (ofGreeting < chunk.length) answers.push(chunk.subarray(ofGreeting));
    partlyAnswered(state, answers.partial());
    state.wake();
  });
  await waitFor(state, () => rest === 0);
}

async function talk(state: State): Promise<void> {
  const { options } = state.shared;
  const held = options.holdAfter ?? -1;
  const holdNow = async (): Promise<void> => {
    if (state.over || state.answered !== held || state.sent !== held || state.held) return;
    state.held = true;
    state.shared.arrive();
    await state.shared.go;
  };
  while (!state.over && state.answered < state.total) {
    await holdNow();
    const limit = state.sent < held ? Math.min(held, state.total) : state.total;
    const pipeline = Math.max(options.pipeline ?? 1, 1);
    while (!state.over && state.sent < limit && state.pending.length < pipeline) send(state);
    const { answered } = state;
    await waitFor(state, () => state.answered > answered || state.aborting);
    if (state.aborting) return;
    const gapMs = draw(options.gapMs ?? 0, state.random);
    if (gapMs > 0 && state.answered < state.total) await new Promise((resolve) => setTimeout(resolve, gapMs));
  }
  await holdNow();
}

function send(state: State): void {
  const { socket, log, shared } = state;
  const { options } = shared;
  const number = state.sent++;
  const bytes = requestBytes(options, state.random, log.connId, number, state.sentBytes);
  const exchange: Mutable<ClientExchange> = {
    connId: log.connId,
    exchange: number,
    localAddress: log.localAddress,
    localPort: log.localPort,
    requestBytes: bytes.length,
    answerBytes: 0,
    startNs: monotonicNs(),
    sentNs: 0,
    firstByteNs: 0,
    endNs: 0,
    outcome: 'cut',
  };
  state.pending.push(exchange);
  state.sentBytes += bytes.length;
  socket.write(bytes, () => {
    exchange.sentNs = monotonicNs();
    if (options.abort?.exchange === number && options.abort.when === 'sent') abort(state);
  });
  if (options.end === 'half-close' && state.sent === state.total) socket.end();
  if (options.pauseMs !== undefined) {
    socket.pause();
    setTimeout(() => socket.resume(), options.pauseMs);
  }
}

function partlyAnswered(state: State, bytes: number): void {
  const first = state.pending[0];
  if (!first) return;
  first.answerBytes = bytes;
  const { abort: plan } = state.shared.options;
  if (bytes > 0 && plan?.when === 'part' && plan.exchange === first.exchange) abort(state);
}

function abort(state: State): void {
  if (state.aborting) return;
  state.aborting = true;
  state.wake();
}

/** Ends the connection as the options say; the socket's `close` tells when it is over. */
function leave(state: State): void {
  const { socket, shared, over } = state;
  const plan = state.aborting ? shared.options.abort : undefined;
  const how = plan?.how ?? shared.options.end ?? (shared.options.framing === 'smtp' ? 'server' : 'fin');
  const act = (): void => {
    if (how === 'reset') socket.resetAndDestroy();
    // An aborting client is gone at once; unread bytes make the kernel send a reset instead of the FIN.
    else if (plan) socket.destroy();
    else if (how === 'server' && !over) socket.once('end', () => socket.end());
    else socket.end();
  };
  if (plan?.afterMs) setTimeout(act, plan.afterMs);
  else act();
}

function finish(
  { shared }: State,
  exchange: Mutable<ClientExchange>,
  outcome: ClientExchange['outcome'],
): void {
  exchange.endNs = monotonicNs();
  exchange.outcome = outcome;
  shared.exchanges.push(exchange);
}

/** Also returns when the connection is over. */
async function waitFor(state: State, condition: () => boolean): Promise<void> {
  while (!state.over && !condition()) {
    await new Promise<void>((resolve) => {
      state.wake = resolve;
    });
  }
}
