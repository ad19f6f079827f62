import type { OtlpRetryOptions } from './options.ts';

// As the Collector's exporters do it: half as long again each time, spread over ±50 %.
const MULTIPLIER = 1.5;
const SPREAD = 0.5;

/** Exponential back-off with jitter. */
export class Backoff {
  readonly #retry: OtlpRetryOptions;
  readonly #random: () => number;
  #intervalMs: number;

  /** `random` gives numbers in [0, 1). */
  constructor(retry: OtlpRetryOptions, random: () => number) {
    this.#retry = retry;
    this.#random = random;
    this.#intervalMs = retry.initialIntervalMs;
  }

  /** Milliseconds to wait before the next attempt. */
  nextMs(): number {
    const intervalMs = Math.min(this.#intervalMs, this.#retry.maxIntervalMs);
    this.#intervalMs = intervalMs * MULTIPLIER;
    return intervalMs * (1 - SPREAD + 2 * SPREAD * this.#random());
  }

  reset(): void {
    this.#intervalMs = this.#retry.initialIntervalMs;
  }
}
