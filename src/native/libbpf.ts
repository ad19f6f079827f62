import koffi from 'koffi';
import { HopspanError } from '../errors.ts';
import { duplicate, errnoText } from './memory.ts';

const LOG_BUFFER_BYTES = 1 << 20;
export const LIBRARY = 'libbpf.so.1';
export const LIBBPF_REMEDY =
  'install it: Debian "apt-get install libbpf1", Fedora "dnf install libbpf", Alpine "apk add libbpf".';

type Pointer = unknown;

/** The libbpf functions in use, as documented at libbpf's API reference (libbpf 1.0 and later). */
function bind(library: ReturnType<typeof koffi.load>) {
  return {
    version: library.func('const char *libbpf_version_string()'),
    setPrint: library.func('void *libbpf_set_print(void *fn)'),
    openMem: library.func('void *bpf_object__open_mem(const void *buf, size_t size, void *opts)'),
    load: library.func('int bpf_object__load(void *obj)'),
    close: library.func('void bpf_object__close(void *obj)'),
    findMap: library.func('void *bpf_object__find_map_by_name(void *obj, const char *name)'),
    findProgram: library.func('void *bpf_object__find_program_by_name(void *obj, const char *name)'),
    mapFd: library.func('int bpf_map__fd(void *map)'),
    setMaxEntries: library.func('int bpf_map__set_max_entries(void *map, uint32_t max_entries)'),
    setInitialValue: library.func('int bpf_map__set_initial_value(void *map, const void *data, size_t size)'),
    programFd: library.func('int bpf_program__fd(void *prog)'),
    setAutoload: library.func('int bpf_program__set_autoload(void *prog, bool autoload)'),
    setAttachType: library.func('int bpf_program__set_expected_attach_type(void *prog, int type)'),
    attach: library.func('void *bpf_program__attach(void *prog)'),
    attachCgroup: library.func('void *bpf_program__attach_cgroup(void *prog, int cgroup_fd)'),
    linkFd: library.func('int bpf_link__fd(const void *link)'),
    destroyLink: library.func('int bpf_link__destroy(void *link)'),
    update: library.func(
      'int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)',
    ),
    remove: library.func('int bpf_map_delete_elem(int fd, const void *key)'),
  };
}

let bound: ReturnType<typeof bind> | undefined;

/**
 * Loads libbpf once.
 * @throws HopspanError LIBBPF_MISSING, naming the package.
 */
function libbpf(): ReturnType<typeof bind> {
  if (bound) return bound;
  try {
    bound = bind(koffi.load(LIBRARY));
  } catch (cause) {
    throw new HopspanError(
      'LIBBPF_MISSING',
      `${LIBRARY} (libbpf 1.0 or later) cannot be loaded; ${LIBBPF_REMEDY}`,
      { cause },
    );
  }
  bound.setPrint(null); // its messages go to stderr otherwise; errors are ours to word
  return bound;
}

/** The library's own name for its version, such as "v1.1"; undefined when it cannot be loaded. */
export function libbpfVersion(): string | undefined {
  try {
    return libbpf().version();
  } catch (error) {
    if (error instanceof HopspanError) return undefined;
    throw error;
  }
}

/** struct bpf_object_open_opts up to kernel_log_level, on a 64-bit machine. */
function openOptions(logBuffer: Buffer): Buffer {
  const options = Buffer.alloc(80);
  options.writeBigUInt64LE(80n, 0);
  options.writeBigUInt64LE(koffi.address(logBuffer), 56);
  options.writeBigUInt64LE(BigInt(logBuffer.length), 64);
  return options;
}

/** Inserts or replaces an element of the map behind a descriptor; false when it is full. */
export function updateMap(fd: number, key: Buffer, value: Buffer): boolean {
  return libbpf().update(fd, key, value, 0n) === 0;
}

/** Deletes an element of the map behind a descriptor; false when it was not there. */
export function removeFromMap(fd: number, key: Buffer): boolean {
  return libbpf().remove(fd, key) === 0;
}

/**
 * A BPF object until its programs are attached. What is to live longer is taken as file descriptors, which no library is
 * needed for. Nothing is pinned: it all ends with the last descriptor.
 */
export class BpfObject {
  readonly #api = libbpf();
  readonly #log = Buffer.alloc(LOG_BUFFER_BYTES);
  readonly #links = new Set<Pointer>();
  #object: Pointer;

