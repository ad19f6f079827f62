import { Worker } from 'node:worker_threads';
import { HopspanError } from '../../errors.ts';
import type { Contents, ReadResult } from './queue-file.ts';

/** What the worker is asked for; answers come in the same order. */
export type StoreRequest =
  | {
      readonly op: 'put';
      readonly id: number;
      readonly spans: number;
      readonly bytes: Uint8Array<ArrayBuffer>;
    }
  | { readonly op: 'readAfter'; readonly id: number; readonly limit: number }
  | { readonly op: 'remove'; readonly id: number }
  | { readonly op: 'close' };

export type StoreAnswer =
  | { readonly ok: true; readonly result?: ReadResult; readonly damagedFile?: string }
  | { readonly ok: false; readonly reason: string };

/** The first message, before any answer. */
export type StoreOpened =
  | { readonly ok: true; readonly contents: Contents }
  | { readonly ok: false; readonly reason: string };

/** Batches on disk. A method that rejects says why in its error's message, and the batch is where it was before. */
export interface BatchStore {
  /** @throws HopspanError EXPORTER_START_FAILED */
  open(): Promise<Contents>;
  put(id: number, spans: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** The oldest batches behind `id`, at most `limit`. */
  readAfter(id: number, limit: number): Promise<ReadResult>;
  /** What is not removed comes again after the next start. */
  remove(id: number): Promise<void>;
  close(): Promise<void>;
}

/** The same ending as this file's: `.ts` in a checkout, `.js` in the package. */
const WORKER = new URL(import.meta.url.replace(/batch-store(\.[jt]s)$/, 'queue-worker$1'));

/** `reason` when another process has the file. */
export const IN_USE = 'another hopspan has it';

function startError(path: string, reason: string): HopspanError {
  const what =
    reason === IN_USE
      ? 'give each a directory of its own'
      : 'correct sending_queue.directory or its permissions';
  return new HopspanError('EXPORTER_START_FAILED', `The queue ${path} cannot be used: ${reason}; ${what}.`);
}

interface Pending {
  readonly resolve: (result: ReadResult | undefined) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A `QueueFile` in a thread of its own, so that a disk that takes its time holds up nothing else. `onDamage` is told
 * where a file is kept that turned out to be damaged.
 */
export function createBatchStore(path: string, onDamage: (damagedFile: string) => void): BatchStore {
  let worker: Worker | undefined;
  let failure: Error | undefined;
  const pending: Pending[] = [];

  function fail(error: Error): void {
    failure ??= error;
    for (const { reject } of pending.splice(0)) reject(error);
  }

  function ask(request: StoreRequest): Promise<ReadResult | undefined> {
    if (worker === undefined || failure) return Promise.reject(failure ?? new Error('it is not open'));
    worker.postMessage(request);
    return new Promise((resolve, reject) => pending.push({ resolve, reject }));
  }

  function settle(answer: StoreAnswer): void {
    const first = pending.shift();
    if (!answer.ok) {
      first?.reject(new Error(answer.reason));
      return;
    }
    if (answer.damagedFile !== undefined) onDamage(answer.damagedFile);
    first?.resolve(answer.result);
  }

  return {
    open: () =>
      new Promise((resolve, reject) => {
        const started = new Worker(WORKER, { workerData: path, name: 'hopspan-queue' });
        started.once('error', (error) => {
          fail(error as Error);
          reject(startError(path, (error as Error).message));
        });
        started.once('exit', () => fail(new Error('its thread has ended')));
        started.once('message', (opened: StoreOpened) => {
          if (!opened.ok) {
            void started.terminate();
            reject(startError(path, opened.reason));
            return;
          }
          if (opened.contents.damagedFile !== undefined) onDamage(opened.contents.damagedFile);
          worker = started;
          started.on('message', settle);
          resolve(opened.contents);
        });
      }),
    async put(id, spans, bytes) {
      await ask({ op: 'put', id, spans, bytes });
    },
    async readAfter(id, limit) {
      return (await ask({ op: 'readAfter', id, limit })) as ReadResult;
    },
    async remove(id) {
      await ask({ op: 'remove', id });
    },
    async close() {
      if (worker === undefined || failure) return;
      await ask({ op: 'close' });
      await worker.terminate();
      worker = undefined;
    },
  };
}
