/** Time for exporters, so that tests can own it. */
export interface Clock {
  /** Milliseconds from a monotonic source. */
  now(): number;
  /** Runs `callback` once after `ms` milliseconds; the function returned cancels that. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