  /** @throws HopspanError BPF_LOAD_FAILED when the bytes are no BPF object. */
  constructor(bytes: Uint8Array) {
    this.#object = this.#api.openMem(bytes, bytes.length, openOptions(this.#log));
    if (!this.#object) {
      throw new HopspanError(
        'BPF_LOAD_FAILED',
        `the BPF object cannot be opened: ${errnoText()}; build it again with "make build".`,
      );
    }
  }

  setMaxEntries(map: string, entries: number): void {
    this.#check(this.#api.setMaxEntries(this.#map(map), entries), `resize map ${map}`);
  }

  /** Fills a read-only data section; `bytes` must be as long as the section. */
  setReadOnlyData(bytes: Buffer): void {
    const code: number = this.#api.setInitialValue(this.#map('.rodata'), bytes, bytes.length);
    this.#check(code, 'set the read-only configuration');
  }

  /** Leaves a program out of `load`. */
  skipProgram(name: string): void {
    this.#check(this.#api.setAutoload(this.#program(name), false), `skip program ${name}`);
  }

  /** @throws HopspanError BPF_LOAD_FAILED with the end of the verifier's log. */
  load(): void {
    const code: number = this.#api.load(this.#object);
    if (code === 0) return;
    throw new HopspanError(
      'BPF_LOAD_FAILED',
      `the kernel refused the probes (${errnoText(-code)}); run "hopspan doctor" for the reason.${verifierExcerpt(this.#log)}`,
    );
  }

  /** An `enum bpf_attach_type` of include/uapi/linux/bpf.h that the program's section does not say. */
  setAttachType(program: string, type: number): void {
    this.#check(this.#api.setAttachType(this.#program(program), type), `say how ${program} is attached`);
  }

  attach(program: string): void {
    this.#keep(this.#api.attach(this.#program(program)), program);
  }

  attachCgroup(program: string, cgroupFd: number): void {
    this.#keep(this.#api.attachCgroup(this.#program(program), cgroupFd), program);
  }

  /** The map's descriptor, which ends with the object. */
  mapFd(map: string): number {
    return this.#api.mapFd(this.#map(map));
  }

  /** A descriptor of one's own for the map, which outlives the object. */
  takeMap(map: string): number {
    return duplicate(this.mapFd(map));
  }

  /** A descriptor of one's own for a loaded program. */
  takeProgram(program: string): number {
    return duplicate(this.#api.programFd(this.#program(program)));
  }

  /** Descriptors of one's own for all links: programs run until the last of each is closed. */
  takeLinks(): number[] {
    return [...this.#links].map((link) => duplicate(this.#api.linkFd(link)));
  }

  /** Ends what was not taken. May be called twice. */
  close(): void {
    for (const link of this.#links) this.#api.destroyLink(link);
    this.#links.clear();
    if (this.#object) this.#api.close(this.#object);
    this.#object = null;
  }

  #keep(link: Pointer, program: string): void {
    if (!link) {
      throw new HopspanError(
        'BPF_LOAD_FAILED',
        `probe ${program} cannot be attached: ${errnoText()}; run "hopspan doctor" for what this kernel allows.`,
      );
    }
    this.#links.add(link);
  }

  #map(name: string): Pointer {
    const map: Pointer = this.#api.findMap(this.#object, name);
    if (!map) throw new HopspanError('BPF_LOAD_FAILED', `the BPF object has no map ${name}; build it again.`);
    return map;
  }

  #program(name: string): Pointer {
    const program: Pointer = this.#api.findProgram(this.#object, name);
    if (!program) {
      throw new HopspanError('BPF_LOAD_FAILED', `the BPF object has no program ${name}; build it again.`);
    }
    return program;
  }

  #check(code: number, what: string): void {
    if (code < 0) throw new HopspanError('BPF_LOAD_FAILED', `cannot ${what}: ${errnoText(-code)}.`);
  }
}

/** The verifier's complaint without the walk that led to it: its last lines, statistics left out. */
export function verifierExcerpt(log: Buffer): string {
  const end = log.indexOf(0);
  const lines = log
    .toString('utf8', 0, end < 0 ? log.length : end)
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(processed|verification time|stack depth)/.test(line));
  return lines.length === 0 ? '' : `\n${lines.slice(-6).join('\n')}`;
}
