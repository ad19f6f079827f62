import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { createHostEvents, type HostEvents } from '../../../src/correlate/host-events.ts';
import type { Side } from '../../../src/correlate/side.ts';
import { NETWORK_CHANGE, type NetworkRecord } from '../../../src/receiver/kernel-record.ts';
import { FREEZE_HOW, PROCESS_EVENT } from '../../../src/records.gen.ts';
import { ipv4, knownAddresses, makeFreeze, makeNetwork } from '../../harness/host-records.ts';
import { makeProcess } from '../../harness/kernel-records.ts';
import { sideRecord } from '../../harness/side-record.ts';

const PROXY = 100;
const AF_INET6 = 10;

let events: HostEvents;
beforeEach(() => {
  events = createHostEvents();
});

describe('a process', () => {
  const overlaps = (fromNs: number, toNs: number, tgid = PROXY): boolean =>
    events.ofProcess(tgid, fromNs, toNs).length > 0;

  test('frozen: what overlaps the time, from the first to the last moment, and of this process only', () => {
    events.push(makeFreeze({ fromNs: 1000, toNs: 2000 }));
    const cases: [number, number, boolean][] = [
      [0, 999, false],
      [0, 1000, true],
      [500, 2500, true],
      [1200, 1300, true],
      [1500, 9000, true],
      [2000, 2000, true],
      [2001, 9000, false],
    ];
    for (const [fromNs, toNs, expected] of cases) {
      assert.equal(overlaps(fromNs, toNs), expected, `${fromNs} to ${toNs}`);
      assert.equal(overlaps(fromNs, toNs, 101), false);
    }
  });

  test('the host suspended: of every process', () => {
    events.push(makeFreeze({ how: FREEZE_HOW.SUSPEND, tgid: 0 }));
    assert.ok(overlaps(0, 5000, 101));
  });

  test('killed: at that moment; one that ended by itself is no event', () => {
    events.push(makeProcess({ event: PROCESS_EVENT.EXIT, tgid: 101, timeNs: 1000 }));
    events.push(makeProcess({ event: PROCESS_EVENT.EXIT, tgid: PROXY, timeNs: 1000, signal: 9 }));
    events.push(makeProcess({ event: PROCESS_EVENT.EXEC, tgid: PROXY, timeNs: 1000 }));
    assert.deepEqual([overlaps(0, 2000), overlaps(0, 2000, 101)], [true, false]);
    assert.deepEqual([overlaps(0, 999), overlaps(1001, 2000)], [false, false]);
  });

  test('in the order of their ends, in whatever order they were told', () => {
    const ends = [3000, 1000, 2000, 5000, 4000];
    for (const toNs of ends) events.push(makeFreeze({ fromNs: toNs - 100, toNs }));
    const found = events.ofProcess(PROXY, 1500, 4500).map(({ toNs }) => toNs);
    assert.deepEqual(found, [2000, 3000, 4000]);
  });

  test('as a list of all would have it', () => {
    const all = Array.from({ length: 200 }, (_, n) => {
      const fromNs = (n * 7919) % 5000;
      return makeFreeze({ fromNs, toNs: fromNs + ((n * 31) % 40), tgid: PROXY + (n % 5) });
    });
    const inOrder = all.toSorted((a, b) => a.toNs - b.toNs);
    for (const freeze of inOrder) events.push(freeze);
    for (let startNs = 0; startNs < 5000; startNs += 97) {
      const found = events.ofProcess(PROXY, startNs, startNs + 300).map(({ record }) => record);
      const expected = inOrder.filter(
        ({ fromNs, toNs, tgid }) => tgid === PROXY && fromNs <= startNs + 300 && toNs >= startNs,
      );
      assert.deepEqual(
        found.toSorted((a, b) => Number(a !== b)),
        expected,
      );
    }
  });

  test('memory is bounded: the last ones are kept, and of one span some', () => {
    for (let n = 1; n <= 10_000; n++) events.push(makeFreeze({ fromNs: 10 * n, toNs: 10 * n + 1 }));
    assert.ok(events.size() <= 1024);
    const found = events.ofProcess(PROXY, 0, 1e9);
    assert.ok(found.length <= 32);
    assert.equal(found.at(-1)?.toNs, 100_001);
  });
});

