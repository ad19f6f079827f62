import { readdirSync, readFileSync } from 'node:fs';
import type { ProxyLogEntry, RunningProxy } from './proxy.ts';
import type { BackendConnection, BackendExchange, ClientLog } from './traffic-types.ts';

const FOLDER = new URL('../fixtures/', import.meta.url);

/** One watched proxy of a fixture, outermost first. */
export interface FixtureProxy {
  readonly service: string;
  readonly kind: RunningProxy['kind'];
  readonly port: number;
  readonly accessLog: readonly ProxyLogEntry[];
}

/** What was seen from outside while a fixture was recorded; scripts/make-fixtures.ts writes it. */
export interface FixtureTruth {
  readonly proxies: readonly FixtureProxy[];
  readonly client: ClientLog;
  readonly backend: {
    readonly exchanges: readonly BackendExchange[];
    readonly connections: readonly BackendConnection[];
  };
}

/** Paths of a fixture's two files. */
export function fixturePaths(name: string): { recording: string; truth: string } {
  return {
    recording: new URL(`${name}.hsrec`, FOLDER).pathname,
    truth: new URL(`${name}.json`, FOLDER).pathname,
  };
}

export function fixtureNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.hsrec'))
    .map((file) => file.slice(0, -'.hsrec'.length))
    .toSorted();
}

export function readTruth(name: string): FixtureTruth {
  return JSON.parse(readFileSync(fixturePaths(name).truth, 'utf8')) as FixtureTruth;
}
