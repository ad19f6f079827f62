/* include/uapi/linux/netlink.h, rtnetlink.h, if.h, if_link.h, if_addr.h */
const HEADER_BYTES = 16;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REPLACE = 0x100;
const NLM_F_REQUEST_DUMP = 0x301;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const IFINFO_BYTES = 16;
const IFADDR_BYTES = 8;
const RTMSG_BYTES = 12;
const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_LOWER_UP = 0x10000;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTM_F_CLONED = 0x200;
/** RTN_UNICAST, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT: the others follow from addresses or carry no TCP. */
const ROUTE_TYPES = new Set([1, 6, 7, 8]);
const NAME_BYTES = 15;

/** RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE */
export const NETWORK_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/** How an interface is now, or was when it was removed. */
export interface LinkMessage {
  readonly kind: 'link';
  readonly removed: boolean;
  readonly index: number;
  readonly name: string;
  /** Switched on by the administrator. */
  readonly up: boolean;
  readonly carrier: boolean;
  readonly loopback: boolean;
  /** Bytes; 0 where the message does not tell. */
  readonly mtu: number;
}

/** An address of 4 or 16 bytes on an interface. */
export interface AddressMessage {
  readonly kind: 'address';
  readonly removed: boolean;
  readonly index: number;
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

/** A route of traffic to other hosts, in any table. */
export interface RouteMessage {
  readonly kind: 'route';
  readonly change: 'added' | 'replaced' | 'removed';
  /** 4 or 16 bytes; with prefix length 0 the default route's. */
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  /** Empty where there is none, or several. */
  readonly gateway: Uint8Array;
  /** Of the outgoing interface; 0 where there is none, or several. */
  readonly index: number;
}

export type NetworkMessage =
  | LinkMessage
  | AddressMessage
  | RouteMessage
  /** The answer to a request is over, or it was refused. */
  | { readonly kind: 'done' };

type DumpType = 'links' | 'addresses';

/** A request for all that there is (rtnetlink(7)). */
export function dumpRequest(what: DumpType): Buffer {
  const request = Buffer.alloc(HEADER_BYTES + IFINFO_BYTES);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(what === 'links' ? RTM_GETLINK : RTM_GETADDR, 4);
  request.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  return request;
}

/** What one datagram says; from what is cut off or breaks the rules on, nothing. */
export function parseNetlink(bytes: Buffer): NetworkMessage[] {
  const messages: NetworkMessage[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < HEADER_BYTES || length > bytes.length - at) break;
    const message = parseMessage(
      bytes.readUInt16LE(at + 4),
      bytes.readUInt16LE(at + 6),
      bytes.subarray(at + HEADER_BYTES, at + length),
    );
    if (message) messages.push(message);
    at += align(length);
  }
  return messages;
}

function parseMessage(type: number, flags: number, body: Buffer): NetworkMessage | undefined {
  switch (type) {
    case NLMSG_DONE:
    case NLMSG_ERROR:
      return { kind: 'done' };
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return parseLink(body, type === RTM_DELLINK);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return parseAddress(body, type === RTM_DELADDR);
    case RTM_NEWROUTE:
      return parseRoute(body, flags & NLM_F_REPLACE ? 'replaced' : 'added');
    case RTM_DELROUTE:
      return parseRoute(body, 'removed');
    default:
      return undefined;
  }
}

/** struct ifinfomsg; those of another family tell of a bridge's ports. */
function parseLink(body: Buffer, removed: boolean): LinkMessage | undefined {
  if (body.length < IFINFO_BYTES || body[0] !== AF_UNSPEC) return undefined;
  const flags = body.readUInt32LE(8);
  const attributes = parseAttributes(body.subarray(IFINFO_BYTES));
  const name = attributes.get(IFLA_IFNAME);
  return {
    kind: 'link',
    removed,
    index: body.readUInt32LE(4),
    name: name ? text(name) : '',
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    mtu: number(attributes.get(IFLA_MTU)),
  };
}

/** struct ifaddrmsg; IFA_LOCAL is the interface's own address where IFA_ADDRESS is its peer's. */
function parseAddress(body: Buffer, removed: boolean): AddressMessage | undefined {
  const bytes = addressBytes(body[0]);
  if (body.length < IFADDR_BYTES || bytes === 0) return undefined;
  const attributes = parseAttributes(body.subarray(IFADDR_BYTES));
  const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  const prefixLength = body[1] as number;
  if (address?.length !== bytes || prefixLength > 8 * bytes) return undefined;
  return {
    kind: 'address',
    removed,
    index: body.readUInt32LE(4),
    address: Uint8Array.from(address),
    prefixLength,
  };
}

/** struct rtmsg */
function parseRoute(body: Buffer, change: RouteMessage['change']): RouteMessage | undefined {
  const bytes = addressBytes(body[0]);
  if (body.length < RTMSG_BYTES || bytes === 0) return undefined;
  const prefixLength = body[1] as number;
  if (prefixLength > 8 * bytes || !ROUTE_TYPES.has(body[7] as number)) return undefined;
  if (body.readUInt32LE(8) & RTM_F_CLONED) return undefined;
  const attributes = parseAttributes(body.subarray(RTMSG_BYTES));
  const destination = attributes.get(RTA_DST) ?? new Uint8Array(bytes);
  const gateway = attributes.get(RTA_GATEWAY) ?? new Uint8Array();
  if (destination.length !== bytes || isLocalOnly(destination)) return undefined;
  return {
    kind: 'route',
    change,
    destination: Uint8Array.from(destination),
    prefixLength,
    gateway: gateway.length === bytes ? Uint8Array.from(gateway) : new Uint8Array(),
    index: number(attributes.get(RTA_OIF)),
  };
}

/** IPv6's link-local and multicast routes come and go with every interface (RFC 4291, section 2.4). */
function isLocalOnly([first = 0, second = 0, ...rest]: Uint8Array): boolean {
  return rest.length > 2 && (first === 0xff || (first === 0xfe && (second & 0xc0) === 0x80));
}

function addressBytes(family: number | undefined): number {
  return family === AF_INET ? 4 : family === AF_INET6 ? 16 : 0;
}

/** struct rtattr, one after the other; the first of each type. */
function parseAttributes(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || length > bytes.length - at) break;
    const type = bytes.readUInt16LE(at + 2) & 0x3fff; // NLA_TYPE_MASK
    if (!attributes.has(type)) attributes.set(type, bytes.subarray(at + 4, at + length));
    at += align(length);
  }
  return attributes;
}

const align = (length: number): number => (length + 3) & ~3;

function number(value: Buffer | undefined): number {
  return value?.length === 4 ? value.readUInt32LE(0) : 0;
}

/** IFNAMSIZ is 16 with the NUL. */
function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, Math.min(end < 0 ? bytes.length : end, NAME_BYTES));
}
