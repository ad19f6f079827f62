/** For whatever is still under way after a shutdown, such as a request that nobody answers. */
const LINGER_MS = 300;

/**
 * Resolves with the first of the signals that ask to end. Those that follow change nothing: a terminal and a wrapper
 * may both pass on one Ctrl-C, and the shutdown has its own time limit.
 */
export function untilSignalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve(signal));
  });
}

/** For the end of a command: nothing that is left may hold the process. Most often nothing is, and it ends at once. */
export function exitSoon(): void {
  setTimeout(() => process.exit(), LINGER_MS).unref();
}
