import { readFileSync, readlinkSync } from 'node:fs';
import { libbpfVersion } from '../native/libbpf.ts';
import { objectPath } from '../receiver/probes.ts';

/** What the checks look at: a folder that holds /proc and /sys, and what cannot be read from files. */
export interface Machine {
  /** Stands before /proc and /sys; empty for the machine itself. */
  readonly root: string;
  /** As `process.arch`. */
  readonly arch: string;
  /** The built BPF object. */
  readonly objectPath: string;
  /** Such as "v1.1"; undefined when the library cannot be loaded. */
  readonly libbpfVersion: () => string | undefined;
}

/** The machine on which hopspan runs. */
export function thisMachine(): Machine {
  return { root: '', arch: process.arch, objectPath: objectPath(), libbpfVersion };
}

/** The text of a file of /proc or /sys without the newline at its end; undefined when it cannot be read. */
export function readText(machine: Machine, path: string): string | undefined {
  return readBytes(machine, path)?.toString('utf8').trimEnd();
}

export function readBytes(machine: Machine, path: string): Buffer | undefined {
  try {
    return readFileSync(`${machine.root}${path}`);
  } catch {
    return undefined;
  }
}

/** Where a symbolic link of /proc leads; undefined when it cannot be read. */
export function readLink(machine: Machine, path: string): string | undefined {
  try {
    return readlinkSync(`${machine.root}${path}`);
  } catch {
    return undefined;
  }
}
