import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Target } from '../config/types.ts';
import type { ProcessFacts } from './processes.ts';
import { matches } from './processes.ts';
import { withRealPath } from './targets.ts';

/** Where the kernel is told what to look for. */
export interface TargetMaps {
  addName(name: string, target: number): void;
  removeName(name: string): void;
  addPort(port: number, target: number): void;
  removePort(port: number): void;
  addListenPort(port: number): void;
}

/**
 * The targets of a receiver by the numbers that the kernel knows them by. A number belongs to one target for good, for
 * records of a target that was removed may still come.
 */
export interface TargetList {
  /** Puts these in force, in this order, instead of all others, and tells the kernel. */
  set(targets: readonly Target[], maps: TargetMaps): void;
  /** Whether it is in force or not. */
  at(index: number): Target | undefined;
  isInForce(index: number): boolean;
  /** The number of the first target that describes a process; undefined for none. */
  find(facts: ProcessFacts): number | undefined;
}

export function createTargetList(): TargetList {
  const known: Target[] = [];
  let inForce: readonly number[] = [];
  let names = new Map<string, number>();
  let ports = new Map<number, number>();

  function numberOf(target: Target): number {
    const index = known.findIndex((each) => isDeepStrictEqual(each, target));
    return index < 0 ? known.push(target) - 1 : index;
  }

  return {
    set(targets, maps) {
      inForce = targets.map(withRealPath).map(numberOf);
      const wantedNames = new Map<string, number>();
      const wantedPorts = new Map<number, number>();
      for (const index of inForce) {
        const target = known[index];
        if (target?.by === 'executable') wantedNames.set(target.executable, index);
        else if (target?.by === 'path') wantedNames.set(basename(target.path), index);
        else if (target?.by === 'listen_port') wantedPorts.set(target.listenPort, index);
      }
      for (const name of names.keys()) if (!wantedNames.has(name)) maps.removeName(name);
      for (const [name, index] of wantedNames) if (names.get(name) !== index) maps.addName(name, index);
      for (const port of ports.keys()) if (!wantedPorts.has(port)) maps.removePort(port);
      for (const [port, index] of wantedPorts) {
        if (ports.get(port) === index) continue;
        maps.addPort(port, index);
        maps.addListenPort(port);
      }
      names = wantedNames;
      ports = wantedPorts;
    },
    at: (index) => known[index],
    isInForce: (index) => inForce.includes(index),
    find: (facts) =>
      inForce.find((index) => {
        const target = known[index];
        return target !== undefined && matches(target, facts);
      }),
  };
}
