import { readFileSync } from 'node:fs';
import { HopspanError } from '../errors.ts';
import { BpfObject, removeFromMap, updateMap } from '../native/libbpf.ts';
import { closeDescriptor, type Mapping, mapShared, openDirectory, PAGE_SIZE } from '../native/memory.ts';
import { openRing, type Ring, type RingMemory } from '../native/ring.ts';
import {
  attachUprobe,
  type Link,
  UPROBE_MULTI,
  type UprobeKind,
  type UprobeProgram,
  uprobeKind,
} from '../native/uprobe.ts';
import { maskOf, ownCredentials } from '../privileges/capabilities.ts';
import { CONFIG, CONNECTION, COUNTERS, PROCESS_RECORD, SHARED } from '../records.gen.ts';
import { cgroup2Mount } from './cgroup.ts';

/** Programs of bpf/hopspan.bpf.c that hang on raw tracepoints, by their order of attachment. */
const TRACEPOINT_PROGRAMS = [
  'on_process_exec',
  'on_process_fork',
  'on_process_exit',
  'on_state',
  'on_data_ready',
  'on_recv',
  'on_send',
  'on_destroy',
] as const;
/** Those that tell when a process was frozen: nothing else needs them. */
const FREEZE_PROGRAMS = ['on_signal_deliver', 'on_signal_generate', 'on_cgroup_frozen'] as const;
const CGROUP_PROGRAMS = ['on_accept4', 'on_accept6'] as const;
const TURN_PROGRAM = 'on_turn';
/** Maps that are read or written here. */
const MAPS = [
  'records',
  '.bss',
  'connections',
  'targets',
  'target_names',
  'target_ports',
  'proxy_names',
] as const;
/** Places of the connection table that are mapped at first. */
const FIRST_PLACES = 1024;
const NAME_BYTES = PROCESS_RECORD.size - PROCESS_RECORD.name;

export interface ProbeOptions {
  readonly maxConnections: number;
  readonly ringBufferBytes: number;
  /** Bytes of a message's head that are looked at; 0 for none. */
  readonly maxHeadBytes: number;
  /** Whether to tell when a process was frozen; not, where this is not given. */
  readonly hostEvents?: boolean;
}

/** What the probes counted that should not happen; see struct hs_counters. */
export type Counters = Readonly<Record<Exclude<keyof typeof COUNTERS, 'size'>, number>>;

/** When the kernel put a datagram into the receiver's rtnetlink socket. */
export interface NetworkTimes {
  /** Counts from now on what comes into the socket of that cookie. */
  begin(cookie: bigint): void;
  /** Datagrams so far. */
  told(): number;
  /** CLOCK_MONOTONIC in nanoseconds of the datagram of that number, from 0; 0 where it is not known any more. */
  timeNs(number: number): number;
}

export interface ConnectionTable {
  readonly memory: RingMemory;
  /** Places from 0 on that have ever held a connection. */
  readonly places: number;
}

/** The loaded and attached probes, and the memory that they share with the receiver. */
export interface Probes {
  readonly ring: Ring;
  /** The connection table as far as it has been used; valid until it is asked for again. */
  connections(): ConnectionTable;
  /** False when no cgroup v2 hierarchy let the accept hook in: accept waits are then part of read waits. */
  readonly acceptHook: boolean;
  /** False when this kernel does not let the probes in that tell of freezes. */
  readonly freezeHooks: boolean;
  readonly networkTimes: NetworkTimes;
  counters(): Counters;
  addProcess(tgid: number, target: number): boolean;
  removeProcess(tgid: number): void;
  addName(name: string, target: number): void;
  removeName(name: string): void;
  addPort(port: number, target: number): void;
  removePort(port: number): void;
  /** The basename of an executable that a watched process runs. */
  addProxyName(name: string): void;
  addListenPort(port: number): void;
  /** Counts calls of this function, in the ELF file at `path`, as turns of the process's event loops; an errno's name if not. */
  countTurns(pid: number, path: string, symbol: string): Link | string;
  /** No new records from here on; what is in the ring and in the table stays readable. */
  detach(): void;
  close(): void;
}

/** The built object, beside the compiled sources and beside a checkout's. */
export function objectPath(): string {
  const fromSource = import.meta.url.endsWith('.ts');
  const path = fromSource ? '../../dist/bpf/hopspan.bpf.o' : '../../bpf/hopspan.bpf.o';
  return new URL(path, import.meta.url).pathname;
}

