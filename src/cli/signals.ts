/** Within the 5 s that a service manager's user expects after SIGTERM. */
export const SHUTDOWN_MS = 4000;

/** Resolves with the first of the signals that ask to end. */
export function untilSignalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}
