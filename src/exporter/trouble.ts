import type { Clock } from './clock.ts';

/** Between two warnings of one exporter. */
export const WARN_EVERY_MS = 30_000;

/**
 * Says that something goes wrong: at once the first time, then at most every 30 s while it goes on happening.
 * `tell` is called at the time of the warning, so that it can give the counts of that moment.
 */
export class Trouble {
  readonly #clock: Clock;
  readonly #tell: (reason: string) => void;
  #reason = '';
  #lastMs = Number.NEGATIVE_INFINITY;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(clock: Clock, tell: (reason: string) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** It happened (again). */
  note(reason: string): void {
    this.#reason = reason;
    if (this.#closed || this.#cancel !== undefined) return;
    const waitMs = this.#lastMs + WARN_EVERY_MS - this.#clock.now();
    if (waitMs <= 0) this.#say();
    else this.#cancel = this.#clock.after(waitMs, () => this.#say());
  }

  /** It is over: what was not said yet need not be. */
  recovered(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Says what was not said yet if `sayRest`, and then nothing any more. */
  close(sayRest: boolean): void {
    const unsaid = this.#cancel !== undefined;
    this.recovered();
    if (unsaid && sayRest) this.#say();
    this.#closed = true;
  }

  #say(): void {
    this.#cancel = undefined;
    this.#lastMs = this.#clock.now();
    this.#tell(this.#reason);
  }
}
