import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { NETWORK_CHANGE } from '../../../../src/receiver/kernel-record.ts';
import { createNetworkChanges, type NetworkChanges } from '../../../../src/receiver/network/changes.ts';
import { parseNetlink } from '../../../../src/receiver/network/messages.ts';
import {
  addressMessage,
  type LinkFacts,
  linkMessage,
  routeMessage,
} from '../../../harness/netlink-messages.ts';

const NAMES = new Map<number, string>(Object.entries(NETWORK_CHANGE).map(([name, value]) => [value, name]));
const OWN = [10, 0, 0, 5];

describe('changes of the network', () => {
  let changes: NetworkChanges;
  let nowNs: number;

  /** What is told of these messages, as CHANGE interface. */
  function told(...datagrams: Buffer[]): string[] {
    nowNs += 1000;
    const moment = { afterNs: nowNs - 1000, timeNs: nowNs };
    return changes
      .take(datagrams.map((bytes) => ({ messages: parseNetlink(bytes), ...moment })))
      .map(({ change, interfaceName }) => `${NAMES.get(change)} ${interfaceName}`);
  }

  const link = (facts: LinkFacts): string[] => told(linkMessage(facts));

  beforeEach(() => {
    changes = createNetworkChanges();
    nowNs = 0;
    assert.deepEqual(told(linkMessage(), addressMessage(OWN, 24)), ['ADDRESS_KNOWN eth0']);
  });

  test('what is as it was is not told', () => {
    assert.deepEqual(told(linkMessage(), addressMessage(OWN, 24)), []);
  });

  test('a carrier that is lost and comes back', () => {
    assert.deepEqual(link({ carrier: false }), ['CARRIER_LOST eth0']);
    assert.deepEqual(link({ carrier: false }), []);
    assert.deepEqual(link({}), ['CARRIER_BACK eth0']);
  });

  test('switched off and on, with the carrier a moment later', () => {
    assert.deepEqual(link({ up: false }), ['LINK_DOWN eth0']);
    assert.deepEqual(link({ carrier: false }), []);
    assert.deepEqual(link({}), ['LINK_UP eth0']);
  });

  test('the carrier is lost, then it is switched off: it was once down, by the carrier, and came back by the other', () => {
    assert.deepEqual(link({ carrier: false }), ['CARRIER_LOST eth0']);
    assert.deepEqual(link({ up: false }), []);
    assert.deepEqual(link({}), ['LINK_UP eth0']);
  });

  test('removed, and another one of the same number', () => {
    assert.deepEqual(told(linkMessage({ up: false }, 17)), ['LINK_REMOVED eth0']);
    assert.deepEqual(link({ name: 'eth1', up: false }), []);
    assert.deepEqual(link({ name: 'eth1' }), ['LINK_UP eth1']);
  });

  test('an MTU', () => {
    const [record] = changes.take([
      { messages: parseNetlink(linkMessage({ mtu: 1400 })), afterNs: 5, timeNs: 6 },
    ]);
    const { change, mtu, mtuBefore, afterNs, timeNs } = record ?? {};
    assert.deepEqual(
      { change, mtu, mtuBefore, afterNs, timeNs },
      {
        ...{ change: NETWORK_CHANGE.MTU, mtu: 1400, mtuBefore: 1500, afterNs: 5, timeNs: 6 },
      },
    );
  });

  test('an address that is added, told again, and removed', () => {
    const other = [10, 0, 0, 6];
    assert.deepEqual(told(addressMessage(other, 24)), ['ADDRESS_ADDED eth0']);
    assert.deepEqual(told(addressMessage(other, 24)), []);
    assert.deepEqual(told(addressMessage(other, 24, 2, 21)), ['ADDRESS_REMOVED eth0']);
    assert.deepEqual(told(addressMessage(other, 24, 2, 21)), []);
  });

  test('routes, with the name of their interface where it is known', () => {
    const toTen = [10, 0, 0, 0];
    assert.deepEqual(
      told(
        routeMessage(toTen, 8),
        routeMessage(toTen, 8, { flags: 0x100, index: 9 }),
        routeMessage(toTen, 8, {}, 25),
      ),
      ['ROUTE_ADDED eth0', 'ROUTE_REPLACED ', 'ROUTE_REMOVED eth0'],
    );
  });

  test('of a flood of routes some are told, and the rest is counted', () => {
    const flood = Array.from({ length: 1000 }, (_, n) => routeMessage([10, n >> 8, n & 255, 0], 24));
    const count = told(...flood).length;
    assert.ok(count > 0 && count < 100);
    assert.equal(changes.lost(), 1000 - count);
    assert.equal(told(...flood).length, count, 'as many at the next look');
  });

  test('interfaces and addresses beyond what is remembered are counted', () => {
    for (let n = 0; n < 5000; n++) {
      link({ index: 100 + n, name: `veth${n}` });
      told(addressMessage([10, 1, n >> 8, n & 255], 32, 100 + n));
    }
    assert.equal(changes.lost(), 2 * (5000 - 4095));
  });
});
