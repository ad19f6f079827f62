import { NETWORK_CHANGE, type NetworkRecord, RECEIVER_KIND } from '../../src/receiver/kernel-record.ts';
import { FREEZE_HOW, FREEZE_RECORD, type FreezeRecord, readFreezeRecord } from '../../src/records.gen.ts';
import { ringOf } from './kernel-records.ts';

export function freezeOfBytes(fill: (at: number) => number): FreezeRecord {
  return readFreezeRecord(ringOf(FREEZE_RECORD.size, fill), 0);
}

/** Process 100, stopped from one time to another. */
export function makeFreeze(fields: Partial<FreezeRecord> = {}): FreezeRecord {
  const { fromNs = 1000, toNs = 2000 } = fields;
  return {
    ...freezeOfBytes(() => 0),
    ...{ how: FREEZE_HOW.SIGNAL, signal: 19, tgid: 100, fromNs, toNs, lastedNs: toNs - fromNs },
    ...fields,
  };
}

/** A change of eth0, interface 2, which the kernel told of at `timeNs`. */
export function makeNetwork(fields: Partial<NetworkRecord> = {}): NetworkRecord {
  const { timeNs = 1000 } = fields;
  return {
    ...{ kind: RECEIVER_KIND.NETWORK, change: NETWORK_CHANGE.CARRIER_LOST, afterNs: timeNs, timeNs },
    ...{ interfaceIndex: 2, interfaceName: 'eth0', loopback: false, mtu: 0, mtuBefore: 0 },
    ...{ address: new Uint8Array(), prefixLength: 0, gateway: new Uint8Array() },
    ...fields,
  };
}

/** Addresses that the host has: text of IPv4 ones by the number of their interface, 1 being `lo`. */
export function knownAddresses(addresses: Readonly<Record<string, number>>): NetworkRecord[] {
  return Object.entries(addresses).map(([text, interfaceIndex]) =>
    makeNetwork({
      ...{ change: NETWORK_CHANGE.ADDRESS_KNOWN, timeNs: 0, address: ipv4(text), prefixLength: 24 },
      ...{ interfaceIndex, loopback: interfaceIndex === 1 },
    }),
  );
}

export const ipv4 = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));