/**
 * Probes that are loaded and attached, as file descriptors: all that takes privileges is done. They may be handed to
 * another program image of the process.
 */
export interface AttachedProbes {
  readonly options: ProbeOptions;
  readonly maps: Readonly<Record<(typeof MAPS)[number], number>>;
  readonly links: readonly number[];
  readonly turns: UprobeProgram;
  readonly acceptHook: boolean;
}

/** Every descriptor of it. */
export function descriptorsOf({ maps, links, turns }: AttachedProbes): number[] {
  return [...Object.values(maps), ...links, turns.fd];
}

/**
 * Loads and attaches the probes.
 * @throws HopspanError LIBBPF_MISSING or BPF_LOAD_FAILED; nothing stays attached then.
 */
export function attachProbes(options: ProbeOptions, kind: UprobeKind = uprobeKind()): AttachedProbes {
  if (!options.hostEvents) return attach(options, kind);
  try {
    return attach(options, kind);
  } catch (error) {
    if (!(error instanceof HopspanError)) throw error;
    return attach({ ...options, hostEvents: false }, kind);
  }
}

function attach(
  { maxConnections, ringBufferBytes, maxHeadBytes, hostEvents = false }: ProbeOptions,
  kind: UprobeKind,
): AttachedProbes {
  const object = new BpfObject(readFileSync(objectPath()));
  try {
    object.setMaxEntries('records', ringBufferBytes);
    object.setMaxEntries('connections', maxConnections);
    object.setMaxEntries('free_places', maxConnections);
    const config = Buffer.alloc(CONFIG.size);
    config.writeUInt32LE(maxConnections, CONFIG.maxConnections);
    config.writeUInt32LE(maxHeadBytes, CONFIG.maxHeadBytes);
    object.setReadOnlyData(config);
    if (kind === 'multi') object.setAttachType(TURN_PROGRAM, UPROBE_MULTI);
    const cgroup = mayHookAccept() ? openCgroup() : -1;
    if (cgroup < 0) for (const program of CGROUP_PROGRAMS) object.skipProgram(program);
    if (!hostEvents) for (const program of FREEZE_PROGRAMS) object.skipProgram(program);
    object.load();
    for (const program of TRACEPOINT_PROGRAMS) object.attach(program);
    if (hostEvents) for (const program of FREEZE_PROGRAMS) object.attach(program);
    const acceptHook = cgroup >= 0 && attachAccept(object, cgroup);
    const maps = Object.fromEntries(MAPS.map((name) => [name, object.takeMap(name)]));
    return {
      options: { maxConnections, ringBufferBytes, maxHeadBytes, hostEvents },
      maps: maps as AttachedProbes['maps'],
      links: object.takeLinks(),
      turns: { fd: object.takeProgram(TURN_PROGRAM), kind },
      acceptHook,
    };
  } finally {
    object.close();
  }
}

/**
 * Makes attached probes usable; takes no capability.
 * @throws HopspanError BPF_LOAD_FAILED; nothing stays attached then.
 */
