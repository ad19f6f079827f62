import koffi from 'koffi';
import { closeDescriptor, errnoText, libc } from './memory.ts';

/* include/uapi/linux/netlink.h, rtnetlink.h, socket.h; the same on x86 and arm64 */
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const SO_COOKIE = 57;
const MSG_DONTWAIT = 0x40;
const ADDRESS_BYTES = 12;
/** Room for a storm of changes between two looks. */
const RECEIVE_BYTES = 1 << 20;

const cSocket = libc.func('int socket(int domain, int type, int protocol)');
const cSetsockopt = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
);
const cGetsockopt = libc.func(
  'int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ void *length)',
);
const cBind = libc.func('int bind(int fd, const void *address, uint32_t length)');
const cSend = libc.func('long send(int fd, const void *bytes, size_t length, int flags)');
const cReceive = libc.func(
  'long recvfrom(int fd, _Out_ void *bytes, size_t length, int flags, _Out_ void *address, _Inout_ void *address_length)',
);

/** A socket that tells of changes of links, addresses and routes (rtnetlink(7)), in this process's network namespace. */
export interface Netlink {
  /** By which the kernel knows it (SO_COOKIE). */
  readonly cookie: bigint;
  /** Hears these groups from now on, one bit each (RTMGRP_*). */
  join(groups: number): void;
  /**
   * Fills `bytes` with what waits and returns how many; 0 for nothing, `overrun` where the kernel had to leave something
   * out. Never waits.
   */
  receive(bytes: Buffer): number | 'overrun';
  /** False when the kernel does not take the request. */
  send(request: Buffer): boolean;
  close(): void;
}

/** An errno's name where that is not allowed. */
export function openNetlink(): Netlink | string {
  const fd: number = cSocket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return errnoText();
  const cookie = Buffer.alloc(8);
  cGetsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, lengthOf(cookie));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(RECEIVE_BYTES);
  if (cSetsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, size.length) < 0)
    cSetsockopt(fd, SOL_SOCKET, SO_RCVBUF, size, size.length);

  const sender = Buffer.alloc(ADDRESS_BYTES);
  const senderLength = Buffer.alloc(4);
  return {
    cookie: cookie.readBigUInt64LE(0),
    join(groups) {
      const address = Buffer.alloc(ADDRESS_BYTES);
      address.writeUInt16LE(AF_NETLINK, 0);
      address.writeUInt32LE(groups, 8);
      cBind(fd, address, address.length);
    },
    receive(bytes) {
      senderLength.writeUInt32LE(ADDRESS_BYTES);
      const length: number = cReceive(fd, bytes, bytes.length, MSG_DONTWAIT, sender, senderLength);
      if (length < 0) return koffi.errno() === koffi.os.errno.ENOBUFS ? 'overrun' : 0;
      if (sender.readUInt32LE(4) !== 0) bytes.fill(0, 0, length); // not from the kernel
      return length;
    },
    send: (request) => cSend(fd, request, request.length, MSG_DONTWAIT) === request.length,
    close: () => closeDescriptor(fd),
  };
}

function lengthOf(value: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  return length;
}
