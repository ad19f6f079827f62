import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Hop } from '../../../src/correlate/hop.ts';
import { createHostEvents } from '../../../src/correlate/host-events.ts';
import { type KernelRecord, NETWORK_CHANGE } from '../../../src/receiver/kernel-record.ts';
import { FREEZE_HOW, PROCESS_EVENT, SIDE_FLAGS } from '../../../src/records.gen.ts';
import { EVENTS } from '../../../src/spans/attributes.ts';
import { createSpanBuilder } from '../../../src/spans/build.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { wallTime } from '../../../src/spans/wall-time.ts';
import { ipv4, knownAddresses, makeFreeze, makeNetwork } from '../../harness/host-records.ts';
import { makeClock, makeProcess } from '../../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const S = 1e9;
const clock = makeClock(0);
const full = (text: string): Uint8Array => Uint8Array.from([...ipv4(text), ...Array<number>(12).fill(0)]);
const EXCHANGE = { flags: SIDE_FLAGS.EXCHANGE, exchange: 2 };

/** From 1 to 9 s, upstream from 2 to 8 s, over eth0 to a client and over eth1 upstream. */
const HOP: Partial<Hop> = {
  downstream: downstreamRecord({
    ...{ ...EXCHANGE, arrivedNs: S, firstReadNs: S, lastReadNs: S, firstWriteNs: 9 * S, lastWriteNs: 9 * S },
    ...{ localAddr: full('10.0.0.5'), remoteAddr: full('192.0.2.1') },
  }),
  upstream: upstreamRecord({
    ...{ ...EXCHANGE, firstWriteNs: 2 * S, lastWriteNs: 2 * S, firstReadNs: 8 * S, lastReadNs: 8 * S },
    ...{ localAddr: full('10.1.0.5'), remoteAddr: full('198.51.100.1') },
  }),
  setUp: false,
};
const KNOWN = knownAddresses({ '10.0.0.5': 2, '10.1.0.5': 3 });

function spansOf(records: readonly KernelRecord[], hop: Partial<Hop> = HOP): HopSpan[] {
  const hostEvents = createHostEvents();
  for (const record of [...KNOWN, ...records]) hostEvents.push(record);
  return createSpanBuilder({ phaseFloorNs: 0, resourceAttributes: {}, hostEvents })(hopOf(hop));
}

/** Events as [kind of the span, name, seconds on the records' clock, attributes]. */
function told(records: readonly KernelRecord[], hop?: Partial<Hop>): unknown[] {
  return spansOf(records, hop).flatMap(({ kind, events }) =>
    events.map(({ name, time, attributes }) => [
      kind,
      name.replace('hopspan.host.', ''),
      secondsOf(time),
      attributes,
    ]),
  );
}

function secondsOf(time: readonly [number, number]): number {
  for (let seconds = 0; seconds < 20; seconds += 0.5)
    if (wallTime(seconds * S, clock).join() === time.join()) return seconds;
  return Number.NaN;
}

