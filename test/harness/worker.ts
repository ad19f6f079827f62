import { fileURLToPath } from 'node:url';
import { type Child, startChild } from './process.ts';

/** A program of this folder that runs in a process of its own and answers calls over the IPC channel. */
export interface Worker {
  readonly child: Child;
  /** Rejects when the worker fails or has ended. */
  call(name: string): Promise<unknown>;
  stop(): Promise<void>;
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** Starts `script` with `options` as its one argument; by `launcher`, a program and its arguments, where one is given. */
export async function startWorker(
  script: string,
  options: object,
  launcher: readonly string[] = [],
): Promise<Worker> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const [command = '', ...args] = [...launcher, process.execPath, file, JSON.stringify(options)];
  const child = await startChild(command, args, { ipc: true });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let calls = 0;
  child.process.on('message', (message) => {
    const { id, result, error } = message as unknown as Reply;
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${script}: ${error}`));
  });
  void child.exited.then(() => {
    for (const call of waiting.values()) call.reject(new Error(`${script} ended:\n${child.stderr()}`));
    waiting.clear();
  });
  return {
    child,
    call: (name) =>
      new Promise((resolve, reject) => {
        if (child.exit()) {
          reject(new Error(`${script} has ended:\n${child.stderr()}`));
          return;
        }
        const id = calls++;
        waiting.set(id, { resolve, reject });
        child.process.send({ id, name }, (error) => {
          if (error && waiting.delete(id)) reject(error);
        });
      }),
    stop: async () => {
      await child.stop();
    },
  };
}

/** The worker's side: the options that `startWorker` passed. */
export function workerOptions<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T;
}

/** The worker's side: answers calls by name until the parent goes away. */
export function serveCalls(handlers: Readonly<Record<string, () => unknown>>): void {
  process.on('message', (message) => {
    const { id, name } = message as { id: number; name: string };
    const reply = (answer: Omit<Reply, 'id'>): void => void process.send?.({ id, ...answer });
    Promise.resolve()
      .then(() => handlers[name]?.())
      .then((result) => reply({ result }))
      .catch((error: unknown) => reply({ error: String(error) }));
  });
  process.on('disconnect', () => process.exit(0));
}
