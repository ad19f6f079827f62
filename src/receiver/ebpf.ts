import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { EbpfReceiverConfig } from '../config/types.ts';
import {
  KIND,
  PROCESS_EVENT,
  type ProcessRecord,
  readFreezeRecord,
  readHelloRecord,
  readProcessRecord,
  readSideRecord,
  type SideRecord,
} from '../records.gen.ts';
import { createClock, monotonicNs } from './clock.ts';
import { createFingerprinter } from './header-fields.ts';
import { createHostWatch, type HostWatch } from './host-watch.ts';
import { createMessages } from './http1/messages.ts';
import { createStreams } from './http2/streams.ts';
import { type KernelRecord, RECEIVER_KIND } from './kernel-record.ts';
import { createMutedConnections } from './muted.ts';
import { podOf } from './pod.ts';
import { preflight } from './preflight.ts';
import { type AttachedProbes, type Counters, loadProbes, openProbes, type Probes } from './probes.ts';
import {
  allPids,
  canListFiles,
  commandName,
  containerIdOf,
  type Executable,
  executableOf,
  factsOf,
  isHidden,
  listeningPorts,
} from './processes.ts';
import { createQuietExchanges } from './quiet.ts';
import { createTargetList } from './target-list.ts';
import { requireTarget } from './targets.ts';
import { createHellos } from './tls/hellos.ts';
import { createTurns, type Turns } from './turns.ts';

const DRAIN_INTERVAL_MS = 50;
/** Records between two turns of the event loop, so that exporters get theirs. */
const DRAIN_LIMIT = 512;
const PAUSE_MS = 5;
const SCAN_INTERVAL_NS = 250_000_000;
/** What waits to be paired is told sooner, so that its rivals need not wait as long as it may be quiet. */
const UNPAIRED_QUIET_NS = 1_000_000_000;
const NS_PER_MS = 1_000_000;

/** The probes' counters, and what the receiver could not do. */
export type Losses = Counters & {
  /** Records still in the ring when the time to stop was over. */
  readonly undrained: number;
  /** Processes whose turns would be needed and could not be counted. */
  readonly turnsRefused: number;
  /** Changes of the host's network that were not told. */
  readonly networkEventsLost: number;
};

export interface ProcessName {
  readonly pid: number;
  readonly executable: Executable;
}

export interface WatchedProcess extends ProcessName {
  readonly serviceName: string;
}

export interface EbpfReceiver {
  /** Loads the probes, finds the targets, begins to drain. @throws HopspanError for what the machine lacks. */
  start(): void;
  /** Puts other targets and another `idle_timeout` in force; connections of processes that stay targets are as before. */
  configure(changed: Pick<EbpfReceiverConfig, 'targets' | 'idleTimeoutMs'>): void;
  /** Hands on what is complete, for at most `timeoutMs`, and detaches. May be called twice. */
  stop(timeoutMs: number): Promise<void>;
  watched(): readonly WatchedProcess[];
  /** Targets that are not watched, since this user may not see on which ports they listen. */
  unreadable(): readonly ProcessName[];
  /** The hook tier in use, for people. */
  readonly hooks: string;
  /** False after a start where no cgroup v2 hierarchy let the accept hook in. */
  readonly acceptHook: boolean;
  /** Host events that cannot be had here, and why, for people; of those that are wanted. */
  readonly missingEvents: readonly string[];
  counters(): Losses;
}

/**
 * Kernel records of the configured targets, in the order in which the kernel made them, to `output`. While `busy`
 * says so, records stay in the ring. Probes that are attached already are taken as they are.
 */
