import type { FreezeRecord, KIND, MessageRecord, ProcessRecord, SideRecord } from '../records.gen.ts';
import type { Head } from './http1/head.ts';
import type { Hello } from './tls/hello.ts';

/** Kinds of the records that the receiver itself adds to the kernel's (KIND). */
export const RECEIVER_KIND = {
  HOST: 100,
  PROXY: 101,
  CLOCK: 102,
  HTTP_MESSAGE: 103,
  TLS_HELLO: 104,
  NETWORK: 105,
} as const;

/** The first record of every stream. */
export interface HostRecord {
  readonly kind: typeof RECEIVER_KIND.HOST;
  readonly hostName: string;
  /** /etc/machine-id, or empty. */
  readonly hostId: string;
  /** Makes the ids of this run's spans differ from every other run's; recorded, so that a replay repeats them. */
  readonly seed: string;
}

/** A watched process, before the first record of its connections where that can be known. */
export interface ProxyRecord {
  readonly kind: typeof RECEIVER_KIND.PROXY;
  readonly tgid: number;
  readonly serviceName: string;
  readonly executableName: string;
  readonly executablePath: string;
  /** Empty when the process is in no container that is recognised. */
  readonly containerId: string;
  /** Of its Kubernetes pod; empty outside of one, and where it is not told. */
  readonly podUid: string;
  readonly podName: string;
  readonly podNamespace: string;
}

/** How CLOCK_MONOTONIC stands to the wall clock; also the receiver's heartbeat, the only clock of what follows. */
export interface ClockRecord {
  readonly kind: typeof RECEIVER_KIND.CLOCK;
  readonly monotonicNs: number;
  /** Wall-clock time at monotonicNs, whole seconds and nanoseconds since the Unix epoch. */
  readonly wallSeconds: number;
  readonly wallNanos: number;
}

/** A whole HTTP message, or what there was of it when its connection ended: struct hs_message_record and its head. */
export interface HttpMessageRecord extends Omit<MessageRecord, 'kind' | 'headBytes'>, Head {
  readonly kind: typeof RECEIVER_KIND.HTTP_MESSAGE;
  /** HTTP/2's stream; 0 in HTTP/1. */
  readonly stream: number;
  /** With MESSAGE_FLAGS.RESET, by what code its sender reset the stream (RFC 9113, section 7). */
  readonly errorCode: number;
  /** When that was; 0 for never. */
  readonly resetNs: number;
  /**
   * gRPC messages that the body is made of, where MESSAGE_FLAGS.UNCOUNTED does not say that it is of none. Only the header
   * fields say whether it is gRPC.
   */
  readonly messages: number;
  /** When the last byte of the first one was read or written; 0 for never. */
  readonly firstMessageNs: number;
}

/** What a TLS client or server said first: struct hs_hello_record, and what is kept of its bytes. */
export interface TlsHelloRecord extends Hello {
  readonly kind: typeof RECEIVER_KIND.TLS_HELLO;
  readonly connection: number;
  readonly tgid: number;
  /** HELLO_FLAGS */
  readonly flags: number;
}

/** What a network record tells. */
export const NETWORK_CHANGE = {
  /** No change: the address was there when hopspan began to look. */
  ADDRESS_KNOWN: 1,
  ADDRESS_ADDED: 2,
  ADDRESS_REMOVED: 3,
  ROUTE_ADDED: 4,
  ROUTE_REPLACED: 5,
  ROUTE_REMOVED: 6,
  CARRIER_LOST: 7,
  CARRIER_BACK: 8,
  /** Switched off by the administrator. */
  LINK_DOWN: 9,
  LINK_UP: 10,
  LINK_REMOVED: 11,
  MTU: 12,
} as const;

/** A change of the host's network, or an address that it has; see rtnetlink(7). */
export interface NetworkRecord {
  readonly kind: typeof RECEIVER_KIND.NETWORK;
  /** NETWORK_CHANGE */
  readonly change: number;
  /** When it was not yet to be seen: it happened between this and timeNs. */
  readonly afterNs: number;
  /** When it was seen. */
  readonly timeNs: number;
  /** 0 for a route without an interface, or with several. */
  readonly interfaceIndex: number;
  readonly interfaceName: string;
  readonly loopback: boolean;
  /** The address, or a route's destination: 4 or 16 bytes, else none. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** 4 or 16 bytes, or none. */
  readonly gateway: Uint8Array;
  /** Of the interface, in bytes; 0 where it did not change. */
  readonly mtu: number;
  readonly mtuBefore: number;
}

export type KernelRecord =
  | SideRecord
  | ProcessRecord
  | HostRecord
  | ProxyRecord
  | ClockRecord
  | HttpMessageRecord
  | TlsHelloRecord
  | FreezeRecord
  | NetworkRecord;

export type { FreezeRecord, KIND, ProcessRecord, SideRecord };
