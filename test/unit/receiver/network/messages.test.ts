import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dumpRequest, parseNetlink } from '../../../../src/receiver/network/messages.ts';
import {
  addressMessage,
  linkMessage,
  netlinkAttribute,
  netlinkMessage,
  routeMessage,
} from '../../../harness/netlink-messages.ts';
import { createRandom } from '../../../harness/random.ts';

const V6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('rtnetlink', () => {
  test('a link: up, carrier, name, MTU', () => {
    const eth0 = { kind: 'link', index: 2, name: 'eth0', loopback: false, mtu: 1500 };
    assert.deepEqual(parseNetlink(linkMessage()), [{ ...eth0, removed: false, up: true, carrier: true }]);
    assert.deepEqual(parseNetlink(linkMessage({ carrier: false })), [
      { ...eth0, removed: false, up: true, carrier: false },
    ]);
    assert.deepEqual(parseNetlink(linkMessage({ up: false }, 17)), [
      { ...eth0, removed: true, up: false, carrier: false },
    ]);
  });

  test("a bridge's port that goes is no interface that goes", () => {
    assert.deepEqual(parseNetlink(linkMessage({ family: 7 }, 17)), []);
  });

  test("an address, the interface's own where it has a peer", () => {
    assert.deepEqual(parseNetlink(addressMessage([10, 0, 0, 5], 24)), [
      { kind: 'address', removed: false, index: 2, address: bytes(10, 0, 0, 5), prefixLength: 24 },
    ]);
    assert.deepEqual(parseNetlink(addressMessage(V6, 64, 3, 21)), [
      { kind: 'address', removed: true, index: 3, address: bytes(...V6), prefixLength: 64 },
    ]);
    const body = Buffer.from([2, 32, 0, 0, 4, 0, 0, 0]);
    const withPeer = [body, netlinkAttribute(1, bytes(10, 0, 0, 9)), netlinkAttribute(2, bytes(10, 0, 0, 8))];
    const [message] = parseNetlink(netlinkMessage(20, Buffer.concat(withPeer)));
    assert.deepEqual(message?.kind === 'address' && message.address, bytes(10, 0, 0, 8));
  });

  test('routes: added, replaced, removed; the default one has no destination', () => {
    const route = {
      kind: 'route',
      destination: bytes(10, 0, 0, 0),
      prefixLength: 8,
      gateway: bytes(),
      index: 2,
    };
    assert.deepEqual(parseNetlink(routeMessage([10, 0, 0, 0], 8)), [{ ...route, change: 'added' }]);
    assert.deepEqual(parseNetlink(routeMessage([10, 0, 0, 0], 8, { flags: 0x100 })), [
      { ...route, change: 'replaced' },
    ]);
    assert.deepEqual(parseNetlink(routeMessage([0, 0, 0, 0], 0, { gateway: [10, 0, 0, 1] }, 25)), [
      {
        ...{ kind: 'route', change: 'removed', destination: bytes(0, 0, 0, 0), prefixLength: 0 },
        ...{ gateway: bytes(10, 0, 0, 1), index: 2 },
      },
    ]);
  });

  test('routes that follow from addresses, copies of routes, and those of one link only are left out', () => {
    const local = routeMessage([10, 0, 0, 5], 32, { routeType: 2 });
    const broadcast = routeMessage([10, 0, 0, 255], 32, { routeType: 3 });
    const cloned = routeMessage([10, 0, 0, 0], 8, { routeFlags: 0x200 });
    const linkLocal = routeMessage([0xfe, 0x80, ...Array<number>(14).fill(0)], 64);
    const multicast = routeMessage([0xff, ...Array<number>(15).fill(0)], 8);
    assert.deepEqual(parseNetlink(Buffer.concat([local, broadcast, cloned, linkLocal, multicast])), []);
    assert.equal(parseNetlink(routeMessage([0xfe, 0x80, 0, 0], 16)).length, 1, 'IPv4 has such addresses');
  });

  test('several messages of one datagram, the end of an answer among them', () => {
    const done = netlinkMessage(3, Buffer.alloc(4));
    const kinds = parseNetlink(Buffer.concat([linkMessage(), addressMessage(V6, 64), done])).map(
      ({ kind }) => kind,
    );
    assert.deepEqual(kinds, ['link', 'address', 'done']);
    assert.deepEqual(parseNetlink(netlinkMessage(2, Buffer.alloc(20))), [{ kind: 'done' }], 'refused');
  });

  test('a request for all interfaces and one for all addresses', () => {
    assert.deepEqual(
      [dumpRequest('links'), dumpRequest('addresses')].map((request) => request.readUInt16LE(4)),
      [18, 22],
    );
    assert.equal(dumpRequest('links').readUInt32LE(0), dumpRequest('links').length);
  });
});

describe('hostile bytes', () => {
  const whole = Buffer.concat([
    linkMessage(),
    addressMessage([10, 0, 0, 5], 24),
    routeMessage([10, 0, 0, 0], 8, { gateway: [10, 0, 0, 1] }),
    addressMessage(V6, 64),
    routeMessage(V6, 128),
  ]);

  /** Whatever came in, what is told is well-formed. */
  function check(datagram: Buffer): void {
    for (const message of parseNetlink(datagram)) {
      if (message.kind === 'link') assert.ok(message.name.length <= 15);
      if (message.kind === 'address') assertAddress(message.address, message.prefixLength);
      if (message.kind === 'route') {
        assertAddress(message.destination, message.prefixLength);
        assert.ok([0, message.destination.length].includes(message.gateway.length));
      }
    }
  }

  function assertAddress({ length }: Uint8Array, prefixLength: number): void {
    assert.ok(length === 4 || length === 16);
    assert.ok(prefixLength <= 8 * length);
  }

  test('cut off anywhere: what stands before the cut is told, and nothing else', () => {
    const all = parseNetlink(whole);
    assert.equal(all.length, 5);
    for (let length = 0; length < whole.length; length++) {
      const told = parseNetlink(whole.subarray(0, length));
      assert.deepEqual(told, all.slice(0, told.length));
      assert.ok(told.length < 5);
    }
  });

  test('any byte another one', () => {
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 1, 3, 4, 0x7f, 0x80, 0xff]) {
        const changed = Buffer.from(whole);
        changed[at] = value;
        check(changed);
      }
    }
  });

  test('several bytes others, and noise', () => {
    const random = createRandom(7);
    const below = (limit: number): number => Math.floor(random() * limit);
    for (let n = 0; n < 20_000; n++) {
      const changed = Buffer.from(whole);
      for (let count = below(6); count >= 0; count--) changed[below(changed.length)] = below(256);
      check(changed.subarray(0, below(changed.length + 1)));
      if (n % 10 === 0) check(Buffer.from(Array.from({ length: below(200) }, () => below(256))));
    }
  });
});