export function openProbes(attached: AttachedProbes): Probes {
  const { options, maps } = attached;
  const links = new Set(attached.links);
  const mappings: Pick<Mapping, 'unmap'>[] = [];
  const keep = (mapping: Mapping): ArrayBuffer => {
    mappings.push(mapping);
    return mapping.buffer;
  };
  const turnLinks = new Set<Link>();
  function detach(): void {
    for (const fd of links) closeDescriptor(fd);
    links.clear();
    for (const link of turnLinks) link.detach();
    turnLinks.clear();
  }
  let open = true;
  function close(): void {
    for (const mapping of mappings) mapping.unmap();
    detach();
    if (open) for (const fd of [...Object.values(maps), attached.turns.fd]) closeDescriptor(fd);
    open = false;
  }
  try {
    const ring = openRing(maps.records, options.ringBufferBytes);
    const shared = keep(mapShared(maps['.bss'], pages(SHARED.size), 0, true));
    const table = openTable(maps.connections, options.maxConnections);
    mappings.push(table);
    const shared64 = new BigUint64Array(shared);
    const shared32 = new Uint32Array(shared);

    return {
      ring,
      connections: () =>
        table.upTo(Math.min(Atomics.load(shared32, SHARED.placesUsed >> 2), options.maxConnections)),
      acceptHook: attached.acceptHook,
      freezeHooks: options.hostEvents === true,
      networkTimes: networkTimesIn(shared64, shared32),
      counters: () => readCounters(shared64),
      addProcess: (tgid, target) => updateMap(maps.targets, u32(tgid), u32(target)),
      removeProcess: (tgid) => void removeFromMap(maps.targets, u32(tgid)),
      addName: (name, target) => void updateMap(maps.target_names, nameKey(name), u32(target)),
      removeName: (name) => void removeFromMap(maps.target_names, nameKey(name)),
      addPort: (port, target) => void updateMap(maps.target_ports, u16(port), u32(target)),
      removePort: (port) => void removeFromMap(maps.target_ports, u16(port)),
      addProxyName: (name) => void updateMap(maps.proxy_names, nameKey(name), u32(1)),
      addListenPort: (port) => {
        const index = (SHARED.listenPorts >> 3) + (port >> 6);
        Atomics.or(shared64, index, 1n << BigInt(port & 63));
      },
      countTurns: (pid, path, symbol) => {
        Atomics.store(shared32, SHARED.turnsCounted >> 2, 1);
        const link = attachUprobe(attached.turns, pid, path, symbol);
        if (typeof link === 'string') return link;
        turnLinks.add(link);
        return {
          detach() {
            link.detach();
            turnLinks.delete(link);
          },
        };
      },
      detach,
      close() {
        ring.close();
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Both at once, for a process that stays what it is. @throws HopspanError LIBBPF_MISSING or BPF_LOAD_FAILED */
export function loadProbes(options: ProbeOptions): Probes {
  return openProbes(attachProbes(options));
}

/** False when the hierarchy does not let the hook in, which costs the moment of accept and nothing else. */
function attachAccept(object: BpfObject, cgroup: number): boolean {
  try {
    for (const program of CGROUP_PROGRAMS) object.attachCgroup(program, cgroup);
    return true;
  } catch (error) {
    if (error instanceof HopspanError) return false;
    throw error;
  } finally {
    closeDescriptor(cgroup);
  }
}

/** Without the right, loading the hook's programs would fail, and all others with them. */
function mayHookAccept(): boolean {
  return (ownCredentials().effective & maskOf('CAP_NET_ADMIN', 'CAP_SYS_ADMIN')) !== 0n;
}

function openCgroup(): number {
  const mount = cgroup2Mount();
  return mount === undefined ? -1 : openDirectory(mount);
}

/**
 * The connection table, mapped as far as it is used: all of it would count as resident memory at once, and most
 * machines need little of it.
 */
function openTable(fd: number, maxPlaces: number): { upTo(places: number): ConnectionTable; unmap(): void } {
  let mapping: Mapping | undefined;
  let mapped = 0;
  let memory: RingMemory = { u8: new Uint8Array(), u16: new Uint16Array(), u32: new Uint32Array() };
  return {
    upTo(places) {
      if (places > mapped) {
        mapping?.unmap();
        mapped = Math.min(Math.max(2 * mapped, places, FIRST_PLACES), maxPlaces);
        mapping = mapShared(fd, pages(mapped * CONNECTION.size), 0, false);
        const { buffer } = mapping;
        memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
      }
      return { memory, places };
    },
    unmap: () => mapping?.unmap(),
  };
}

/** `told` is asked for with every record of the ring: in 32 bits, which makes no object. */
function networkTimesIn(shared64: BigUint64Array, shared32: Uint32Array): NetworkTimes {
  const at = (offset: number): number => Number(Atomics.load(shared64, offset >> 3));
  const told = (): number => Atomics.load(shared32, SHARED.networkTold >> 2);
  const kept = (SHARED.size - SHARED.networkTimes) >> 3;
  return {
    begin: (cookie) => void Atomics.store(shared64, SHARED.networkCookie >> 3, cookie),
    told,
    timeNs: (number) =>
      number < told() && told() - number <= kept ? at(SHARED.networkTimes + 8 * (number % kept)) : 0,
  };
}

function readCounters(shared64: BigUint64Array): Counters {
  const entries = Object.entries(COUNTERS)
    .filter(([name]) => name !== 'size')
    .map(([name, offset]) => [name, Number(Atomics.load(shared64, (SHARED.counters + offset) >> 3))]);
  return Object.fromEntries(entries) as Counters;
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

/** struct hs_name: NUL-terminated, as bpf_probe_read_kernel_str() leaves it. */
function nameKey(name: string): Buffer {
  const bytes = Buffer.alloc(NAME_BYTES);
  bytes.write(name, 0, NAME_BYTES - 1);
  return bytes;
}
