import { type Netlink, openNetlink } from '../../native/netlink.ts';
import type { NetworkRecord } from '../kernel-record.ts';
import type { NetworkTimes } from '../probes.ts';
import { createNetworkChanges, type Datagram } from './changes.ts';
import { dumpRequest, NETWORK_GROUPS, parseNetlink } from './messages.ts';

/** The kernel tells of one interface in at most 32 KiB, and answers as much at once. */
const BUFFER_BYTES = 65_536;
/** Datagrams that are read at one look; the rest waits for the next one. */
const MAX_DATAGRAMS = 256;
/** Datagrams of one answer; each holds several interfaces or addresses. */
const MAX_ANSWER = 4096;

/** Tells of changes in the network of this process's network namespace. */
export interface NetworkWatch {
  /** Whether the kernel has told of something since the last look; costs no system call. */
  changed(): boolean;
  /** What changed since the last look; never waits. The first one gives the addresses that there are. */
  look(nowNs: number): NetworkRecord[];
  /** Changes that were not told, and times when the kernel had left out some. */
  lost(): number;
  close(): void;
}

/** An errno's name where the kernel does not allow it. */
export function createNetworkWatch(
  times: NetworkTimes,
  nowNs: number,
  open: () => Netlink | string = openNetlink,
): NetworkWatch | string {
  const opened = open();
  if (typeof opened === 'string') return opened;
  const socket = opened;
  times.begin(socket.cookie);
  socket.join(NETWORK_GROUPS);
  const changes = createNetworkChanges();
  const buffer = Buffer.alloc(BUFFER_BYTES);
  let overruns = 0;
  let received = 0;
  let lookedNs = nowNs;
  let lastToldNs = 0;
  let isKnown = false;

  function readSome(into: Datagram[], limit: number, timeNs: number, isOver: () => boolean): void {
    for (let count = 0; count < limit && !isOver(); count++) {
      const length = socket.receive(buffer);
      if (length === 0) return;
      if (length === 'overrun') {
        overruns++;
        isKnown = false;
        continue;
      }
      const messages = parseNetlink(buffer.subarray(0, length));
      into.push({ messages, ...momentOf(received++, timeNs) });
    }
  }

  /** An older time stands there where the datagram's own is still to be written. */
  function momentOf(number: number, timeNs: number): Pick<Datagram, 'afterNs' | 'timeNs'> {
    const toldNs = times.timeNs(number);
    if (toldNs <= lastToldNs) return { afterNs: lookedNs, timeNs };
    lastToldNs = toldNs;
    return { afterNs: toldNs, timeNs: toldNs };
  }

  /** After a loss, what there is now shows what has become of interfaces. Answers are made while they are read. */
  function learn(timeNs: number): Datagram[] {
    const datagrams: Datagram[] = [];
    isKnown = true;
    for (const what of ['links', 'addresses'] as const) {
      const asked = datagrams.length;
      if (!socket.send(dumpRequest(what))) break;
      const isOver = (): boolean =>
        datagrams.length > asked && datagrams.at(-1)?.messages.at(-1)?.kind === 'done';
      readSome(datagrams, MAX_ANSWER, timeNs, isOver);
    }
    return datagrams.map((datagram) => ({ ...datagram, afterNs: lookedNs, timeNs }));
  }

  return {
    changed: () => times.told() > received,
    look(timeNs) {
      const datagrams: Datagram[] = [];
      readSome(datagrams, MAX_DATAGRAMS, timeNs, () => false);
      if (!isKnown) datagrams.push(...learn(timeNs));
      lookedNs = timeNs;
      return datagrams.length === 0 ? [] : changes.take(datagrams);
    },
    lost: () => overruns + changes.lost(),
    close: () => socket.close(),
  };
}
