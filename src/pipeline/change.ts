import type { ExporterLog } from '../exporter/log.ts';

/** For requests under way at what is replaced, and for what only it can send. */
export const LEAVE_MS = 5000;

/** What happens to one part of what runs: prepared, and then put in force or taken back. */
export interface Change {
  /** At once, and without fail. */
  commit(): void;
  /** As if nothing had been prepared. */
  undo(): Promise<void>;
  /** After `commit`: ends what was replaced. */
  settle(): Promise<void>;
}

/** Takes changes back, the last one first; one that cannot be taken back holds up no other. */
export async function undoAll(changes: readonly Change[], log: ExporterLog): Promise<void> {
  for (const change of changes.toReversed()) {
    try {
      await change.undo();
    } catch (error) {
      log.warn(error instanceof Error ? error.message : String(error));
    }
  }
}
