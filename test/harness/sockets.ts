import { readFileSync } from 'node:fs';

/** One TCP socket of this network namespace as /proc/net/tcp and tcp6 show it (Linux, Documentation/networking/proc_net_tcp.rst). */
export interface TcpSocket {
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: 'established' | 'syn-sent' | 'other';
  /** Written and not acknowledged. */
  readonly unsentBytes: number;
  /** In the receive queue. */
  readonly unreadBytes: number;
}

/** include/net/tcp_states.h */
const STATES = new Map([
  ['01', 'established'],
  ['02', 'syn-sent'],
] as const);

const LINE =
  /^ *\d+: [0-9A-F]+:(?<local>[0-9A-F]{4}) [0-9A-F]+:(?<remote>[0-9A-F]{4}) (?<state>[0-9A-F]{2}) (?<unsent>[0-9A-F]+):(?<unread>[0-9A-F]+) /gm;

/** One line for each that has bytes waiting or is in use, for the message of a test that failed. */
export function socketsText(): string {
  return tcpSockets()
    .filter(({ state, unsentBytes, unreadBytes }) => state !== 'other' || unsentBytes + unreadBytes > 0)
    .map(
      ({ localPort, remotePort, state, unsentBytes, unreadBytes }) =>
        `\n  ${localPort} to ${remotePort}: ${state}, ${unsentBytes} B not sent, ${unreadBytes} B not read`,
    )
    .join('');
}

/** All of them, also those that no process has accepted yet. */
export function tcpSockets(): TcpSocket[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    [...readFileSync(file, 'latin1').matchAll(LINE)].map(({ groups = {} }) => ({
      localPort: hexadecimal(groups.local),
      remotePort: hexadecimal(groups.remote),
      state: STATES.get(groups.state as '01' | '02') ?? 'other',
      unsentBytes: hexadecimal(groups.unsent),
      unreadBytes: hexadecimal(groups.unread),
    })),
  );
}

function hexadecimal(digits = '0'): number {
  return Number.parseInt(digits, 16);
}

/** Somebody has not read yet what came in on that port of his. */
export function hasUnread(localPort: number): boolean {
  return tcpSockets().some(
    (socket) => socket.localPort === localPort && socket.state === 'established' && socket.unreadBytes > 0,
  );
}

/** Whoever is connected to that port has not read yet what came from there. */
export function hasUnreadFrom(remotePort: number): boolean {
  return tcpSockets().some((socket) => socket.remotePort === remotePort && socket.unreadBytes > 0);
}

/** Somebody tries in vain to connect to that port. */
export function isConnecting(remotePort: number): boolean {
  return tcpSockets().some((socket) => socket.remotePort === remotePort && socket.state === 'syn-sent');
}

/** Nothing waits on the way through these ports: all that was written was acknowledged and read. */
export function isDrained(ports: readonly number[]): boolean {
  return tcpSockets()
    .filter(({ localPort, remotePort }) => ports.includes(localPort) || ports.includes(remotePort))
    .every(({ unsentBytes, unreadBytes, state }) => state === 'other' || unsentBytes + unreadBytes === 0);
}
