// The thread that owns one queue file. It answers every request, in the order in which they came.
import { parentPort, workerData } from 'node:worker_threads';
import { IN_USE, type StoreAnswer, type StoreOpened, type StoreRequest } from './batch-store.ts';
import { isDamage, isInUse, QueueFile, type ReadResult } from './queue-file.ts';

/** What was written is on the disk itself this long after at the latest, unless the disk is slower. */
const SYNC_AFTER_MS = 1000;

const port = parentPort;
if (port === null) throw new Error('queue-worker.ts runs in a worker thread');

let timer: NodeJS.Timeout | undefined;

function reasonOf(error: unknown): string {
  if (isInUse(error)) return IN_USE;
  return error instanceof Error ? error.message : String(error);
}

function open(path: string): QueueFile | undefined {
  try {
    const file = new QueueFile(path);
    port?.postMessage({ ok: true, contents: file.contents } satisfies StoreOpened);
    return file;
  } catch (error) {
    port?.postMessage({ ok: false, reason: reasonOf(error) } satisfies StoreOpened);
    return undefined;
  }
}

function perform(file: QueueFile, request: StoreRequest): ReadResult | undefined {
  switch (request.op) {
    case 'put':
      file.put(request.id, request.spans, request.bytes);
      return undefined;
    case 'readAfter':
      return file.readAfter(request.id, request.limit);
    case 'remove':
      file.remove(request.id);
      return undefined;
    case 'close':
      clearTimeout(timer);
      sync(file);
      file.close();
      return undefined;
  }
}

function answer(file: QueueFile, request: StoreRequest): StoreAnswer {
  try {
    const result = perform(file, request);
    return { ok: true, ...(result ? { result } : {}) };
  } catch (error) {
    if (!isDamage(error)) return { ok: false, reason: reasonOf(error) };
  }
  try {
    const damagedFile = file.repair();
    const result = perform(file, request);
    return { ok: true, damagedFile, ...(result ? { result } : {}) };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}

function sync(file: QueueFile): void {
  try {
    file.sync();
  } catch {
    // A disk that is full or fails says so to the next `put`.
  }
}

function syncSoon(file: QueueFile): void {
  timer ??= setTimeout(() => {
    timer = undefined;
    sync(file);
  }, SYNC_AFTER_MS);
}

const file = open(workerData as string);
if (file !== undefined) {
  port.on('message', (request: StoreRequest) => {
    const reply = answer(file, request);
    const batches = reply.ok ? (reply.result?.batches ?? []) : [];
    port.postMessage(
      reply,
      batches.map(({ bytes }) => bytes.buffer),
    );
    // Buffers weigh nothing in V8's heap, which would not hurry to give them back.
    if (request.op === 'put') request.bytes.buffer.transfer(0);
    if (request.op !== 'close') syncSoon(file);
  });
}
