import { NETWORK_CHANGE, type NetworkRecord, RECEIVER_KIND } from '../kernel-record.ts';
import type { AddressMessage, LinkMessage, NetworkMessage, RouteMessage } from './messages.ts';

/** Interfaces and addresses that are remembered; of more, changes are not told. */
const MAX_REMEMBERED = 4096;
/** Routes that are told of one look; a router learns and forgets thousands at a time. */
const MAX_ROUTES = 64;
const NONE = new Uint8Array();

type Tell = (change: number, index: number, fields: Partial<NetworkRecord>) => void;

interface Link {
  readonly name: string;
  readonly usable: boolean;
  readonly loopback: boolean;
  readonly mtu: number;
  /** While it is not usable: it was switched off at some time since. */
  readonly switchedOff: boolean;
}

/** What the kernel told at once, and between which two moments, in nanoseconds of CLOCK_MONOTONIC. */
export interface Datagram {
  readonly messages: readonly NetworkMessage[];
  readonly afterNs: number;
  readonly timeNs: number;
}

/** What is different from before. The kernel also tells of what is as it was. */
export interface NetworkChanges {
  /** Takes what one look has found. By the first one interfaces are only learnt, and addresses told as known. */
  take(datagrams: Iterable<Datagram>): NetworkRecord[];
  /** Changes that were not told, for there were too many. */
  lost(): number;
}

export function createNetworkChanges(): NetworkChanges {
  const links = new Map<number, Link>();
  /** By interface, address and length of the prefix. */
  const addresses = new Set<string>();
  let lost = 0;
  let isFirst = true;

  function onLink(message: LinkMessage, tell: Tell): void {
    const { index, name, up, carrier, mtu, loopback, removed } = message;
    const before = links.get(index);
    const usable = up && carrier && !removed;
    const switchedOff = !usable && (!up || before?.switchedOff === true);
    if (removed) links.delete(index);
    else if (before || links.size < MAX_REMEMBERED)
      links.set(index, { name, usable, loopback, mtu, switchedOff });
    else lost++;
    if (!before) return;
    const fields = { interfaceName: name, loopback };
    if (removed) tell(NETWORK_CHANGE.LINK_REMOVED, index, fields);
    else if (before.usable && !usable)
      tell(up ? NETWORK_CHANGE.CARRIER_LOST : NETWORK_CHANGE.LINK_DOWN, index, fields);
    else if (!before.usable && usable)
      tell(before.switchedOff ? NETWORK_CHANGE.LINK_UP : NETWORK_CHANGE.CARRIER_BACK, index, fields);
    if (mtu !== before.mtu && mtu > 0 && before.mtu > 0)
      tell(NETWORK_CHANGE.MTU, index, { ...fields, mtu, mtuBefore: before.mtu });
  }

  /** The kernel tells again of addresses whose lifetime was set anew. */
  function onAddress(message: AddressMessage, tell: Tell): void {
    const { index, address, prefixLength, removed } = message;
    const key = `${index} ${Buffer.from(address).toString('hex')}/${prefixLength}`;
    const isNews = removed ? addresses.delete(key) : !addresses.has(key);
    if (!isNews) return;
    if (!removed && addresses.size >= MAX_REMEMBERED) {
      lost++;
      return;
    }
    if (!removed) addresses.add(key);
    tell(addressChange(message, isFirst), index, { address, prefixLength });
  }

  return {
    lost: () => lost,
    take(datagrams) {
      const records: NetworkRecord[] = [];
      let routes = 0;
      for (const { messages, afterNs, timeNs } of datagrams) {
        const tell: Tell = (change, index, fields) => {
          const link = links.get(index);
          records.push({
            ...{ kind: RECEIVER_KIND.NETWORK, change, afterNs, timeNs, interfaceIndex: index },
            ...{ interfaceName: link?.name ?? '', loopback: link?.loopback ?? false },
            ...{ address: NONE, prefixLength: 0, gateway: NONE, mtu: 0, mtuBefore: 0, ...fields },
          });
        };
        for (const message of messages) {
          if (message.kind === 'link') onLink(message, tell);
          else if (message.kind === 'address') onAddress(message, tell);
          else if (message.kind !== 'route') continue;
          else if (routes++ < MAX_ROUTES) tellRoute(message, tell);
          else lost++;
        }
      }
      isFirst = false;
      return records;
    },
  };
}

function addressChange({ removed }: AddressMessage, isFirst: boolean): number {
  if (removed) return NETWORK_CHANGE.ADDRESS_REMOVED;
  return isFirst ? NETWORK_CHANGE.ADDRESS_KNOWN : NETWORK_CHANGE.ADDRESS_ADDED;
}

const ROUTE_CHANGES = {
  added: NETWORK_CHANGE.ROUTE_ADDED,
  replaced: NETWORK_CHANGE.ROUTE_REPLACED,
  removed: NETWORK_CHANGE.ROUTE_REMOVED,
} as const;

function tellRoute({ change, index, destination, prefixLength, gateway }: RouteMessage, tell: Tell): void {
  tell(ROUTE_CHANGES[change], index, { address: destination, prefixLength, gateway });
}