export function createEbpfReceiver(
  config: EbpfReceiverConfig,
  output: (record: KernelRecord) => void,
  busy: () => boolean = () => false,
  attached?: AttachedProbes,
): EbpfReceiver {
  const clock = createClock();
  const quiet = createQuietExchanges();
  const targets = createTargetList();
  const muted = createMutedConnections();
  const heads = {
    fingerprinter: config.headerDiff ? createFingerprinter() : undefined,
    queryStrings: config.queryStrings,
  };
  const messages = createMessages(heads);
  const hellos = createHellos();
  /* Twice: of those that have ended the last record may still be in the ring. */
  const streams = createStreams(2 * config.maxConnections, heads);
  const watched = new Map<number, WatchedProcess & { readonly target: number }>();
  let unreadable: ProcessName[] = [];
  let { idleTimeoutMs, targets: current } = config;
  let probes: Probes | undefined;
  let turns: Turns | undefined;
  let host: HostWatch | undefined;
  let missingEvents: readonly string[] = [];
  let timer: NodeJS.Timeout | undefined;
  let lastScanNs = 0;
  let lastCounters: Losses | undefined;
  let acceptHook = false;

  function emit(record: KernelRecord): void {
    if (!muted.has(record)) output(record);
  }

  function watch(pid: number, targetIndex: number, executable: Executable): void {
    const target = targets.at(targetIndex);
    if (!target || !probes) return;
    muted.unmute(pid);
    for (const port of listeningPorts(pid)) probes.addListenPort(port);
    probes.addProxyName(executable.name);
    const serviceName = target.serviceName ?? executable.name;
    watched.set(pid, { pid, executable, serviceName, target: targetIndex });
    emit({
      kind: RECEIVER_KIND.PROXY,
      tgid: pid,
      serviceName,
      executableName: executable.name,
      executablePath: executable.path,
      containerId: containerIdOf(pid),
      ...podOf(pid),
    });
  }

  function dismiss(pid: number, loaded: Probes): void {
    loaded.removeProcess(pid);
    watched.delete(pid);
    turns?.onExit(pid);
    const { memory, places } = loaded.connections();
    muted.mute(pid, memory, places, monotonicNs());
  }

  /** Those that are watched, by the targets that are in force now. */
  function reassign(loaded: Probes): void {
    for (const { pid, target, executable } of [...watched.values()]) {
      const facts = factsOf(pid);
      const index = (facts && targets.find(facts)) ?? (targets.isInForce(target) ? target : undefined);
      if (index === undefined) dismiss(pid, loaded);
      else if (index !== target && loaded.addProcess(pid, index)) watch(pid, index, executable);
    }
  }

  /** Those that run already and are not watched; until there is no new one, for a worker may be born while we look. */
  function findProcesses(loaded: Probes): void {
    const looked = new Set([process.pid]);
    for (let found = true; found; ) {
      found = false;
      for (const pid of allPids()) {
        if (looked.has(pid) || watched.has(pid)) continue;
        looked.add(pid);
        const facts = factsOf(pid);
        const index = facts && targets.find(facts);
        if (!facts || index === undefined) continue;
        if (!canListFiles(pid)) {
          unreadable.push({ pid, executable: facts.executable });
          continue;
        }
        /* First of all: by its port a connection that is open already shows on which side of the proxy it is. */
        for (const port of facts.ports()) loaded.addListenPort(port);
        if (!loaded.addProcess(pid, index)) continue;
        watch(pid, index, facts.executable);
        found = true;
      }
    }
  }

  function onProcess(record: ProcessRecord): void {
    if (record.event === PROCESS_EVENT.EXIT) {
      watched.delete(record.tgid);
      muted.unmute(record.tgid);
      turns?.onExit(record.tgid);
    } else {
      const target = targets.at(record.target);
      const executable = executableOf(record.tgid) ?? otherwiseKnown(record);
      const isOther = target?.by === 'path' && executable?.path !== target.path;
      if (isOther && record.event === PROCESS_EVENT.EXEC) {
        probes?.removeProcess(record.tgid); // the kernel knows the file's basename only
        return;
      }
      if (executable) watch(record.tgid, record.target, executable);
      /* It came before the kernel was told of other targets. */
      if (probes && !targets.isInForce(record.target)) reassign(probes);
    }
    emit(record);
  }

  /** Of a process that may not be looked at, or ended before its record was read: its parent's, or what is known. */
  function otherwiseKnown(record: ProcessRecord): Executable | undefined {
    const target = targets.at(record.target);
    if (record.event === PROCESS_EVENT.EXEC) {
      const isGone = !isHidden(record.tgid);
      return { name: record.name, path: target?.by === 'path' && isGone ? target.path : '' };
    }
    const command = commandName(record.tgid);
    return watched.get(record.parentTgid)?.executable ?? (command ? { name: command, path: '' } : undefined);
  }

  function onSide(record: SideRecord): void {
    for (const message of messages.leftBy(record)) emit(message);
    hellos.onSide(record);
    if (probes && watched.has(record.tgid)) turns?.onSide(record);
    for (const message of streams.leftBy(record)) emit(message);
    emit(quiet.reconcile(record));
  }

  function drain(loaded: Probes, limit: number): number {
    const { memory } = loaded.ring;
    return loaded.ring.drain((offset) => {
      if (host?.changed()) lookAtHost();
      switch (memory.u32[offset >> 2]) {
        case KIND.SIDE:
          return onSide(readSideRecord(memory, offset));
        case KIND.MESSAGE: {
          const message = messages.push(memory, offset);
          if (message) emit(message);
          return;
        }
        case KIND.HELLO: {
          const { tgid } = readHelloRecord(memory, offset);
          if (probes && watched.has(tgid)) turns?.onHello(tgid);
          const hello = hellos.push(memory, offset);
          if (hello) emit(hello);
          return;
        }
        case KIND.FRAMES: {
          for (const message of streams.push(memory, offset)) emit(message);
          return;
        }
        case KIND.FREEZE:
          return emit(readFreezeRecord(memory, offset));
        case KIND.PROCESS:
          return onProcess(readProcessRecord(memory, offset));
      }
    }, limit);
  }

  function scan(loaded: Probes, beforeNs: number): void {
    const { memory, places } = loaded.connections();
    const unpairedBeforeNs = Math.max(beforeNs, monotonicNs() - UNPAIRED_QUIET_NS);
    for (const record of quiet.scan(memory, places, beforeNs, unpairedBeforeNs)) emit(record);
  }

  function ownCounts(): Omit<Losses, keyof Counters | 'undrained'> {
    return { turnsRefused: turns?.refused() ?? 0, networkEventsLost: host?.lost() ?? 0 };
  }

  function lookAtHost(): void {
    for (const record of host?.look() ?? []) emit(record);
  }

  function tick(): void {
    if (!probes) return;
    lookAtHost();
    if (busy()) {
      timer = setTimeout(tick, PAUSE_MS);
      return;
    }
    const count = drain(probes, DRAIN_LIMIT);
    const now = monotonicNs();
    /* Not while records wait: the kernel's record of an earlier exchange may be among them. */
    if (count < DRAIN_LIMIT && now - lastScanNs >= SCAN_INTERVAL_NS) {
      lastScanNs = now;
      scan(probes, now - idleTimeoutMs * NS_PER_MS);
    }
    emit(clock());
    timer = setTimeout(tick, count === DRAIN_LIMIT ? 0 : DRAIN_INTERVAL_MS);
  }

  return {
    get hooks() {
      return acceptHook ? 'tp_btf+cgroup' : 'tp_btf';
    },
    get acceptHook() {
      return acceptHook;
    },
    get missingEvents() {
      return missingEvents;
    },
    start() {
      if (!attached) preflight();
      for (const target of config.targets) requireTarget(target);
      probes = attached ? openProbes(attached) : loadProbes(config);
      if (config.turns === 'auto') turns = createTurns(probes);
      acceptHook = probes.acceptHook;
      if (config.hostEvents) host = createHostWatch(probes.networkTimes);
      missingEvents = missingOf(probes, host);
      emit({
        kind: RECEIVER_KIND.HOST,
        hostName: hostname(),
        hostId: readFirstLine('/etc/machine-id'),
        seed: randomBytes(16).toString('hex'),
      });
      emit(clock());
      lookAtHost();
      targets.set(config.targets, probes);
      findProcesses(probes);
      timer = setTimeout(tick, DRAIN_INTERVAL_MS);
    },
    configure(changed) {
      ({ idleTimeoutMs } = changed);
      if (!probes || isDeepStrictEqual(changed.targets, current)) return;
      current = changed.targets;
      targets.set(current, probes);
      reassign(probes);
      unreadable = [];
      findProcesses(probes);
    },
    async stop(timeoutMs) {
      clearTimeout(timer);
      if (!probes) return;
      const loaded = probes;
      probes = undefined;
      loaded.detach();
      lookAtHost();
      const deadline = monotonicNs() + timeoutMs * NS_PER_MS;
      while (monotonicNs() < deadline && (busy() || drain(loaded, DRAIN_LIMIT) > 0)) {
        if (!busy()) emit(clock()); // a clock lets go of what waits
        await setTimeoutAsync(busy() ? PAUSE_MS : 0);
      }
      scan(loaded, Number.POSITIVE_INFINITY);
      const { memory, places } = loaded.connections();
      for (const record of quiet.closed(memory, places)) onSide(record);
      for (const message of messages.flush()) emit(message);
      for (const message of streams.flush()) emit(message);
      emit(clock());
      lastCounters = {
        ...loaded.counters(),
        undrained: loaded.ring.drain(() => {}, Number.POSITIVE_INFINITY),
        ...ownCounts(),
      };
      host?.close();
      host = undefined;
      loaded.close();
    },
    watched: () => [...watched.values()],
    unreadable: () => unreadable,
    counters() {
      if (probes) lastCounters = { ...probes.counters(), undrained: 0, ...ownCounts() };
      if (!lastCounters) throw new Error('counters() before start()');
      return lastCounters;
    },
  };
}

function missingOf(probes: Probes, host: HostWatch | undefined): string[] {
  if (!host) return [];
  return [
    ...(probes.freezeHooks ? [] : ['processes frozen, for this kernel lacks the tracepoints']),
    ...(host.networkRefused ? [`the network, for rtnetlink is refused (${host.networkRefused})`] : []),
  ];
}

function readFirstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').split('\n')[0] ?? '';
  } catch {
    return '';
  }
}