describe('events on spans', () => {
  test('without any there are none', () => assert.deepEqual(told([]), []));

  test('a freeze stands on the hop, at its beginning, or the beginning of the hop', () => {
    assert.deepEqual(told([makeFreeze({ fromNs: 3 * S, toNs: 5 * S })]), [
      [
        ...['SERVER', 'process_frozen', 3],
        {
          'hopspan.host.freeze.by': 'signal',
          'hopspan.host.signal': 'SIGSTOP',
          'hopspan.host.duration': 2,
        },
      ],
    ]);
    const [[, , seconds, attributes] = []] = told([
      makeFreeze({ how: FREEZE_HOW.CGROUP, signal: 0, fromNs: 0.5 * S, toNs: 5 * S }),
    ]) as [unknown[]];
    assert.deepEqual(
      [seconds, attributes],
      [1, { 'hopspan.host.freeze.by': 'cgroup', 'hopspan.host.duration': 4.5 }],
    );
  });

  test('a suspended host lasted as long as it says itself', () => {
    const suspend = { how: FREEZE_HOW.SUSPEND, tgid: 0, signal: 0, fromNs: 3 * S, toNs: 4 * S };
    assert.deepEqual(told([makeFreeze({ ...suspend, lastedNs: 3600 * S })]), [
      [
        ...['SERVER', 'process_frozen', 3],
        { 'hopspan.host.freeze.by': 'suspend', 'hopspan.host.duration': 3600 },
      ],
    ]);
  });

  test('a kill, for want of memory or not', () => {
    const exit = { event: PROCESS_EVENT.EXIT, tgid: 100, timeNs: 7 * S };
    assert.deepEqual(told([makeProcess({ ...exit, signal: 9, oom: 1 })]), [
      [
        ...['SERVER', 'process_killed', 7],
        { 'hopspan.host.signal': 'SIGKILL', 'hopspan.host.out_of_memory': true },
      ],
    ]);
    assert.deepEqual(told([makeProcess({ ...exit, signal: 34 })]), [
      ['SERVER', 'process_killed', 7, { 'hopspan.host.signal': 'signal 34' }],
    ]);
  });

  test('a link stands on the span of the connection that goes over it', () => {
    const attributes = { 'network.interface.name': 'eth0', 'hopspan.host.link.by': 'carrier' };
    const lost = makeNetwork({ timeNs: 3 * S });
    assert.deepEqual(told([lost]), [['SERVER', 'link_down', 3, attributes]]);
    const back = makeNetwork({ change: NETWORK_CHANGE.CARRIER_BACK, timeNs: 4 * S });
    assert.deepEqual(told([lost, back]), [
      ['SERVER', 'link_down', 3, { ...attributes, 'hopspan.host.duration': 1 }],
      ['SERVER', 'link_up', 4, attributes],
    ]);
    const removed = { change: NETWORK_CHANGE.LINK_REMOVED, interfaceIndex: 3, interfaceName: 'eth1' };
    assert.deepEqual(told([makeNetwork({ ...removed, timeNs: 8 * S })]), [
      [
        ...['CLIENT', 'link_down', 8],
        { 'network.interface.name': 'eth1', 'hopspan.host.link.by': 'removal' },
      ],
    ]);
    assert.deepEqual(told([makeNetwork({ ...removed, timeNs: 8.5 * S })]), [], 'after the upstream span');
  });

  test('addresses and routes say which', () => {
    const { ADDRESS_REMOVED, ROUTE_REMOVED } = NETWORK_CHANGE;
    const own = { 'network.interface.name': 'eth0' };
    assert.deepEqual(
      told([
        makeNetwork({ change: ADDRESS_REMOVED, timeNs: 3 * S, address: ipv4('10.0.0.5'), prefixLength: 24 }),
        makeNetwork({
          ...{ change: ROUTE_REMOVED, timeNs: 3 * S, address: ipv4('0.0.0.0'), prefixLength: 0 },
          gateway: ipv4('10.0.0.1'),
        }),
      ]),
      [
        ['SERVER', 'address_removed', 3, { ...own, 'hopspan.host.address': '10.0.0.5/24' }],
        [
          ...['SERVER', 'route_removed', 3],
          { ...own, 'hopspan.host.route': 'default', 'hopspan.host.gateway': '10.0.0.1' },
        ],
        [
          ...['CLIENT', 'route_removed', 3],
          { ...own, 'hopspan.host.route': 'default', 'hopspan.host.gateway': '10.0.0.1' },
        ],
      ],
    );
  });

  test('half a hop has those of its process on the one span that it is', () => {
    const { upstream } = HOP;
    assert.ok(upstream);
    const [[kind, name] = []] = told([makeFreeze({ fromNs: 3 * S, toNs: 5 * S })], {
      upstream,
      setUp: false,
    }) as [unknown[]];
    assert.deepEqual([kind, name], ['CLIENT', 'process_frozen']);
  });

  test('an upstream that was tried in vain has those of its own time', () => {
    const attempt = upstreamRecord({
      ...{ connection: 5, synNs: 1.5 * S, establishedNs: 0, closedNs: 1.75 * S, error: 101 },
      ...{ localAddr: full('10.1.0.5'), remoteAddr: full('203.0.113.1') },
    });
    const gone = { change: NETWORK_CHANGE.ROUTE_REMOVED, address: ipv4('203.0.113.0'), prefixLength: 24 };
    const spans = spansOf([makeNetwork({ ...gone, timeNs: 1.5 * S })], { ...HOP, attempts: [attempt] });
    const [carrier, ...more] = spans.filter(({ events }) => events.length > 0);
    assert.deepEqual([carrier?.attributes['server.address'], more], ['203.0.113.1', []]);
  });
});

test('every event of the table is one that spans have', () => {
  const source = readFileSync(new URL('../../../src/spans/host-events.ts', import.meta.url), 'utf8');
  assert.deepEqual(
    Object.keys(EVENTS).filter((name) => !source.includes(`'${name}'`)),
    [],
  );
});
