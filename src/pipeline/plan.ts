import { isDeepStrictEqual } from 'node:util';
import { describeTarget } from '../config/describe.ts';
import type { Config, EbpfReceiverConfig, PipelineConfig } from '../config/types.ts';

/** What comes of putting another configuration in force. */
export interface Plan {
  /** The new one, with the old one's settings where they can change at a start only. */
  readonly config: Config;
  /** A phrase for each thing that changes. */
  readonly changes: readonly string[];
  /** What changed and must wait for the next start, by its place in the file. */
  readonly waiting: readonly string[];
}

/** Keys of an ebpf receiver that the loaded probes and what is known of open connections depend on. */
const FIXED = {
  max_connections: 'maxConnections',
  ring_buffer_bytes: 'ringBufferBytes',
  max_head_bytes: 'maxHeadBytes',
  turns: 'turns',
  query_strings: 'queryStrings',
  header_diff: 'headerDiff',
  host_events: 'hostEvents',
} as const satisfies Readonly<Record<string, keyof EbpfReceiverConfig>>;

const FREE = {
  idle_timeout: 'idleTimeoutMs',
  phase_floor: 'phaseFloorNs',
  unsampled: 'unsampled',
} as const satisfies Readonly<Record<string, keyof EbpfReceiverConfig>>;

/** Compares the configuration in force with another one. Pure. */
export function planReload(current: Config, next: Config): Plan {
  const changes: string[] = [];
  const waiting: string[] = [];
  const receivers = next.receivers.map((receiver) => {
    const before = current.receivers.find(({ name }) => name === receiver.name);
    if (!before) return receiver;
    const fixed = changedKeys(FIXED, before, receiver);
    waiting.push(...fixed.map((key) => `receivers.${receiver.name}.${key}`));
    changes.push(...changesOfReceiver(before, receiver));
    return { ...receiver, ...fixedOf(before) };
  });
  changes.push(...changesByName('receiver', current.receivers, next.receivers, () => []));
  changes.push(...changesByName('receiver', current.otlpReceivers, next.otlpReceivers, replaced));
  changes.push(...changesByName('processor', current.processors, next.processors, replaced));
  changes.push(...changesByName('exporter', current.exporters, next.exporters, replaced));
  changes.push(...changesByName('pipeline', current.pipelines, next.pipelines, changesOfPipeline));
  const { logs, ...metrics } = current.telemetry;
  const { logs: nextLogs, ...nextMetrics } = next.telemetry;
  if (current.shutdownTimeoutMs !== next.shutdownTimeoutMs) changes.push('service.shutdown_timeout changed');
  if (!isDeepStrictEqual(logs, nextLogs)) changes.push('service.telemetry.logs changed');
  if (!isDeepStrictEqual(metrics, nextMetrics)) waiting.push('service.telemetry.metrics');
  if (!isDeepStrictEqual(current.healthCheck, next.healthCheck)) waiting.push('extensions.health_check');
  const { healthCheck: _, ...rest } = next;
  const config: Config = {
    ...rest,
    receivers,
    telemetry: { ...metrics, logs: nextLogs },
    ...(current.healthCheck ? { healthCheck: current.healthCheck } : {}),
  };
  return { config, changes, waiting };
}

interface Named {
  readonly name: string;
}

function changesByName<T extends Named>(
  kind: string,
  before: readonly T[],
  after: readonly T[],
  changed: (before: T, after: T) => readonly string[],
): string[] {
  const find = (among: readonly T[], name: string): T | undefined => among.find((each) => each.name === name);
  const gone = before.filter(({ name }) => !find(after, name)).map(({ name }) => `${kind} ${name} removed`);
  const others = after.flatMap((each) => {
    const old = find(before, each.name);
    if (!old) return [`${kind} ${each.name} added`];
    return isDeepStrictEqual(old, each)
      ? []
      : changed(old, each).map((what) => `${kind} ${each.name} ${what}`);
  });
  return [...gone, ...others];
}

function replaced(): readonly string[] {
  return ['replaced'];
}

function changesOfPipeline(before: PipelineConfig, after: PipelineConfig): string[] {
  return (['receivers', 'processors', 'exporters'] as const)
    .filter((role) => !isDeepStrictEqual(before[role], after[role]))
    .map((role) => `has other ${role}`);
}

function changesOfReceiver(before: EbpfReceiverConfig, after: EbpfReceiverConfig): string[] {
  const has = (targets: EbpfReceiverConfig['targets'], target: object): boolean =>
    targets.some((each) => isDeepStrictEqual(each, target));
  const gone = before.targets.filter((target) => !has(after.targets, target));
  const fresh = after.targets.filter((target) => !has(before.targets, target));
  const reordered =
    gone.length + fresh.length === 0 && !isDeepStrictEqual(before.targets, after.targets)
      ? ['targets in another order']
      : [];
  return [
    ...gone.map((target) => `target ${describeTarget(target)} removed`),
    ...fresh.map((target) => `target ${describeTarget(target)} added`),
    ...reordered,
    ...changedKeys(FREE, before, after).map((key) => `${key} changed`),
  ].map((what) => `receiver ${after.name}: ${what}`);
}

function changedKeys(
  keys: Readonly<Record<string, keyof EbpfReceiverConfig>>,
  before: EbpfReceiverConfig,
  after: EbpfReceiverConfig,
): string[] {
  return Object.entries(keys)
    .filter(([, option]) => before[option] !== after[option])
    .map(([key]) => key);
}

function fixedOf(receiver: EbpfReceiverConfig): Pick<EbpfReceiverConfig, (typeof FIXED)[keyof typeof FIXED]> {
  const { maxConnections, ringBufferBytes, maxHeadBytes, turns, queryStrings, headerDiff, hostEvents } =
    receiver;
  return { maxConnections, ringBufferBytes, maxHeadBytes, turns, queryStrings, headerDiff, hostEvents };
}
