import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Netlink } from '../../../../src/native/netlink.ts';
import { NETWORK_CHANGE, type NetworkRecord } from '../../../../src/receiver/kernel-record.ts';
import { createNetworkWatch, type NetworkWatch } from '../../../../src/receiver/network/watch.ts';
import { addressMessage, linkMessage, netlinkMessage } from '../../../harness/netlink-messages.ts';

const DONE = netlinkMessage(3, Buffer.alloc(4));
const { CARRIER_BACK, CARRIER_LOST, ADDRESS_KNOWN } = NETWORK_CHANGE;

/** A kernel with one interface, which tells of what a test has it tell. */
function fakeKernel() {
  const queue: (Buffer | 'overrun')[] = [];
  const times: number[] = [];
  const kernel = { carrier: true, isTimed: true, asked: 0, closed: 0 };
  const tell = (bytes: Buffer, atNs: number): void => {
    queue.push(bytes);
    times.push(kernel.isTimed ? atNs : 0);
  };
  const netlink: Netlink = {
    cookie: 7n,
    join: () => {},
    receive(bytes) {
      const next = queue.shift();
      if (next === undefined || next === 'overrun') return next ?? 0;
      return next.copy(bytes);
    },
    send(request) {
      kernel.asked++;
      const isLinks = request.readUInt16LE(4) === 18;
      tell(isLinks ? linkMessage({ carrier: kernel.carrier }) : addressMessage([10, 0, 0, 5], 24), 1);
      tell(DONE, 1);
      return true;
    },
    close: () => void kernel.closed++,
  };
  return {
    kernel,
    netlink,
    tell: (carrier: boolean, atNs: number) => {
      kernel.carrier = carrier;
      tell(linkMessage({ carrier }), atNs);
    },
    overrun: () => void queue.push('overrun'),
    times: { begin: () => {}, told: () => times.length, timeNs: (number: number) => times[number] ?? 0 },
  };
}

const moments = (records: readonly NetworkRecord[]): [number, number, number][] =>
  records.map(({ change, afterNs, timeNs }) => [change, afterNs, timeNs]);

describe('looking at the network', () => {
  let fake: ReturnType<typeof fakeKernel>;
  let watch: NetworkWatch;

  beforeEach(() => {
    fake = fakeKernel();
    const created = createNetworkWatch(fake.times, 100, () => fake.netlink);
    assert.ok(typeof created !== 'string');
    watch = created;
    assert.deepEqual(moments(watch.look(200)), [[ADDRESS_KNOWN, 100, 200]]);
    assert.equal(watch.changed(), false);
  });

  test('changes have the time at which the kernel told of them', () => {
    fake.tell(false, 250);
    fake.tell(true, 260);
    assert.equal(watch.changed(), true);
    assert.deepEqual(moments(watch.look(300)), [
      [CARRIER_LOST, 250, 250],
      [CARRIER_BACK, 260, 260],
    ]);
    assert.equal(watch.changed(), false);
    assert.deepEqual(watch.look(400), []);
    assert.equal(fake.kernel.asked, 2, 'what there is was asked for once');
  });

  test('where the kernel did not say when, it was between two looks', () => {
    fake.kernel.isTimed = false;
    fake.tell(false, 250);
    assert.deepEqual(moments(watch.look(300)), [[CARRIER_LOST, 200, 300]]);
  });

  test('what the kernel had to leave out is counted, and seen by what there is then', () => {
    fake.kernel.carrier = false;
    fake.overrun();
    assert.deepEqual(moments(watch.look(300)), [[CARRIER_LOST, 200, 300]]);
    assert.equal(watch.lost(), 1);
    assert.equal(fake.kernel.asked, 4);
    assert.deepEqual(watch.look(400), []);
  });

  test('a kernel that is overrun again and again does not hold up the look', () => {
    for (let n = 0; n < 1000; n++) fake.overrun();
    watch.look(300);
    assert.ok(watch.lost() > 0);
  });

  test('a refusal is given on', () => {
    assert.equal(
      createNetworkWatch(fake.times, 100, () => 'EAFNOSUPPORT'),
      'EAFNOSUPPORT',
    );
  });
});
