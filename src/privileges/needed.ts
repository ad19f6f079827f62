import { listenersOf } from '../config/listeners.ts';
import type { Config } from '../config/types.ts';
import { queuePath } from '../exporter/otlp/options.ts';
import { type Capability, maskOf } from './capabilities.ts';

/** What a configuration does once its probes are attached, as far as the kernel might refuse it. */
export interface Uses {
  /** Processes are looked at. */
  readonly watches: boolean;
  /** Turns of event loops are counted in processes that are not known yet. */
  readonly countsTurns: boolean;
  readonly ports: readonly number[];
  /** Files, sockets and folders that are written to; they need not exist yet. */
  readonly written: readonly string[];
}

/** Tries, with no more than the given capabilities. */
export interface Trials {
  canCountTurns(capabilities: bigint): boolean;
  canWrite(path: string, capabilities: bigint): boolean;
  /** Ports below this one take CAP_NET_BIND_SERVICE. */
  readonly firstFreePort: number;
}

/** A capability that stays, and why. */
export interface Need {
  readonly capability: Capability;
  readonly reason: string;
}

/** What of a configuration outlives the attaching; `outputs` are files that a command writes beside its exporters. */
export function usesOf(config: Config, outputs: readonly string[] = []): Uses {
  const { receivers, exporters } = config;
  return {
    watches: receivers.length > 0,
    countsTurns: receivers.some(({ turns }) => turns === 'auto'),
    ports: listenersOf(config).map(({ listen }) => listen.port),
    written: [
      ...outputs,
      ...exporters.flatMap((exporter) => {
        if (exporter.type === 'file') return exporter.path;
        if (exporter.type !== 'otlp') return [];
        const { disk, endpoint, name } = exporter;
        const socket = /^unix:(?:\/\/)?(\/.*)/.exec(endpoint)?.[1] ?? [];
        return [socket, disk ? [disk.directory, queuePath(disk.directory, name)] : []].flat();
      }),
    ],
  };
}

/** The capabilities of `held` that are needed later, by trying; where none does, none is kept. */
export function neededLater(uses: Uses, held: bigint, trials: Trials): Need[] {
  const needs: Need[] = [];
  const kept = (): bigint => maskOf(...needs.map(({ capability }) => capability));
  const isHeld = (capability: Capability): boolean => (held & maskOf(capability)) !== 0n;
  const keep = (capability: Capability, reason: string): void => void needs.push({ capability, reason });

  if (uses.watches) {
    const reason = 'proxies of other users that start later are looked at';
    if (isHeld('CAP_SYS_PTRACE')) keep('CAP_SYS_PTRACE', reason);
    if (isHeld('CAP_DAC_READ_SEARCH')) keep('CAP_DAC_READ_SEARCH', reason);
    else if (isHeld('CAP_DAC_OVERRIDE')) keep('CAP_DAC_OVERRIDE', reason);
  }
  const port = uses.ports.find((each) => each > 0 && each < trials.firstFreePort);
  if (port !== undefined && isHeld('CAP_NET_BIND_SERVICE'))
    keep('CAP_NET_BIND_SERVICE', `it listens on port ${port}`);
  const owned = uses.written.find(
    (path) =>
      !trials.canWrite(path, kept()) && trials.canWrite(path, kept() | (held & maskOf('CAP_DAC_OVERRIDE'))),
  );
  if (owned !== undefined) keep('CAP_DAC_OVERRIDE', `${owned} is another user's`);
  if (uses.countsTurns && !trials.canCountTurns(kept())) {
    const capability = (['CAP_PERFMON', 'CAP_SYS_ADMIN'] as const).find(
      (each) => isHeld(each) && trials.canCountTurns(kept() | maskOf(each)),
    );
    if (capability) keep(capability, 'this kernel asks for it wherever turns of an event loop are counted');
  }
  return needs;
}
