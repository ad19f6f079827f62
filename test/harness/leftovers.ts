/** Servers in this process that nobody has stopped yet; they keep it alive. */
export const leftovers = new Set<{ stop(): Promise<void> }>();
