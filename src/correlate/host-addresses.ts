import { NETWORK_CHANGE, type NetworkRecord } from '../receiver/kernel-record.ts';
import { AF_INET6, isMapped, type Side } from './side.ts';

/** Addresses of the host that are remembered; what was told longest ago is forgotten. */
const MAX_ADDRESSES = 4096;

/** Which connections have to do with an interface, an address or a route of the host. */
export interface HostAddresses {
  learn(record: NetworkRecord): void;
  /**
   * The interface on which a connection's own address is, or was when it was removed; the loopback interface for the host's
   * traffic with itself. Undefined for an address that was never seen: the proxy is in another network namespace.
   */
  interfaceOf(side: Side): number | undefined;
  /** Whether that traffic may go through the record's interface: any that has an address beyond the link. */
  mayPass(side: Side, record: NetworkRecord): boolean;
  /** Whether the record's address is one of the connection's two. */
  isEnd(side: Side, record: NetworkRecord): boolean;
  /** Whether the record's route leads to the other end. */
  isRouted(side: Side, record: NetworkRecord): boolean;
}

interface Place {
  readonly index: number;
  readonly isPresent: boolean;
}

export function createHostAddresses(): HostAddresses {
  /** By address. */
  const places = new Map<string, Place>();
  let loopbackIndex: number | undefined;

  function isWithin(side: Side): boolean {
    const { local, remote } = endsOf(side);
    return isLoopback(local) || isLoopback(remote) || places.get(keyOf(remote))?.isPresent === true;
  }

  function interfaceOf(side: Side): number | undefined {
    return isWithin(side) ? loopbackIndex : places.get(keyOf(endsOf(side).local))?.index;
  }

  return {
    learn({ change, address, interfaceIndex: index, loopback }) {
      const isPresent = change === NETWORK_CHANGE.ADDRESS_KNOWN || change === NETWORK_CHANGE.ADDRESS_ADDED;
      if (!isPresent && change !== NETWORK_CHANGE.ADDRESS_REMOVED) return;
      if (loopback) loopbackIndex = index;
      const key = keyOf(address);
      const known = places.get(key);
      if (!isPresent && known?.index !== index) return; // by now it is on another one
      places.delete(key);
      places.set(key, { index, isPresent });
      if (places.size <= MAX_ADDRESSES) return;
      for (const [oldest] of places) {
        places.delete(oldest);
        return;
      }
    },
    interfaceOf,
    mayPass(side, { interfaceIndex, loopback }) {
      if (loopback || isWithin(side) || interfaceOf(side) !== undefined) return false;
      return [...places].some(([key, { index }]) => index === interfaceIndex && !isLinkLocal(key));
    },
    isEnd(side, { address }) {
      const { local, remote } = endsOf(side);
      return [local, remote].some((end) => keyOf(end) === keyOf(address));
    },
    isRouted: (side, { address, prefixLength }) =>
      !isWithin(side) && startsWith(endsOf(side).remote, address, prefixLength),
  };
}

function endsOf({ family, localAddr, remoteAddr }: Side): { local: Uint8Array; remote: Uint8Array } {
  return { local: ownBytes(localAddr, family), remote: ownBytes(remoteAddr, family) };
}

/** Four bytes for IPv4, on a dual-stack socket too, else sixteen. */
function ownBytes(bytes: Uint8Array, family: number): Uint8Array {
  if (family !== AF_INET6) return bytes.subarray(0, 4);
  return isMapped(bytes) ? bytes.subarray(12, 16) : bytes;
}

const keyOf = (address: Uint8Array): string => Buffer.from(address).toString('hex');

/** fe80::/10 */
const isLinkLocal = (key: string): boolean => key.length === 32 && /^fe[89ab]/.test(key);

/** 127.0.0.0/8 and ::1 */
function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  return address[15] === 1 && address.subarray(0, 15).every((byte) => byte === 0);
}

function startsWith(address: Uint8Array, prefix: Uint8Array, bits: number): boolean {
  if (address.length !== prefix.length) return false;
  for (let at = 0, rest = bits; rest > 0 && at < address.length; at++, rest -= 8) {
    const mask = rest >= 8 ? 0xff : (0xff << (8 - rest)) & 0xff;
    if (((address[at] ?? 0) ^ (prefix[at] ?? 0)) & mask) return false;
  }
  return true;
}