describe('a connection', () => {
  const KNOWN = { '127.0.0.1': 1, '10.0.0.5': 2, '10.1.0.5': 3 };
  const between = (local: string, remote: string): Side => {
    const full = (text: string): Uint8Array => Uint8Array.from([...ipv4(text), ...Array<number>(12).fill(0)]);
    return sideRecord({ localAddr: full(local), remoteAddr: full(remote) });
  };
  const overEth0 = between('10.0.0.5', '192.0.2.1');
  const overEth1 = between('10.1.0.5', '192.0.2.1');
  const loopback = between('127.0.0.1', '127.0.0.1');
  const toItself = between('10.0.0.5', '10.1.0.5');
  const elsewhere = between('172.17.0.2', '192.0.2.1');
  const all = { overEth0, overEth1, loopback, toItself, elsewhere };

  /** Who has events at that time. */
  function concerned(fromNs = 0, toNs = 5000): string[] {
    return Object.entries(all).flatMap(([name, side]) =>
      events.ofConnection(side, fromNs, toNs).length > 0 ? [name] : [],
    );
  }
  const push = (fields: Partial<NetworkRecord>): void => events.push(makeNetwork(fields));
  const { CARRIER_LOST, CARRIER_BACK, LINK_REMOVED, MTU } = NETWORK_CHANGE;

  beforeEach(() => {
    for (const record of knownAddresses(KNOWN)) events.push(record);
  });

  test('nobody is concerned by what is known', () => assert.deepEqual(concerned(), []));

  test('an interface: who has its address on it, and at the moment of the change who is elsewhere', () => {
    push({ change: CARRIER_LOST, timeNs: 1000 });
    assert.deepEqual(concerned(0, 999), []);
    assert.deepEqual(concerned(900, 1100), ['overEth0', 'elsewhere']);
    assert.deepEqual(concerned(1001, 5000), ['overEth0'], 'as long as it is down');
    push({ change: CARRIER_BACK, timeNs: 3000 });
    assert.deepEqual(concerned(1001, 2999), ['overEth0']);
    assert.deepEqual(concerned(2900, 3100), ['overEth0', 'elsewhere']);
    assert.deepEqual(concerned(3001, 5000), []);
  });

  test('the time that it was down is one event, while it lasts and afterwards', () => {
    const changes = (fromNs: number, toNs: number): number[] =>
      events.ofConnection(overEth0, fromNs, toNs).map(({ toNs: endNs }) => endNs);
    push({ change: CARRIER_LOST, timeNs: 1000 });
    assert.deepEqual(changes(900, 1100), [Number.POSITIVE_INFINITY]);
    push({ change: CARRIER_BACK, timeNs: 3000 });
    assert.deepEqual(changes(900, 1100), [3000]);
    assert.deepEqual(changes(900, 3100), [3000, 3000]);
    assert.equal(events.size(), 2);
  });

  test('an interface without an address concerns nobody: the ports of a bridge, the ends of containers', () => {
    push({ change: LINK_REMOVED, interfaceIndex: 9, interfaceName: 'veth9' });
    assert.deepEqual(concerned(), []);
  });

  test('nor does one whose only address is that of its link', () => {
    const address = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
    push({ change: NETWORK_CHANGE.ADDRESS_KNOWN, address, prefixLength: 64, interfaceIndex: 9 });
    push({ change: LINK_REMOVED, interfaceIndex: 9 });
    assert.deepEqual(concerned(), []);
    push({ change: NETWORK_CHANGE.ADDRESS_KNOWN, address: ipv4('10.2.0.5'), interfaceIndex: 9 });
    push({ change: LINK_REMOVED, interfaceIndex: 9 });
    assert.deepEqual(concerned(), ['elsewhere']);
  });

  test('one whose addresses were removed before it concerns who had them', () => {
    push({
      change: NETWORK_CHANGE.ADDRESS_REMOVED,
      timeNs: 900,
      address: ipv4('10.0.0.5'),
      prefixLength: 24,
    });
    push({ change: LINK_REMOVED, timeNs: 1000 });
    assert.deepEqual(concerned(950, 1100), ['overEth0', 'elsewhere']);
  });

  test('the loopback interface concerns who talks over it, and no other', () => {
    push({ change: NETWORK_CHANGE.LINK_DOWN, interfaceIndex: 1, interfaceName: 'lo', loopback: true });
    assert.deepEqual(concerned(), ['loopback', 'toItself']);
  });

  test('an MTU is a moment', () => {
    push({ change: MTU, timeNs: 1000, mtu: 1400, mtuBefore: 1500 });
    assert.deepEqual(concerned(500, 1000), ['overEth0', 'elsewhere']);
    assert.deepEqual(concerned(1001, 5000), []);
  });

  test('an address: who has it at either end', () => {
    push({ change: NETWORK_CHANGE.ADDRESS_ADDED, address: ipv4('10.0.0.5'), prefixLength: 24 });
    assert.deepEqual(concerned(), ['overEth0', 'toItself']);
  });

  test('a route: whom it leads to the other end', () => {
    const route = { change: NETWORK_CHANGE.ROUTE_REMOVED };
    push({ ...route, address: ipv4('192.0.2.128'), prefixLength: 25 });
    push({ ...route, address: ipv4('127.0.0.0'), prefixLength: 8 });
    push({ ...route, address: new Uint8Array(16), prefixLength: 0 });
    assert.deepEqual(concerned(), []);
    push({ ...route, address: ipv4('192.0.2.0'), prefixLength: 25 });
    assert.deepEqual(concerned(), ['overEth0', 'overEth1', 'elsewhere']);
  });

  test('the default route: all that leaves the host', () => {
    push({ change: NETWORK_CHANGE.ROUTE_REPLACED, address: ipv4('0.0.0.0'), prefixLength: 0 });
    assert.deepEqual(concerned(), ['overEth0', 'overEth1', 'elsewhere']);
  });

  test('IPv4 on a dual-stack socket is IPv4', () => {
    const mapped = (text: string): Uint8Array =>
      Uint8Array.from([...Array<number>(10).fill(0), 0xff, 0xff, ...ipv4(text)]);
    const side = sideRecord({
      ...{ family: AF_INET6, localAddr: mapped('10.0.0.5'), remoteAddr: mapped('192.0.2.1') },
    });
    push({ change: NETWORK_CHANGE.ROUTE_ADDED, address: ipv4('192.0.2.1'), prefixLength: 32 });
    push({ change: CARRIER_LOST });
    assert.equal(events.ofConnection(side, 0, 5000).length, 2);
  });

  test('what is told only afterwards concerns the time before it was seen', () => {
    push({ change: CARRIER_LOST, afterNs: 800, timeNs: 1000 });
    assert.deepEqual(concerned(700, 799), []);
    assert.deepEqual(concerned(700, 800), ['overEth0', 'elsewhere']);
  });

  test('memory is bounded, however much changes', () => {
    for (let n = 10; n < 10_000; n++) {
      push({
        change: NETWORK_CHANGE.ADDRESS_ADDED,
        address: Uint8Array.of(10, 9, n >> 8, n),
        interfaceIndex: n,
      });
      push({ change: CARRIER_LOST, interfaceIndex: n, timeNs: n });
    }
    assert.ok(events.size() <= 512 + 1024);
    events.push(makeFreeze());
    assert.equal(events.ofProcess(PROXY, 0, 5000).length, 1, 'and pushes no freeze out');
    push({ change: MTU, timeNs: 20_000 });
    assert.deepEqual(concerned(20_000, 20_000), [], 'where an address was is forgotten at last');
  });
});
