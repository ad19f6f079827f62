import { monotonicNs } from './clock.ts';
import type { KernelRecord } from './kernel-record.ts';
import { createNetworkWatch } from './network/watch.ts';
import type { NetworkTimes } from './probes.ts';
import { createSuspends } from './suspends.ts';

/** What happens to the host, as far as the kernel's probes do not tell. */
export interface HostWatch {
  /** Whether records of the probes may be younger than a change that is not told yet. */
  changed(): boolean;
  /** Records of what happened since the last look. */
  look(): KernelRecord[];
  /** Why changes of the network are not seen. */
  readonly networkRefused: string | undefined;
  /** Changes of the network that are not told. */
  lost(): number;
  close(): void;
}

export function createHostWatch(times: NetworkTimes): HostWatch {
  const startNs = monotonicNs();
  const network = createNetworkWatch(times, startNs);
  const suspended = createSuspends(startNs);
  const watch = typeof network === 'string' ? undefined : network;
  return {
    networkRefused: typeof network === 'string' ? network : undefined,
    changed: () => watch?.changed() === true,
    look() {
      const nowNs = monotonicNs();
      const suspend = suspended(nowNs);
      return [...(suspend ? [suspend] : []), ...(watch?.look(nowNs) ?? [])];
    },
    lost: () => watch?.lost() ?? 0,
    close: () => watch?.close(),
  };
}
