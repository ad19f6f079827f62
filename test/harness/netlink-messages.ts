/* include/uapi/linux/rtnetlink.h, if_link.h, if_addr.h: the messages that a kernel sends, made by hand. */
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_LOWER_UP = 0x10000;

/** A message of that type (RTM_*) with its header. */
export function netlinkMessage(type: number, body: Buffer, flags = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  return padded(Buffer.concat([header, body]));
}

export function netlinkAttribute(type: number, value: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.length, 0);
  header.writeUInt16LE(type, 2);
  return padded(Buffer.concat([header, value]));
}

export interface LinkFacts {
  readonly index?: number;
  readonly name?: string;
  readonly up?: boolean;
  readonly carrier?: boolean;
  readonly loopback?: boolean;
  readonly mtu?: number;
  readonly family?: number;
}

/** RTM_NEWLINK, or RTM_DELLINK. */
export function linkMessage(facts: LinkFacts = {}, type = 16): Buffer {
  const {
    index = 2,
    name = 'eth0',
    up = true,
    carrier = true,
    loopback = false,
    mtu = 1500,
    family = 0,
  } = facts;
  const body = Buffer.alloc(16);
  body[0] = family;
  body.writeUInt32LE(index, 4);
  body.writeUInt32LE(
    (up ? IFF_UP : 0) | (loopback ? IFF_LOOPBACK : 0) | (up && carrier ? IFF_LOWER_UP : 0),
    8,
  );
  const attributes = [netlinkAttribute(3, Buffer.from(`${name}\0`)), netlinkAttribute(4, u32(mtu))];
  return netlinkMessage(type, Buffer.concat([body, ...attributes]));
}

/** RTM_NEWADDR, or RTM_DELADDR (21). */
export function addressMessage(
  address: readonly number[],
  prefixLength: number,
  index = 2,
  type = 20,
): Buffer {
  const body = Buffer.alloc(8);
  body[0] = address.length === 4 ? 2 : 10;
  body[1] = prefixLength;
  body.writeUInt32LE(index, 4);
  return netlinkMessage(type, Buffer.concat([body, netlinkAttribute(1, Uint8Array.from(address))]));
}

export interface RouteFacts {
  readonly gateway?: readonly number[];
  readonly index?: number;
  /** RTN_* */
  readonly routeType?: number;
  /** RTM_F_* */
  readonly routeFlags?: number;
  /** NLM_F_* */
  readonly flags?: number;
}

/** RTM_NEWROUTE, or RTM_DELROUTE (25). The destination has 4 or 16 bytes. */
export function routeMessage(
  destination: readonly number[],
  prefixLength: number,
  { gateway, index = 2, routeType = 1, routeFlags = 0, flags = 0 }: RouteFacts = {},
  type = 24,
): Buffer {
  const body = Buffer.alloc(12);
  body[0] = destination.length === 4 ? 2 : 10;
  body[1] = prefixLength;
  body[7] = routeType;
  body.writeUInt32LE(routeFlags, 8);
  return netlinkMessage(
    type,
    Buffer.concat([
      body,
      ...(prefixLength > 0 ? [netlinkAttribute(1, Uint8Array.from(destination))] : []),
      ...(gateway ? [netlinkAttribute(5, Uint8Array.from(gateway))] : []),
      netlinkAttribute(4, u32(index)),
    ]),
    flags,
  );
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
