import { constants } from 'node:os';
import type { HostEvent, HostEvents } from '../correlate/host-events.ts';
import type { Side } from '../correlate/side.ts';
import {
  type ClockRecord,
  type FreezeRecord,
  NETWORK_CHANGE,
  type NetworkRecord,
  type ProcessRecord,
  RECEIVER_KIND,
} from '../receiver/kernel-record.ts';
import { FREEZE_HOW, KIND } from '../records.gen.ts';
import { formatAddress } from './addresses.ts';
import type { AttributeName, EventName } from './attributes.ts';
import type { Attributes, AttributeValue, HopSpanEvent } from './hop-span.ts';
import type { Interval } from './phases.ts';
import { wallTime } from './wall-time.ts';

type Bag = Partial<Record<AttributeName, AttributeValue>>;
type Told = readonly [EventName, Bag];

const NS_PER_S = 1e9;
const NONE: readonly never[] = [];
const HOWS: Readonly<Record<number, string>> = {
  [FREEZE_HOW.SIGNAL]: 'signal',
  [FREEZE_HOW.CGROUP]: 'cgroup',
  [FREEZE_HOW.SUSPEND]: 'suspend',
};
const SIGNALS = new Map(
  Object.entries(constants.signals)
    .toReversed()
    .map(([name, number]) => [number, name]),
);

/** What happened to the process and to one of its connections within the time of a span, as the span's events. */
export function hostEventsOf(
  host: HostEvents | undefined,
  clock: ClockRecord,
  { startNs, endNs }: Interval,
  tgid: number | undefined,
  side: Side,
): readonly HopSpanEvent[] {
  if (!host || host.size() === 0) return NONE;
  const found = [
    ...(tgid === undefined ? NONE : host.ofProcess(tgid, startNs, endNs)),
    ...host.ofConnection(side, startNs, endNs),
  ];
  if (found.length === 0) return NONE;
  return found
    .map((event) => ({ atNs: Math.min(Math.max(momentOf(event), startNs), endNs), told: tell(event) }))
    .toSorted((a, b) => a.atNs - b.atNs)
    .map(({ atNs, told: [name, attributes] }) => ({
      name,
      time: wallTime(atNs, clock),
      attributes: attributes as Attributes,
    }));
}

/** A change of the network is told with the time at which it was seen. */
function momentOf({ record, fromNs }: HostEvent): number {
  return record.kind === RECEIVER_KIND.NETWORK ? record.timeNs : fromNs;
}

function tell(event: HostEvent): Told {
  const { record } = event;
  if (record.kind === KIND.FREEZE) return tellFreeze(record);
  if (record.kind === KIND.PROCESS) return tellKill(record);
  return tellNetwork(record, event);
}

function tellFreeze({ how, signal, lastedNs }: FreezeRecord): Told {
  return [
    'hopspan.host.process_frozen',
    {
      'hopspan.host.freeze.by': HOWS[how] ?? '',
      ...(signal > 0 ? { 'hopspan.host.signal': signalName(signal) } : {}),
      'hopspan.host.duration': lastedNs / NS_PER_S,
    },
  ];
}

function tellKill({ signal, oom }: ProcessRecord): Told {
  return [
    'hopspan.host.process_killed',
    {
      'hopspan.host.signal': signalName(signal),
      ...(oom ? { 'hopspan.host.out_of_memory': true } : {}),
    },
  ];
}

const signalName = (signal: number): string => SIGNALS.get(signal) ?? `signal ${signal}`;

function tellNetwork(record: NetworkRecord, { toNs }: HostEvent): Told {
  const bag: Bag = record.interfaceName ? { 'network.interface.name': record.interfaceName } : {};
  switch (record.change) {
    case NETWORK_CHANGE.ADDRESS_ADDED:
      return ['hopspan.host.address_added', { ...bag, 'hopspan.host.address': prefixText(record) }];
    case NETWORK_CHANGE.ADDRESS_REMOVED:
      return ['hopspan.host.address_removed', { ...bag, 'hopspan.host.address': prefixText(record) }];
    case NETWORK_CHANGE.ROUTE_ADDED:
      return ['hopspan.host.route_added', { ...bag, ...routeBag(record) }];
    case NETWORK_CHANGE.ROUTE_REPLACED:
      return ['hopspan.host.route_replaced', { ...bag, ...routeBag(record) }];
    case NETWORK_CHANGE.ROUTE_REMOVED:
      return ['hopspan.host.route_removed', { ...bag, ...routeBag(record) }];
    case NETWORK_CHANGE.MTU:
      return [
        'hopspan.host.mtu_changed',
        { ...bag, 'hopspan.host.mtu': record.mtu, 'hopspan.host.mtu.before': record.mtuBefore },
      ];
    case NETWORK_CHANGE.CARRIER_BACK:
    case NETWORK_CHANGE.LINK_UP:
      return ['hopspan.host.link_up', { ...bag, 'hopspan.host.link.by': linkBy(record) }];
    default:
      return [
        'hopspan.host.link_down',
        { ...bag, 'hopspan.host.link.by': linkBy(record), ...downBag(record, toNs) },
      ];
  }
}

function linkBy({ change }: NetworkRecord): string {
  if (change === NETWORK_CHANGE.LINK_REMOVED) return 'removal';
  const isCarrier = change === NETWORK_CHANGE.CARRIER_LOST || change === NETWORK_CHANGE.CARRIER_BACK;
  return isCarrier ? 'carrier' : 'administrator';
}

function downBag({ timeNs }: NetworkRecord, toNs: number): Bag {
  const isOver = Number.isFinite(toNs) && toNs > timeNs;
  return isOver ? { 'hopspan.host.duration': (toNs - timeNs) / NS_PER_S } : {};
}

function routeBag(record: NetworkRecord): Bag {
  const route = record.prefixLength === 0 ? 'default' : prefixText(record);
  const gateway = record.gateway.length > 0 ? formatAddress(record.gateway) : '';
  return { 'hopspan.host.route': route, ...(gateway ? { 'hopspan.host.gateway': gateway } : {}) };
}

const prefixText = ({ address, prefixLength }: NetworkRecord): string =>
  `${formatAddress(address)}/${prefixLength}`;
