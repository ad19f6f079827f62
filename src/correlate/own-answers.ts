import type { SideRecord } from '../records.gen.ts';
import { GATEWAY_STATUSES } from './evidence.ts';
import type { Side } from './side.ts';

/** By then the answers to other requests that waited for the same attempt have come. */
const WAIT_NS = 1_000_000_000;
/** How long an answer is remembered for those that come later. */
const REMEMBER_NS = 10_000_000_000;
/** Answers, and failed attempts, of one thread that are compared with each other; where there are more, they are shared. */
const MAX_COMPARED = 256;
/** The proxy may let go of an attempt after it has answered. */
const LET_GO_NS = 100_000_000;

/** A request that no upstream has answered, and why. */
export interface OwnAnswer {
  readonly side: Side;
  readonly setUp: boolean;
  /** Upstream connections that were tried for it in vain. */
  readonly attempts: readonly SideRecord[];
  /** One that was tried in vain for it or for another request. */
  readonly failure?: SideRecord;
}

/**
 * Answers of a proxy's own to requests for which no upstream request was found. Some say that it could not connect:
 * those stand beside the failed attempts of their thread and time.
 */
export interface OwnAnswers {
  add(side: Side, setUp: boolean, nowNs: number): void;
  /** An upstream connection that never was one. */
  addFailed(attempt: SideRecord, nowNs: number): void;
  settle(nowNs: number): void;
  /** Answers that wait, and threads of which something is remembered. */
  size(): number;
}

interface Waiting {
  readonly side: Side;
  readonly setUp: boolean;
  readonly sinceNs: number;
}

interface Thread {
  /** The newest ones, told or not. */
  readonly answers: Waiting[];
  readonly failed: SideRecord[];
  /** When more came than are compared. */
  crowdedNs: number;
  lastNs: number;
}

/** @param take takes an attempt that nobody else has taken; false where somebody has */
export function createOwnAnswers(
  take: (attempt: SideRecord) => boolean,
  tell: (answer: OwnAnswer) => void,
): OwnAnswers {
  const threads = new Map<string, Thread>();
  const waiting: Waiting[] = [];

  function threadOf(tgid: number, tid: number, nowNs: number): Thread {
    const key = `${tgid} ${tid}`;
    const thread = threads.get(key) ?? {
      answers: [],
      failed: [],
      crowdedNs: Number.NEGATIVE_INFINITY,
      lastNs: 0,
    };
    thread.lastNs = nowNs;
    threads.set(key, thread);
    return thread;
  }

  function keep<T>(thread: Thread, list: T[], item: T): void {
    list.push(item);
    if (list.length <= MAX_COMPARED) return;
    list.shift();
    thread.crowdedNs = thread.lastNs;
  }

  function settleOne(answer: Waiting, nowNs: number): void {
    const { side, setUp } = answer;
    const thread = threads.get(`${side.tgid} ${side.http?.request?.tid}`);
    const own = thread?.failed.filter((attempt) => couldBeFor(attempt, side)) ?? [];
    const failure = own.at(-1);
    const isShared =
      thread &&
      (nowNs - thread.crowdedNs < REMEMBER_NS ||
        thread.answers.some(
          (other) => other !== answer && own.some((attempt) => couldBeFor(attempt, other.side)),
        ));
    if (isShared && failure) tell({ side, setUp, attempts: [], failure });
    else tell({ side, setUp, attempts: own.filter(take) });
  }

  return {
    size: () => waiting.length + threads.size,
    add(side, setUp, nowNs) {
      const { request, answer } = side.http ?? {};
      if (!request || !GATEWAY_STATUSES.has(answer?.statusCode ?? 0)) {
        tell({ side, setUp, attempts: [] });
        return;
      }
      const own = { side, setUp, sinceNs: nowNs };
      waiting.push(own);
      const thread = threadOf(side.tgid, request.tid, nowNs);
      keep(thread, thread.answers, own);
    },
    addFailed(attempt, nowNs) {
      if (attempt.establishedNs !== 0) return;
      const thread = threadOf(attempt.tgid, attempt.tid, nowNs);
      keep(thread, thread.failed, attempt);
    },
    settle(nowNs) {
      const ready = waiting.findIndex(({ sinceNs }) => sinceNs > nowNs - WAIT_NS);
      for (const answer of waiting.splice(0, ready < 0 ? waiting.length : ready)) settleOne(answer, nowNs);
      for (const [key, { lastNs }] of threads) if (lastNs < nowNs - REMEMBER_NS) threads.delete(key);
    },
  };
}

/** By the thread that read the request, after it and before its answer. */
function couldBeFor(attempt: SideRecord, { http }: Side): boolean {
  const { request, answer } = http ?? {};
  if (!request || !answer || attempt.tid !== request.tid) return false;
  return (
    attempt.establishedNs === 0 &&
    attempt.synNs >= request.firstNs &&
    attempt.synNs <= answer.firstNs &&
    attempt.releasedNs <= answer.firstNs + LET_GO_NS
  );
}
