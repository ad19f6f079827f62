import {
  type FreezeRecord,
  type KernelRecord,
  NETWORK_CHANGE,
  type NetworkRecord,
  type ProcessRecord,
  RECEIVER_KIND,
} from '../receiver/kernel-record.ts';
import { KIND, PROCESS_EVENT } from '../records.gen.ts';
import { createHostAddresses } from './host-addresses.ts';
import type { Side } from './side.ts';

/** Events of processes that are remembered, and as many of the network: of more, the last ones. */
const MAX_EVENTS = 512;
/** Interfaces of which is remembered that they are down. */
const MAX_DOWN = 1024;
/** Of one span: of more, the last ones. */
const MAX_OF_SPAN = 32;

/** Something that happened to the host, from one moment to another of CLOCK_MONOTONIC, in nanoseconds. */
export interface HostEvent {
  readonly record: FreezeRecord | ProcessRecord | NetworkRecord;
  readonly fromNs: number;
  /** Infinite while it lasts. */
  readonly toNs: number;
}

/**
 * What happened to the host, and which hops it concerns. Pure, and bounded in memory. A process that was frozen is told of
 * when it goes on, before it can have done anything else; so whatever it did is told later.
 */
export interface HostEvents {
  push(record: KernelRecord): void;
  /** That overlap this time of this process, in the order of their ends. */
  ofProcess(tgid: number, fromNs: number, toNs: number): readonly HostEvent[];
  /** That overlap this time of this connection. */
  ofConnection(side: Side, fromNs: number, toNs: number): readonly HostEvent[];
  /** Events that are remembered. */
  size(): number;
}

const NONE: readonly never[] = [];

export function createHostEvents(): HostEvents {
  /** In the order of their ends. */
  const processes: HostEvent[] = [];
  const network: HostEvent[] = [];
  /** Interfaces that are down, by index; the moment at which they went down is in `network`, too. */
  const down = new Map<number, HostEvent>();
  const addresses = createHostAddresses();

  function onNetwork(record: NetworkRecord): void {
    addresses.learn(record);
    if (record.change === NETWORK_CHANGE.ADDRESS_KNOWN) return;
    const { afterNs: fromNs, timeNs: toNs, interfaceIndex: index } = record;
    const ended = down.get(index);
    if (ended && (isDown(record) || isEndOfDown(record))) {
      down.delete(index);
      const at = network.findIndex((event) => event.record === ended.record);
      if (at >= 0) network.splice(at, 1);
      keep(network, { ...ended, toNs });
    }
    keep(network, { record, fromNs, toNs });
    if (isDown(record) && down.size < MAX_DOWN)
      down.set(index, { record, fromNs, toNs: Number.POSITIVE_INFINITY });
  }

  /** The kernel's sign of a link is that of its interface; whose traffic may pass it, the moment of the change concerns. */
  function concernsLink({ record }: HostEvent, side: Side, fromNs: number, toNs: number): boolean {
    if (record.kind !== RECEIVER_KIND.NETWORK) return false;
    const index = addresses.interfaceOf(side);
    if (index === record.interfaceIndex) return down.get(index)?.record !== record; // that one is added as lasting
    return record.afterNs <= toNs && record.timeNs >= fromNs && addresses.mayPass(side, record);
  }

  function concerns(event: HostEvent, side: Side, fromNs: number, toNs: number): boolean {
    if (event.record.kind !== RECEIVER_KIND.NETWORK) return false;
    switch (event.record.change) {
      case NETWORK_CHANGE.ADDRESS_ADDED:
      case NETWORK_CHANGE.ADDRESS_REMOVED:
        return addresses.isEnd(side, event.record);
      case NETWORK_CHANGE.ROUTE_ADDED:
      case NETWORK_CHANGE.ROUTE_REPLACED:
      case NETWORK_CHANGE.ROUTE_REMOVED:
        return addresses.isRouted(side, event.record);
      default:
        return concernsLink(event, side, fromNs, toNs);
    }
  }

  return {
    push(record) {
      if (record.kind === KIND.FREEZE) keep(processes, { record, fromNs: record.fromNs, toNs: record.toNs });
      else if (record.kind === KIND.PROCESS && record.event === PROCESS_EVENT.EXIT && record.signal > 0)
        keep(processes, { record, fromNs: record.timeNs, toNs: record.timeNs });
      else if (record.kind === RECEIVER_KIND.NETWORK) onNetwork(record);
    },
    ofProcess: (tgid, fromNs, toNs) =>
      overlapping(processes, fromNs, toNs, ({ record }) => isOf(record, tgid)),
    ofConnection(side, fromNs, toNs) {
      const over = overlapping(network, fromNs, toNs, (event) => concerns(event, side, fromNs, toNs));
      if (down.size === 0) return over;
      const index = addresses.interfaceOf(side);
      const lasting = index === undefined ? undefined : down.get(index);
      return lasting && lasting.fromNs <= toNs ? [...over, lasting] : over;
    },
    size: () => processes.length + network.length + down.size,
  };
}

/** Nearly always at the end, for events come in the order of their ends. */
function keep(events: HostEvent[], event: HostEvent): void {
  let at = events.length;
  while (at > 0 && (events[at - 1] as HostEvent).toNs > event.toNs) at--;
  events.splice(at, 0, event);
  if (events.length > MAX_EVENTS) events.shift();
}

function overlapping(
  events: readonly HostEvent[],
  fromNs: number,
  toNs: number,
  isConcerned: (event: HostEvent) => boolean,
): readonly HostEvent[] {
  const last = events.at(-1);
  if (!last || last.toNs < fromNs) return NONE;
  const found: HostEvent[] = [];
  for (let at = events.length - 1; at >= 0 && found.length < MAX_OF_SPAN; at--) {
    const event = events[at] as HostEvent;
    if (event.toNs < fromNs) break;
    if (event.fromNs <= toNs && isConcerned(event)) found.push(event);
  }
  return found.reverse();
}

const isOf = (record: HostEvent['record'], tgid: number): boolean =>
  record.kind !== RECEIVER_KIND.NETWORK && (record.tgid === 0 || record.tgid === tgid);

const isDown = ({ change }: NetworkRecord): boolean =>
  change === NETWORK_CHANGE.CARRIER_LOST || change === NETWORK_CHANGE.LINK_DOWN;

const isEndOfDown = ({ change }: NetworkRecord): boolean =>
  change === NETWORK_CHANGE.CARRIER_BACK ||
  change === NETWORK_CHANGE.LINK_UP ||
  change === NETWORK_CHANGE.LINK_REMOVED;
