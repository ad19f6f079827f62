import { readdirSync } from 'node:fs';
import koffi from 'koffi';
import { HopspanError } from '../errors.ts';

export const libc = koffi.load(libcName());
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

const cMmap = libc.func('void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)');
const cMunmap = libc.func('int munmap(void *addr, size_t length)');
const cOpen = libc.func('int open(const char *path, int flags)');
const cClose = libc.func('int close(int fd)');
const cFcntl = libc.func('int fcntl(int fd, int cmd, int arg)');
const F_DUPFD_CLOEXEC = 1030;

const O_RDONLY_DIRECTORY_CLOEXEC = 0o2200000;

/** glibc's name, or musl's where that is what the machine has. */
function libcName(): string {
  const musl = readdirSync('/lib').find((name) => /^libc\.musl-.*\.so\.1$/.test(name));
  return musl ? `/lib/${musl}` : 'libc.so.6';
}

export const PAGE_SIZE = 4096;

/** A shared mapping of a file descriptor. No view of `buffer` may be touched after `unmap`. */
export interface Mapping {
  readonly buffer: ArrayBuffer;
  unmap(): void;
}

/** Maps `length` bytes of a BPF map; `offset` and `length` in bytes, the offset page-aligned. */
export function mapShared(fd: number, length: number, offset: number, writable: boolean): Mapping {
  const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const address: unknown = cMmap(null, length, protection, MAP_SHARED, fd, offset);
  if (koffi.address(address) === 0xffffffffffffffffn) {
    throw new HopspanError(
      'BPF_LOAD_FAILED',
      `cannot map ${length} bytes of BPF map fd ${fd}: ${errnoText()}; lower receivers.ebpf.max_connections or ring_buffer_bytes.`,
    );
  }
  const buffer: ArrayBuffer = koffi.view(address, length);
  let mapped = true;
  return {
    buffer,
    unmap() {
      if (mapped) cMunmap(address, length);
      mapped = false;
    },
  };
}

/** Opens a directory for use as a cgroup descriptor; returns -1 when it cannot be opened. */
export function openDirectory(path: string): number {
  return cOpen(path, O_RDONLY_DIRECTORY_CLOEXEC);
}

export function closeDescriptor(fd: number): void {
  cClose(fd);
}

/** Another descriptor for the same open file. @throws HopspanError BPF_LOAD_FAILED when there is none left. */
export function duplicate(fd: number): number {
  const copy: number = cFcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy >= 0) return copy;
  throw new HopspanError(
    'BPF_LOAD_FAILED',
    `a file descriptor cannot be kept: ${errnoText()}; raise the limit of open files (ulimit -n).`,
  );
}

/** The last C call's errno as text such as "EPERM". */
export function errnoText(errno: number = koffi.errno()): string {
  for (const [name, value] of Object.entries(koffi.os.errno)) if (value === errno) return name;
  return `errno ${errno}`;
}
