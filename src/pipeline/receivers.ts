import { isDeepStrictEqual } from 'node:util';
import type { Config, EbpfReceiverConfig, OtlpReceiverConfig } from '../config/types.ts';
import type { ExporterLog } from '../exporter/log.ts';
import { createEbpfReceiver, type EbpfReceiver } from '../receiver/ebpf.ts';
import { RECEIVER_KIND } from '../receiver/kernel-record.ts';
import { createOtlpReceiver, type OtlpReceiver } from '../receiver/otlp/otlp.ts';
import type { AttachedProbes } from '../receiver/probes.ts';
import { type Change, LEAVE_MS, undoAll } from './change.ts';
import type { Pipelines } from './pipelines.ts';

/** The receivers of the configuration in force, and those of another one in their place. */
export interface Receivers {
  /**
   * Starts what another configuration has and what is not there. Probes that are loaded stay as they are. Behind the
   * pipelines' own `prepare`.
   * @throws HopspanError; nothing has changed then.
   */
  prepare(next: Config): Promise<Change>;
  /** Ends the receivers that the configuration does not have, while their pipelines are still there. */
  endRemoved(next: Config): Promise<void>;
  stop(timeoutMs: number): Promise<void>;
  get(name: string): EbpfReceiver | undefined;
  ebpf(): readonly EbpfReceiver[];
  otlp(): readonly OtlpReceiver[];
  /** Records that came from the kernel. */
  records(): number;
}

interface Listening {
  readonly config: OtlpReceiverConfig;
  readonly receiver: OtlpReceiver;
}

/** @param attached probes that are there already, by receiver: each is taken once */
export function createReceivers(
  pipelines: Pipelines,
  log: ExporterLog,
  attached: Readonly<Record<string, AttachedProbes>> = {},
): Receivers {
  const probes = new Map<string, EbpfReceiver>();
  const waiting = new Map(Object.entries(attached));
  const servers = new Map<string, Listening>();
  let records = 0;

  /** What it sees stays in its ring until it is committed. */
  function attach(config: EbpfReceiverConfig): Change {
    const input = pipelines.inputOf(config.name);
    let committed = false;
    const receiver = createEbpfReceiver(
      config,
      (record) => {
        if (record.kind !== RECEIVER_KIND.CLOCK) records++;
        input(record);
      },
      () => !committed || pipelines.busy(),
      waiting.get(config.name),
    );
    waiting.delete(config.name);
    receiver.start();
    return {
      commit() {
        committed = true;
        probes.set(config.name, receiver);
      },
      undo: () => receiver.stop(0),
      settle: async () => {},
    };
  }

  async function listen(config: OtlpReceiverConfig): Promise<Listening> {
    const receiver = createOtlpReceiver(config, pipelines.spanInputOf(config.name));
    try {
      await receiver.start();
    } catch (error) {
      await receiver.stop(0);
      throw error;
    }
    const listening = { config, receiver };
    servers.set(config.name, listening);
    return listening;
  }

  /** The address may be the same, so the old one ends first; senders come again. */
  async function listenAnew(before: Listening | undefined, config: OtlpReceiverConfig): Promise<Change> {
    const back = async (): Promise<void> => {
      servers.delete(config.name);
      if (before) await listen(before.config);
    };
    await before?.receiver.stop(LEAVE_MS);
    try {
      const { receiver } = await listen(config);
      const undo = async (): Promise<void> => {
        await receiver.stop(0);
        await back();
      };
      return { commit: () => {}, undo, settle: async () => {} };
    } catch (error) {
      await undoAll([{ commit: () => {}, undo: back, settle: async () => {} }], log);
      throw error;
    }
  }

  return {
    async prepare(next) {
      const changes: Change[] = [];
      const undo = (): Promise<void> => undoAll(changes, log);
      try {
        for (const config of next.otlpReceivers) {
          const before = servers.get(config.name);
          if (!before || !isDeepStrictEqual(before.config, config))
            changes.push(await listenAnew(before, config));
        }
        for (const config of next.receivers) if (!probes.has(config.name)) changes.push(attach(config));
      } catch (error) {
        await undo();
        throw error;
      }
      return {
        commit() {
          for (const config of next.receivers) probes.get(config.name)?.configure(config);
          for (const change of changes) change.commit();
        },
        undo,
        settle: async () => {},
      };
    },
    async endRemoved(next) {
      for (const [name, receiver] of probes) {
        if (next.receivers.some((config) => config.name === name)) continue;
        await receiver.stop(LEAVE_MS);
        await pipelines.endReceiver(name);
        probes.delete(name);
      }
      for (const [name, { receiver }] of servers) {
        if (next.otlpReceivers.some((config) => config.name === name)) continue;
        await receiver.stop(LEAVE_MS);
        servers.delete(name);
      }
    },
    async stop(timeoutMs) {
      const all = [...probes.values(), ...[...servers.values()].map(({ receiver }) => receiver)];
      await Promise.all(all.map((receiver) => receiver.stop(timeoutMs)));
    },
    get: (name) => probes.get(name),
    ebpf: () => [...probes.values()],
    otlp: () => [...servers.values()].map(({ receiver }) => receiver),
    records: () => records,
  };
}
