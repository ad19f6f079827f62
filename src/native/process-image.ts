import koffi from 'koffi';
import { errnoText, libc } from './memory.ts';

/* include/uapi/linux/capability.h */
const CAPABILITY_VERSION_3 = 0x20080522;
/* include/uapi/linux/prctl.h */
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/* include/uapi/linux/fcntl.h */
const AT_FDCWD = -100;
const AT_EACCESS = 0x200;
const W_OK = 2;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

const cCapset = libc.func('int capset(const void *header, const void *data)');
const cPrctl = libc.func(
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
);
const cExecve = libc.func('int execve(const char *path, const char **argv, const char **envp)');
const cMemfdCreate = libc.func('int memfd_create(const char *name, unsigned int flags)');
const cFaccessat = libc.func('int faccessat(int dirfd, const char *path, int mode, int flags)');
const cFcntl = libc.func('int fcntl(int fd, int cmd, int arg)');

/** Capability sets as the kernel's masks. */
export interface CapabilitySets {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
}

/**
 * Calls that change what the calling thread may do, and the program that its process runs. Each gives false, or an errno's
 * name, where the kernel refuses.
 */
export interface ProcessImage {
  /** capset(2): this thread's alone. */
  setCapabilities(sets: CapabilitySets): boolean;
  /** No program that the thread starts can gain it again; takes CAP_SETPCAP. */
  dropFromBounding(capability: number): boolean;
  /** From here on these, and no others, last through execve(2) for a user other than root. */
  setAmbient(capabilities: readonly number[]): boolean;
  setNoNewPrivileges(): boolean;
  /** With the effective capabilities of this thread; access(2) takes others into account. */
  canWrite(path: string): boolean;
  /** Whether it lasts through `replace` and into child processes. */
  keepDescriptor(fd: number, keep: boolean): void;
  /** A file in memory that lasts through `replace`, or -1. */
  memoryFile(name: string): number;
  /**
   * execve(2): the kernel ends all other threads, and the new program begins with what this one may do. Returns only
   * where that fails.
   */
  replace(file: string, args: readonly string[], env: NodeJS.ProcessEnv): string;
}

/** The process that runs this. */
export const processImage: ProcessImage = {
  setCapabilities: (sets) => cCapset(header(), data(sets)) === 0,
  dropFromBounding: (capability) => cPrctl(PR_CAPBSET_DROP, capability, 0, 0, 0) === 0,
  setAmbient(capabilities) {
    if (cPrctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) !== 0) return false;
    return capabilities.every((each) => cPrctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each, 0, 0) === 0);
  },
  setNoNewPrivileges: () => cPrctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) === 0,
  canWrite: (path) => cFaccessat(AT_FDCWD, path, W_OK, AT_EACCESS) === 0,
  keepDescriptor: (fd, keep) => void cFcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC),
  memoryFile: (name) => cMemfdCreate(name, 0),
  replace(file, args, env) {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    cExecve(file, [file, ...args, null], [...variables, null]);
    return errnoText(koffi.errno());
  },
};

/** struct __user_cap_header_struct for the calling thread. */
function header(): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(CAPABILITY_VERSION_3);
  return bytes;
}

/** struct __user_cap_data_struct[2]: the low halves of the three sets, then the high ones. */
function data({ effective, permitted, inheritable }: CapabilitySets): Buffer {
  const bytes = Buffer.alloc(24);
  for (const [index, mask] of [effective, permitted, inheritable].entries()) {
    bytes.writeUInt32LE(Number(mask & 0xffffffffn), 4 * index);
    bytes.writeUInt32LE(Number(mask >> 32n), 12 + 4 * index);
  }
  return bytes;
}
